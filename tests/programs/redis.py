"""redis-server, worked by redis-benchmark, which has the system's malloc. While clients write it saves
its heap in a child of fork; at the end what it has in memory, what it reads of its file again, and what
a background save has written all have one digest."""
import contextlib
import shutil
import subprocess
import time

from workloads import ENVIRONMENT, SEED, Workload

PATIENCE_S = 120
KEYS = 20000


class Redis(Workload):
    name = "redis"
    needs = ("redis-server", "redis-benchmark", "redis-cli")

    def command(self):
        return ["redis-server", "--port", "0", "--unixsocket", "socket", "--save", "", "--dir", ".",
                "--dbfilename", "dump.rdb", "--enable-debug-command", "yes", "--daemonize", "no",
                "--activedefrag", "no", "--io-threads", "1"]

    def run(self, start, folder):
        # A socket's path is short, and the folder may be deep: all run within it.
        server = subprocess.Popen(start(self.command()), cwd=folder, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  env={**ENVIRONMENT, **start.environment})
        try:
            self._await(folder, ["ping"], "PONG")
            found = self._work(folder)
        finally:
            with contextlib.suppress(RuntimeError):
                self._ask(folder, "shutdown", "nosave")
            said = server.communicate(timeout=PATIENCE_S)[0]
        if server.returncode != 0:
            raise RuntimeError(f"redis-server ended with {server.returncode}: {said.decode()[-2000:]}")
        return found

    def _work(self, folder):
        self._ask(folder, "debug", "populate", str(self.times(KEYS)), "key", "300")
        self._ask(folder, "config", "set", "list-max-listpack-size", "16")
        self._ask(folder, "bgsave")
        # Always the same keys, whose number no order changes; meanwhile the child saves.
        self._benchmark(folder, "-t", "set,get,lpush,lpop,sadd,hset,zadd", "-r", "5000", "-d", "200")
        self._await(folder, ["info", "persistence"], "rdb_bgsave_in_progress:0")
        self._must(folder, ["info", "persistence"], "rdb_last_bgsave_status:ok")
        self._ask(folder, "flushall")
        self._ask(folder, "eval", f"""
            for i = 1, {self.times(KEYS)} do
                redis.call('set', 's' .. i, string.rep('v', i * 31 % 500))
                redis.call('hset', 'h' .. i % 100, i, i * {SEED})
                redis.call('rpush', 'l' .. i % 50, 'item' .. i)
                if i % 3 == 0 then redis.call('del', 's' .. i / 3) end
            end
            return 'ok'""", "0")
        digest = self._ask(folder, "debug", "digest")
        self._ask(folder, "bgsave")
        # The child's copy does not see this; the parent takes it back.
        for text in ("x" * 100, "y" * 5000):
            self._ask(folder, "eval", f"for i = 1, {self.times(KEYS)} do redis.call('set', 'new' .. i, '{text}') end", "0")
        self._ask(folder, "eval", f"for i = 1, {self.times(KEYS)} do redis.call('del', 'new' .. i) end", "0")
        self._await(folder, ["info", "persistence"], "rdb_bgsave_in_progress:0")
        self._must(folder, ["info", "persistence"], "rdb_last_bgsave_status:ok")
        same = [self._ask(folder, "debug", "digest")]
        self._ask(folder, "debug", "reload", "nosave")  # what the child wrote
        same.append(self._ask(folder, "debug", "digest"))
        self._ask(folder, "debug", "reload")
        same.append(self._ask(folder, "debug", "digest"))
        if any(other != digest for other in same):
            raise RuntimeError(f"redis: the data is {digest}, and then {same}")
        return digest

    def _benchmark(self, folder, *arguments):
        subprocess.run(["redis-benchmark", "-s", "socket", "-q", "-P", "16", "-n", str(self.times(60000)),
                        *arguments], cwd=folder, env=ENVIRONMENT, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _ask(self, folder, *words):
        done = subprocess.run([shutil.which("redis-cli"), "-s", "socket", "-e", *words], cwd=folder, env=ENVIRONMENT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        said = done.stdout.decode()
        if done.returncode != 0:
            raise RuntimeError(f"redis-cli {words[0]}: {said}")
        return said.strip()

    def _must(self, folder, words, expected):
        said = self._ask(folder, *words)
        if expected not in said:
            raise RuntimeError(f"redis-cli {words[0]}: no {expected} in {said}")

    def _await(self, folder, words, expected):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(RuntimeError):
                if expected in self._ask(folder, *words):
                    return
            if time.monotonic() > deadline:
                raise RuntimeError(f"redis-cli {words[0]}: {expected} does not come")
            time.sleep(0.05)
