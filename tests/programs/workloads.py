"""The programs that are run, each with the input that it is given and with what is compared of what it
does: what it prints, and the files that it is told to make. Inputs are made here, the same each time."""
import hashlib
import os
import pathlib
import random
import shutil
import subprocess

SEED = 20
# What a program reads of its surroundings is the same for all.
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C", "TZ": "UTC",
               "PYTHONHASHSEED": "0", "PERL_HASH_SEED": "0", "GIT_CONFIG_GLOBAL": "/dev/null",
               "GIT_CONFIG_SYSTEM": "/dev/null"}


def digest_of(text, folder, files):
    digest = hashlib.sha256(text)
    for name in files:
        digest.update(name.encode())
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


class Workload:
    """One program. `scale` is 1 where it is measured, less where its results alone are looked at."""
    name = ""
    needs = ()
    files = ()
    environment = {}
    is_measured = True
    is_counted = True
    has_threads = False

    def __init__(self, inputs, scale):
        self.inputs = inputs / self.name
        self.inputs.mkdir()
        self.scale = scale

    def prepare(self):
        """Make the input, in self.inputs."""

    def command(self):
        """The program and its arguments; it is run in an empty folder."""
        raise NotImplementedError

    def missing(self):
        return [need for need in self.needs if not shutil.which(need)]

    def times(self, count):
        return max(1, int(count * self.scale))

    def bind(self):
        """One core for all of the tree, or what is measured is where the kernel puts a child of fork."""
        if not self.has_threads:
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    def run(self, start, folder):
        """Run it through start, which adds what it is measured with; what came of it, as a digest."""
        done = subprocess.run(start(self.command()), cwd=folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, preexec_fn=self.bind,
                              env={**ENVIRONMENT, **self.environment, **start.environment})
        if done.returncode != 0:
            raise RuntimeError(f"{self.name} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
        return digest_of(done.stdout, folder, self.files)


class Bash(Workload):
    name = "bash"
    needs = ("bash",)

    def command(self):
        return ["bash", "-c", f"""
            declare -A words
            for ((i = 0; i < {self.times(40000)}; i++)); do
                words[$((i * 7919 % 4001))]+="word $i "
            done
            total=0
            for key in "${{!words[@]}}"; do
                text=${{words[$key]//word/w}}
                total=$((total + ${{#text}}))
            done
            echo "$total"
            for ((i = 0; i < {self.times(150)}; i++)); do
                text=$(printf '%s\\n' "$text" "$i" | cut -c 1-40)
            done
            echo "$text\""""]


class Spawn(Workload):
    """What it costs a program to begin: many short ones."""
    name = "spawn"
    needs = ("bash", "ls")

    def command(self):
        return ["bash", "-c", f"for ((i = 0; i < {self.times(300)}; i++)); do ls /; done | sort -u"]


class Configure(Workload):
    """A configure script, whose shell is bash, and all that it starts: compilers, sed, grep, awk."""
    name = "configure"
    needs = ("autoconf", "bash", "gcc")
    files = ("config.h",)
    is_counted = False  # hundreds of processes, each of which callgrind takes a second to begin
    functions = ["strlcpy", "getrandom", "memfd_create", "reallocarray", "nosuchfunction", "dlopen"]
    headers = ["sys/mman.h", "linux/futex.h", "nosuch.h", "threads.h"]

    def prepare(self):
        (self.inputs / "configure.ac").write_text(
            "AC_INIT([thing],[1])\nAC_CONFIG_HEADERS([config.h])\nAC_PROG_CC\n"
            f"AC_CHECK_HEADERS([{' '.join(self.headers[:self.times(4) + 1])}])\n"
            f"AC_CHECK_FUNCS([{' '.join(self.functions[:self.times(6) + 1])}])\n"
            "AC_CHECK_SIZEOF([long])\nAC_C_BIGENDIAN\nAC_OUTPUT\n")
        subprocess.run(["autoheader"], cwd=self.inputs, check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["autoconf"], cwd=self.inputs, check=True, stderr=subprocess.DEVNULL)

    def command(self):
        return ["bash", str(self.inputs / "configure"), "CONFIG_SHELL=/bin/bash"]


class Python(Workload):
    """With its own allocator of small objects out of the way, so that each is the C library's malloc."""
    name = "python"
    interpreter = "/usr/bin/python3"
    needs = (interpreter,)
    environment = {"PYTHONMALLOC": "malloc"}

    def command(self):
        return [self.interpreter, "-S", "-c", f"""
import json, random, re
random.seed({SEED})
rows = [{{str(i): [random.random() for _ in range(20)]}} for i in range({self.times(8000)})]
text = json.dumps(rows)
again = json.loads(text)
print(len(text), again == rows)
words = re.findall(r"\\d\\.\\d+", text)
counts = {{}}
for word in words:
    counts[word[2:5]] = counts.get(word[2:5], 0) + 1
print(len(words), sorted(counts.items())[:50])
print(sum(map(len, sorted(set(words)))))"""]


class PythonOwn(Python):
    """As it is: arenas and what is large are malloc's or mmap's."""
    name = "python-as-is"
    environment = {}


class PythonTests(Workload):
    """Some of Python's own tests, which say themselves whether all is well; so they run with goalloc
    alone, and are not measured."""
    name = "python-tests"
    needs = (Python.interpreter,)
    environment = Python.environment
    is_measured = False
    modules = ["test_list", "test_dict", "test_gc", "test_fork1"]

    def missing(self):
        lacks = super().missing()
        found = not lacks and subprocess.run([Python.interpreter, "-c", "import test.test_list"], check=False,
                                             stderr=subprocess.DEVNULL).returncode == 0
        return lacks if found or lacks else ["libpython3.11-testsuite"]

    def command(self):
        return [Python.interpreter, "-B", "-c", "import sys, test.libregrtest as t\n"
                f"sys.stdout = sys.stderr\nt.main({self.modules})"]


class Perl(Workload):
    name = "perl"
    needs = ("perl",)

    def command(self):
        return ["perl", "-e", f"""
            my %words;
            for my $i (1 .. {self.times(500000)}) {{ $words{{$i % 50021}} .= "x$i "; }}
            my $total = 0;
            for my $key (sort keys %words) {{ $total += scalar(split / /, $words{{$key}}); }}
            print "$total\\n";
            my @lists = map {{ [ map {{ {{ name => "n$_" }} }} 1 .. 20 ] }} 1 .. {self.times(8000)};
            print scalar(@lists), " ", $lists[-1][-1]{{name}}, "\\n";"""]


class Sqlite(Workload):
    name = "sqlite"
    needs = ("sqlite3",)

    def prepare(self):
        numbers = random.Random(SEED)
        lines = ["pragma journal_mode=off;", "create table person(id integer primary key, name text, note text);",
                 "create table deal(id integer primary key, seller int, buyer int, sum int);", "begin;"]
        for i in range(self.times(25000)):
            lines.append(f"insert into person values({i},'name {numbers.randrange(9999)}','{'n' * numbers.randrange(200)}');")
            lines.append(f"insert into deal values({i},{numbers.randrange(i + 1)},{numbers.randrange(i + 1)},{numbers.randrange(10**6)});")
        lines += ["commit;", "create index by_name on person(name);", "create index by_seller on deal(seller);",
                  "select name, count(*), sum(length(note)) from person group by name order by 2 desc, 1 limit 50;",
                  "select p.name, sum(d.sum) from deal d join person p on p.id = d.seller group by 1 order by 2 limit 50;",
                  "update person set note = note || id where id % 3 = 0;", "delete from deal where sum % 5 = 0;",
                  "select substr(group_concat(note), 1, 100000) from person;", "pragma integrity_check;", ".dump"]
        (self.inputs / "script.sql").write_text("\n".join(lines) + "\n")

    def command(self):
        return ["sqlite3", "-batch", ":memory:", f".read {self.inputs / 'script.sql'}"]


class Git(Workload):
    """A clone of a repository of generated history, packed anew, checked and read."""
    name = "git"
    needs = ("git", "sh")

    def prepare(self):
        numbers = random.Random(SEED)
        words = [f"{numbers.randrange(16**6):x}" for _ in range(500)]
        files = [[" ".join(numbers.choices(words, k=8)) for _ in range(60)] for _ in range(80)]
        stream = []
        for commit in range(self.times(600)):
            stream.append(f"commit refs/heads/main\ncommitter A <a@b> {1600000000 + commit * 60} +0000\n"
                          f"data {len(f'change {commit}')}\nchange {commit}\n")
            for number in numbers.sample(range(80), 80 if commit == 0 else 3):
                files[number][numbers.randrange(60)] = " ".join(numbers.choices(words, k=8))
                text = "\n".join(files[number]) + "\n"
                stream.append(f"M 100644 inline dir{number % 7}/file{number}\ndata {len(text)}\n{text}\n")
        repository = str(self.inputs / "origin")
        environment = {**os.environ, **ENVIRONMENT}
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", repository], check=True, env=environment)
        subprocess.run(["git", "-C", repository, "fast-import", "--quiet"], check=True, env=environment,
                       input="".join(stream).encode())

    def command(self):
        return ["sh", "-ec", f"""
            git clone -q --no-local file://{self.inputs / 'origin'} copy
            cd copy
            git -c pack.threads=2 repack -qadf
            git fsck --full --no-progress
            git log -p --stat --no-color
            git blame dir1/file1
            git grep -c abc HEAD || true
            git rev-parse HEAD^{{tree}}"""]


class Gcc(Workload):
    name = "gcc"
    needs = ("gcc",)
    files = ("large.o",)

    def prepare(self):
        numbers = random.Random(SEED)
        lines = ["#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>"]
        for i in range(self.times(160)):
            cases = "".join(f"    case {c}: s += a * {numbers.randrange(1, 99)} - (b >> {c % 7}); break;\n"
                            for c in range(12))
            lines.append(f"struct s{i} {{ int a[{i % 9 + 1}]; char *name; }};\n"
                         f"int f{i}(struct s{i} *p, int a, int b)\n{{\n    int s = p->a[0];\n"
                         f"    for (int k = 0; k < b; k++) {{\n    switch (k % 13) {{\n{cases}    default: s ^= k;\n    }}\n"
                         f"    if (strlen(p->name) == (size_t)s) s += printf(\"%d f{i}\\n\", s);\n    }}\n    return s;\n}}")
        (self.inputs / "large.c").write_text("\n".join(lines) + "\n")

    def command(self):
        return ["gcc", "-O1", "-c", str(self.inputs / "large.c"), "-o", "large.o"]


class Gxx(Workload):
    name = "g++"
    needs = ("g++",)
    files = ("large.o",)

    def prepare(self):
        lines = ["#include <algorithm>", "#include <functional>", "#include <map>", "#include <memory>",
                 "#include <string>", "#include <unordered_map>", "#include <vector>"]
        for i in range(self.times(6)):
            lines.append(f"template <int N> struct thing{i} {{ std::vector<std::string> v; int n[N]; "
                         f"bool operator<(const thing{i} &o) const {{ return v < o.v; }} }};\n"
                         f"int use{i}(std::map<std::string, thing{i}<{i + 1}>> &m)\n{{\n"
                         f"    std::unordered_map<int, std::vector<thing{i}<{i + 2}>>> u;\n"
                         f"    for (auto &[k, t] : m) {{ u[t.n[0]].resize(t.v.size()); }}\n"
                         f"    std::sort(u[0].begin(), u[0].end());\n"
                         f"    std::function<int(int)> f = [&](int x) {{ return x + {i} + (int)u.size(); }};\n"
                         f"    return f(std::make_shared<thing{i}<3>>()->n[0]);\n}}")
        if self.scale == 1:  # half of the work is this line's
            lines = ["#include <regex>", *lines,
                     "bool matches(const std::string &s) { return std::regex_match(s, std::regex(\"a+b*\")); }"]
        (self.inputs / "large.cc").write_text("\n".join(lines) + "\n")

    def command(self):
        return ["g++", "-std=c++17", "-O1", "-c", str(self.inputs / "large.cc"), "-o", "large.o"]


class Threads(Workload):
    name = "threads"
    has_threads = True
    needs = ("threaded",)

    def command(self):
        return [shutil.which("threaded"), str(self.times(8000))]


ALL = [Bash, Spawn, Configure, Python, PythonOwn, PythonTests, Perl, Sqlite, Git, Gcc, Gxx, Threads]
