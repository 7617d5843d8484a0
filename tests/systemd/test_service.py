#!/usr/bin/env python3
"""goallocd under a service manager, whose part systemd-socket-activate and this test play: it takes the
socket that is passed, with its rights, and no other; says when it is ready, how it does, and that it ends;
and that its loop turns, as long as that does.

    test_service.py BIN_DIR

Ends with 77 where there is no systemd-socket-activate."""
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

WAIT_S = 20


def check(good, what):
    if not good:
        raise AssertionError(what)


class Manager:
    """What starts goallocd, and hears what it says. Clients connect at path."""

    def __init__(self, bin_dir):
        self.bin_dir = bin_dir
        self.folder = tempfile.mkdtemp(prefix="goalloc-service-")
        self.path = os.path.join(self.folder, "sock")
        self.name = f"service.{os.getpid()}"
        self.notify_path = os.path.join(self.folder, "notify")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.notify_path)
        self.notify.settimeout(WAIT_S)
        self.told = []
        self.server = None

    def goallocd(self, *arguments):
        return [os.path.join(self.bin_dir, "goallocd"), "--name", self.name, "--reserve", "64M", "--limit", "32M",
                *arguments]

    def environment(self, **more):
        return {**os.environ, "NOTIFY_SOCKET": self.notify_path, "XDG_RUNTIME_DIR": self.folder, **more}

    def activate(self, listen, *arguments, how=(), env=None):
        """goallocd with sockets at the paths in listen; it starts once somebody connects."""
        command = ["systemd-socket-activate", *how]
        for path in listen:
            command += ["-l", path]
        for name in ("NOTIFY_SOCKET", "XDG_RUNTIME_DIR", *(env or {})):
            command += ["-E", f"{name}={self.environment(**(env or {}))[name]}"]
        self.run(command + self.goallocd(*arguments))

    def run(self, command, **more):
        log = open(os.path.join(self.folder, "log"), "w+")
        self.server = subprocess.Popen(command, stdout=log, stderr=log, **more)
        self.log = log

    def connect(self, path=None, kind=socket.SOCK_STREAM):
        """As a client does first of all; the socket is there as soon as systemd-socket-activate is."""
        deadline = time.monotonic() + WAIT_S
        while True:
            client = socket.socket(socket.AF_UNIX, kind)
            try:
                client.connect(path or self.path)
                return client
            except (FileNotFoundError, ConnectionRefusedError):
                client.close()
                check(time.monotonic() < deadline, "the socket is there")
                time.sleep(0.02)

    def hear(self, what):
        """Wait until a message has the line, or begins it."""
        while True:
            lines = self.notify.recv(4096).decode().split("\n")
            self.told.append(lines)
            if any(line.startswith(what) for line in lines):
                return lines

    def hears_nothing(self, seconds):
        """What is on its way is heard first."""
        try:
            self.notify.settimeout(0)
            while True:
                self.notify.recv(4096)
        except BlockingIOError:
            pass
        self.notify.settimeout(seconds)
        try:
            return self.notify.recv(4096) is None
        except TimeoutError:
            return True
        finally:
            self.notify.settimeout(WAIT_S)

    def end(self):
        """How the server ends, and what it has said."""
        code = self.server.wait(WAIT_S)
        self.log.seek(0)
        return code, self.log.read()

    def stop(self):
        self.server.send_signal(signal.SIGTERM)
        return self.end()

    def goallocctl(self, *arguments):
        return subprocess.run([os.path.join(self.bin_dir, "goallocctl"), *arguments], capture_output=True, text=True)

    def close(self):
        if self.server and self.server.poll() is None:
            self.server.kill()
            self.server.wait()
        for suffix in ("meta", "bits", "heap"):
            path = f"/dev/shm/goalloc.{self.name}.{suffix}"
            if os.path.exists(path):
                os.unlink(path)
        shutil.rmtree(self.folder, ignore_errors=True)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def serves_the_socket_that_is_passed(manager):
    manager.activate([manager.path], "--ephemeral")
    manager.connect().close()
    said = manager.hear("READY=1")
    check(any(line.startswith(f"STATUS=heap '{manager.name}': 0 clients, 0.0 MiB of 32.0 MiB") for line in said),
          f"it says how it does when it is ready: {said}")
    done = manager.goallocctl("--socket", manager.path, "status")
    check(done.returncode == 0 and manager.name in done.stdout, f"it serves: {done.stderr}")
    code, log = manager.stop()
    check(code == 0, f"it ends in order: {code} {log}")
    check(any("STOPPING=1" in told for told in [manager.hear("STOPPING=1")]), "it says that it ends")
    check(os.path.exists(manager.path), "the socket's file stays the manager's")


