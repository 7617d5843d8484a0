#!/usr/bin/env python3
"""Programs that know nothing of goalloc, each with libgoalloc-malloc preloaded and beside the system's
malloc and others.

    programs.py BIN_DIR LIBRARY [--check] [--quick] [--instructions] [--program NAME]... [--json FILE]

Whatever allocates, what a program does must be the same. `--check` looks at no more than that, with
short inputs, goalloc beside the system's malloc alone. Programs and allocators that are not installed
are left out by name."""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import redis
import workloads

SYSTEM = "/usr/lib/x86_64-linux-gnu"
# In front of any other that a program brings, as Debian's redis-server does.
GLIBC = f"{SYSTEM}/libc.so.6"
PEERS = {"mimalloc": f"{SYSTEM}/libmimalloc.so.2", "jemalloc": f"{SYSTEM}/libjemalloc.so.2",
         "tcmalloc": f"{SYSTEM}/libtcmalloc_minimal.so.4"}
FORK_MIB = (1, 64, 1024)
FIGURES = ("wall_s", "cpu_s", "peak_mib", "faults")
SHORT = 0.1  # of the usual input, where results alone are looked at or instructions are counted


class Server:
    """A goallocd for the programs to be known to."""

    def __init__(self, bin_dir, folder):
        self.socket = str(folder / "server")
        name = f"programs.{os.getpid()}"
        ready, written = os.pipe()
        self.process = subprocess.Popen(
            [f"{bin_dir}/goallocd", "--name", name, "--reserve", "64M", "--ephemeral", "--socket", self.socket,
             "--ready-fd", str(written)], pass_fds=[written], stdin=subprocess.DEVNULL)
        os.close(written)
        with os.fdopen(ready) as stream:
            if not stream.readline():
                raise RuntimeError("goallocd does not serve")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Start:
    """How a workload is started: with an allocator, and measured."""

    def __init__(self, arguments, library, socket, folder):
        self.result = folder / "measured"
        self.environment = {"GOALLOC_SOCKET": socket, "PATH": f"{arguments.bin_dir}:{os.environ['PATH']}"}
        self.measure = f"{arguments.bin_dir}/measure_tree"
        self.front = [self.measure, str(self.result), library]
        self.counts = folder / "counts"

    def count(self, library, zero_at_fork):
        """Count instructions from now on."""
        self.counts.mkdir()
        self.front = ["valgrind", "-q", "--tool=callgrind", "--trace-children=yes", "--log-file=/dev/null",
                      f"--callgrind-out-file={self.counts}/%p", self.measure, str(self.result),
                      f"{zero_at_fork}:{library}"]

    def __call__(self, command):
        return self.front + command

    def instructions(self):
        """Of what was started since counting, in millions."""
        texts = [file.read_text(errors="replace") for file in self.counts.iterdir()]
        counted = [re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE) for text in texts]
        if not counted or not all(counted):
            raise RuntimeError("callgrind has not counted all")
        return sum(int(match[1]) for match in counted) / 1e6

    def figures(self):
        ns, us, kib, faults = self.result.read_text().split()
        return dict(zip(FIGURES, (int(ns) / 1e9, int(us) / 1e6, int(kib) / 1024, int(faults))))


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin_dir")
    parser.add_argument("library")
    parser.add_argument("--check", action="store_true", help="compare results alone, of short runs")
    parser.add_argument("--quick", action="store_true", help="3 rounds, not 7")
    parser.add_argument("--instructions", action="store_true", help="count them besides, by callgrind and of short runs")
    parser.add_argument("--program", action="append", default=[], metavar="NAME")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def allocators(arguments):
    found = {"goalloc": arguments.library, "glibc": GLIBC}
    if arguments.check:
        return found
    for name, path in PEERS.items():
        if os.path.exists(path):
            found[name] = path
        else:
            print(f"{name} is left out: there is no {path}")
    return found


def installed(arguments, inputs, scale):
    """The workloads whose programs are here, prepared."""
    os.environ["PATH"] = f"{arguments.bin_dir}:{os.environ['PATH']}"
    known = [*workloads.ALL, redis.Redis]
    wanted = [kind for kind in known if (kind.name in arguments.program or not arguments.program) and
              (kind.is_measured or arguments.check)]
    if not wanted:
        raise SystemExit(f"programs are: {' '.join(kind.name for kind in known)}")
    ready = []
    for kind in wanted:
        workload = kind(inputs, scale)
        if workload.missing():
            print(f"{workload.name} is left out: there is no {', no '.join(workload.missing())}")
            continue
        workload.prepare()
        ready.append(workload)
    return ready


def run_once(arguments, workload, library, socket, root, counts=False):
    """What came of it, and what it took; counts: in instructions."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=root))
    (folder / "run").mkdir()
    try:
        start = Start(arguments, library, socket, folder)
        if counts:
            start.count(library, os.path.join(os.path.dirname(arguments.library), "libzero_at_fork.so"))
        found = workload.run(start, folder / "run")
        return found, {"instructions": start.instructions()} if counts else start.figures()
    finally:
        shutil.rmtree(folder)


def rounds_of(arguments, workload, found, socket, root):
    """All allocators in turns, another one first each round; their figures."""
    if not workload.is_measured:
        found = {"goalloc": found["goalloc"]}
    figures = {name: [] for name in found}
    results = {}
    for turn in range(1 if arguments.check else 3 if arguments.quick else 7):
        names = list(found)[turn % len(found):] + list(found)[:turn % len(found)]
        for name in names:
            result, took = run_once(arguments, workload, found[name], socket, root)
            if results.setdefault("of all", result) != result:
                raise RuntimeError(f"{workload.name}: with {name} the result is another one")
            figures[name].append(took)
    return figures


def medians(figures):
    return {name: {figure: statistics.median(run[figure] for run in runs) for figure in FIGURES}
            for name, runs in figures.items()}


def counted(arguments, workload, found, socket, root):
    """Millions of instructions, by allocator."""
    row = {name: run_once(arguments, workload, library, socket, root, True)[1] for name, library in found.items()}
    print(f"{workload.name}: counted", flush=True)
    return row


def print_table(title, rows, found, figure, digits):
    peers = [name for name in found if name != "goalloc"]
    print(f"\n{title}\n{'':14}" + "".join(f"{name:>10}" for name in found) +
          "".join(f"{f'/ {name}':>12}" for name in peers))
    for program, row in rows.items():
        print(f"{program:14}" + "".join(f"{row[name][figure]:10.{digits}f}" for name in found) +
              "".join(f"{row['goalloc'][figure] / row[name][figure]:12.3f}" for name in peers))
    means = [statistics.geometric_mean(row["goalloc"][figure] / row[name][figure] for row in rows.values())
             for name in peers]
    print(f"{'mean ratio':14}" + " " * 10 * len(found) + "".join(f"{mean:12.3f}" for mean in means))


def fork_costs(arguments, found, socket):
    """Microseconds of a fork, and of the writes after it, by MiB on the heap and allocator."""
    costs = {}
    for mib in FORK_MIB[:2] if arguments.quick else FORK_MIB:
        costs[mib] = {}
        for name, library in found.items():
            said = subprocess.run([f"{arguments.bin_dir}/fork_cost", str(mib)], check=True, stdout=subprocess.PIPE,
                                  env={**os.environ, "LD_PRELOAD": library, "GOALLOC_SOCKET": socket})
            costs[mib][name] = [float(word) for word in said.stdout.split()]
    return costs


def new_folder(root, name):
    (root / name).mkdir()
    return root / name


def print_forks(costs, found):
    print(f"\nfork, and the writes after it that make the kernel copy (us on a core)\n{'':14}" +
          "".join(f"{name:>18}" for name in found))
    for mib, row in costs.items():
        print(f"{f'{mib} MiB':14}" + "".join(f"{row[name][0]:>9.0f}{row[name][1]:>9.0f}" for name in found))


def compare(arguments, found, socket, root):
    rows = {}
    for workload in installed(arguments, new_folder(root, "inputs"), SHORT if arguments.check else 1):
        rows[workload.name] = medians(rounds_of(arguments, workload, found, socket, root))
        print(f"{workload.name}: the same with {', '.join(rows[workload.name])}", flush=True)
    if arguments.check:
        return
    print_table("time on a core, s (user and system, of the whole tree)", rows, found, "cpu_s", 3)
    print_table("time by the clock, s", rows, found, "wall_s", 3)
    print_table("peak memory of the largest process, MiB", rows, found, "peak_mib", 1)
    print_table("page faults", rows, found, "faults", 0)
    counts = {}
    if arguments.instructions:
        for workload in installed(arguments, new_folder(root, "short"), SHORT):
            if not workload.is_counted:
                continue
            counts[workload.name] = counted(arguments, workload, found, socket, root)
        if counts:
            print_table("instructions in millions, of a tenth of the input", counts, found, "instructions", 1)
    forks = {} if arguments.program else fork_costs(arguments, found, socket)
    if forks:
        print_forks(forks, found)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"programs": rows, "instructions_m": counts, "fork_us": forks}, file, indent=1)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    arguments = options()
    arguments.bin_dir = os.path.abspath(arguments.bin_dir)
    arguments.library = os.path.abspath(arguments.library)
    root = pathlib.Path(tempfile.mkdtemp(prefix="goalloc-programs-"))
    server = None
    try:
        server = Server(arguments.bin_dir, root)
        compare(arguments, allocators(arguments), server.socket, root)
    finally:
        if server:
            server.stop()
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