def takes_its_rights(manager):
    manager.activate([manager.path], "--ephemeral")
    deadline = time.monotonic() + WAIT_S
    while not os.path.exists(manager.path):
        check(time.monotonic() < deadline, "the socket is there")
        time.sleep(0.02)
    os.chmod(manager.path, 0o666)
    manager.connect().close()
    manager.hear("READY=1")
    objects = [mode(f"/dev/shm/goalloc.{manager.name}.{suffix}") for suffix in ("meta", "bits", "heap")]
    check(mode(manager.path) == 0o666 and objects == [0o644, 0o666, 0o666], f"the objects' rights: {objects}")
    manager.stop()


def refuse(manager, what, listen, *arguments, how=(), kind=socket.SOCK_STREAM):
    """A start that fails as wrong usage, and says what."""
    manager.activate(listen, *arguments, how=how)
    client = manager.connect(listen[0].replace("@", "\0", 1) if listen[0][0] == "@" else listen[0], kind)
    if kind == socket.SOCK_DGRAM:
        client.send(b"x")
    code, log = manager.end()
    client.close()
    check(code == 2 and what in log, f"'{what}' is not what it says, {code}: {log}")
    check(not os.path.exists(f"/dev/shm/goalloc.{manager.name}.meta"), "no heap is made")
    for path in listen:
        if os.path.exists(path):
            os.unlink(path)


def refuses_other_sockets(manager):
    other = os.path.join(manager.folder, "other")
    refuse(manager, "passes 2 sockets, 'a', 'b': goallocd listens at one", [manager.path, other],
           how=["--fdname=a:b"])
    refuse(manager, "passes as 'goalloc' is no Unix stream socket that listens", [manager.path],
           how=["--fdname=goalloc", "--seqpacket"], kind=socket.SOCK_SEQPACKET)
    refuse(manager, "is no Unix stream socket", [manager.path], how=["--datagram"], kind=socket.SOCK_DGRAM)
    refuse(manager, "has no path", [f"@{manager.name}"])
    refuse(manager, f"'{other}' is not the socket that the service manager passes", [manager.path], "--socket", other)
    refuse(manager, "--mode: 660 is not what the service manager gave", [manager.path], "--mode", "660")
    refuse(manager, "--group: 0 may not connect", [manager.path], "--group", "0")


def says_that_its_loop_turns(manager):
    watched = manager.environment(WATCHDOG_USEC="400000")
    manager.run(manager.goallocd("--ephemeral", "--socket", manager.path), env=watched)
    manager.hear("READY=1")
    for _ in range(3):
        manager.hear("WATCHDOG=1")
    os.kill(manager.server.pid, signal.SIGSTOP)
    check(manager.hears_nothing(1), "a server that is stopped gives no sign")
    os.kill(manager.server.pid, signal.SIGCONT)
    manager.hear("WATCHDOG=1")
    # Also where the loop has nothing to do but hear of a client.
    holder = manager.connect()
    manager.hear("WATCHDOG=1")
    holder.close()
    check(manager.stop()[0] == 0, "it ends in order")


def says_nothing_unasked(manager):
    # Who is not watched gives no sign; another's WATCHDOG_PID is not for it; nor is what a program that starts
    # a private server is told.
    manager.run(manager.goallocd("--ephemeral", "--socket", manager.path),
                env=manager.environment(WATCHDOG_USEC="100000", WATCHDOG_PID="1"))
    manager.hear("READY=1")
    time.sleep(1.5)
    manager.stop()
    manager.hear("STOPPING=1")
    check(not any("WATCHDOG=1" in told for told in manager.told), f"signs of life unasked: {manager.told}")
    manager.run(manager.goallocd("--private", "--socket", manager.path), env=manager.environment())
    manager.connect().close()
    code, log = manager.end()
    check(code == 0 and manager.hears_nothing(0.1), f"a private server tells a manager of itself: {log}")


def reads_its_options_again(manager):
    conf = os.path.join(manager.folder, "conf")

    def reload(text):
        """With this file; what the manager is told then, and what the log has."""
        with open(conf, "w") as file:
            file.write(text)
        os.kill(manager.server.pid, signal.SIGHUP)
        check(any(line.startswith("MONOTONIC_USEC=") for line in manager.hear("RELOADING=1")), "when it reloads")
        told = "".join(manager.hear("READY=1"))
        manager.log.seek(0)
        return told, manager.log.read()

    with open(conf, "w") as file:
        file.write("limit = 16M\nlog-level = warning\n")
    program = os.path.join(manager.bin_dir, "goallocd")
    manager.run([program, "--name", manager.name, "--reserve", "64M", "--ephemeral", "--socket", manager.path,
                 "--config", conf], env=manager.environment())
    check(" of 16.0 MiB" in "".join(manager.hear("READY=1")), "the file is read")

    told, log = reload("limit = 24M\nlog-level = info\nquota = roots=3\n")
    check(" of 24.0 MiB" in told and f"{conf} was read again" in log, f"a good file: {told} {log}")
    status = manager.goallocctl("--json", "--socket", manager.path, "status").stdout
    check('"limit_bytes":25165824' in status.replace(" ", ""), f"the new limit holds: {status}")
    client = subprocess.Popen([os.path.join(manager.bin_dir, "service_client"), manager.path],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    check(client.stdout.readline() == "ready\n", "a client")
    users = manager.goallocctl("--socket", manager.path, "--json", "users").stdout
    client.communicate()
    check('"allowed_roots": 3' in users, f"the new quota holds: {users}")

    for text, what in (("limit = 32M\nlimti = 1\n", f"{conf}:2: 'limti' is not known: did you mean 'limit'?"),
                       ("log-level = trace\nlimit = 128M\n", "--limit: 128 MiB is more than the reserve"),
                       ("limit = 8K\n", f"{conf}:1: limit: '8K' is not allowed")):
        told, log = reload(text)
        check(" of 24.0 MiB" in told and "has an error, see the log" in told, f"a bad file: {told}")
        check(what in log and f"{conf} is not taken, and all stays as it was" in log, f"'{what}' is not in {log}")
    os.unlink(conf)
    os.kill(manager.server.pid, signal.SIGHUP)
    told = "".join(manager.hear("READY=1"))
    check(" of 24.0 MiB" in told, f"no file: {told}")

    told, log = reload("limit = 24M\nname = other\nhuge-pages = yes\n")
    check("some options wait for the next start" in told, f"what cannot change: {told}")
    check("only with the next start: huge-pages\n" in log, f"the command line's name wins: {log}")
    told, log = reload("# nothing\n")
    check(" of 64.0 MiB" in told and ";" not in told, f"as much as the reserve: {told}")
    code, log = manager.stop()
    check(code == 0 and "trace" not in log, f"it ends in order: {log}")


def hangs_up_without_a_file(manager):
    manager.run(manager.goallocd("--ephemeral", "--socket", manager.path), env=manager.environment())
    manager.hear("READY=1")
    manager.server.send_signal(signal.SIGHUP)
    code, log = manager.end()
    check(code == 0 and "ending on SIGHUP" in log, f"without a file to read SIGHUP ends it: {log}")


def main(bin_dir):
    if not shutil.which("systemd-socket-activate"):
        print("skipped: systemd-socket-activate is not installed")
        return 77
    for test in (serves_the_socket_that_is_passed, takes_its_rights, refuses_other_sockets, says_that_its_loop_turns,
                 says_nothing_unasked, reads_its_options_again, hangs_up_without_a_file):
        manager = Manager(os.path.abspath(bin_dir))
        try:
            test(manager)
        except Exception as error:
            print(f"FAILED: {test.__name__}: {error!r}", file=sys.stderr)
            return 1
        finally:
            manager.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
