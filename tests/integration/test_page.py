#!/usr/bin/env python3
"""The page of goallocctl serve in a real browser: it shows the heap, goes on by itself, tells what the
pointer rests on, zooms, sorts, survives its server, takes no name for markup, and logs no error. And what
Prometheus' own tool says of the metrics, and Go's of the profiles.

    test_page.py BIN_DIR

Ends with 77 where there is no chromium, promtool or go."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from browser import WAIT_S, Browser

NAME = "<b id=x>evil</b>"  # of the client that fills the heap


def check(good, what):
    if not good:
        raise AssertionError(what)


class Heap:
    """A server, a client that allocates and frees, and what is tested."""

    def __init__(self, bin_dir):
        self.bin_dir = bin_dir
        self.folder = tempfile.mkdtemp(prefix="goalloc-page-")
        self.socket = os.path.join(self.folder, "sock")
        self.name = f"page.{os.getpid()}"
        self.server = self.load = self.serve = None

    def program(self, name):
        return os.path.join(self.bin_dir, name)

    def start_server(self, *arguments):
        self.server = subprocess.Popen(
            [self.program("goallocd"), "--name", self.name, "--socket", self.socket, "--limit", "256M",
             "--ephemeral", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + WAIT_S
        while subprocess.call([self.program("goallocctl"), "--socket", self.socket, "status"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            check(time.monotonic() < deadline, "goallocd serves")
            time.sleep(0.05)

    def start_load(self):
        self.load = subprocess.Popen([self.program("page_load"), self.socket, NAME],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        check(self.load.stdout.readline() == "ready\n", "the heap is filled")

    def start_serve(self):
        self.serve = subprocess.Popen(
            [self.program("goallocctl"), "--socket", self.socket, "serve", "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, text=True)
        line = self.serve.stdout.readline()
        check(self.name in line, "goallocctl says what it serves: " + line)
        return line.split()[-1]

    def goallocctl(self, *arguments):
        done = subprocess.run([self.program("goallocctl"), "--socket", self.socket, *arguments], capture_output=True)
        check(done.returncode == 0, f"goallocctl {arguments}: {done.stderr.decode()}")

    def close(self):
        for process in (self.load, self.serve, self.server):
            if process and process.poll() is None:
                process.terminate()
                process.wait()
        for suffix in ("meta", "bits", "heap"):
            path = f"/dev/shm/goalloc.{self.name}.{suffix}"
            if os.path.exists(path):
                os.unlink(path)
        shutil.rmtree(self.folder, ignore_errors=True)


def metrics_are_sound(url):
    with urllib.request.urlopen(url + "metrics") as answer:
        text = answer.read()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    check(done.returncode == 0, f"promtool: {done.stderr.decode()}")


def profiles_are_read(url):
    """By the tool that reads those of Go programs, from where it looks for them."""
    for name, kind in (("heap", "inuse_space"), ("allocs", "alloc_space")):
        done = subprocess.run(["go", "tool", "pprof", "-top", url + "debug/pprof/" + name],
                              capture_output=True, text=True,
                              env={**os.environ, "PPROF_TMPDIR": tempfile.gettempdir()})
        check(done.returncode == 0 and f"Type: {kind}" in done.stdout and " main" in done.stdout,
              f"go tool pprof: {done.stdout} {done.stderr}")


SITES = "document.querySelector('#sites tbody').textContent"


def it_says_that_nothing_is_sampled(browser):
    browser.wait(f"{SITES}.includes('goallocctl profile --rate')", "how sampling is switched on")


def it_tells_sites(browser, heap):
    # All in one: what is in use goes up and down, and with it whether there is anything to tell.
    row = ("[...document.querySelectorAll('#sites tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
           f".some(r => r.length === 6 && r[0] === 'main' && r[5].startsWith('{heap.load.pid} page_load')"
           " && [r[1], r[3]].every(t => t.endsWith('MiB') && parseFloat(t) > 10))")
    browser.wait(row, "where it is allocated, how much, and by whom")
    check("in 64.0 KiB is sampled" in browser.run("document.querySelector('#sites-note').textContent"), "the rate")
    browser.click("#sites th:nth-child(4)")
    check(browser.run("document.querySelector('#sites th:nth-child(4)').ariaSort") == "descending", "it sorts")


def it_shows(browser, heap):
    browser.wait("document.body.dataset.alive === 'true'", "the page has the state")
    browser.wait("document.querySelector('#map').dataset.by === 'state'", "the map is drawn")
    check(browser.run("document.querySelector('#heap-name').textContent") == heap.name, "the heap's name")
    check(browser.run("document.querySelectorAll('.tile').length") == 7, "seven tiles")
    browser.wait("[...document.querySelectorAll('.chart')].every(c => c.querySelectorAll('path.line').length)",
                 "three charts with lines")
    browser.wait("document.querySelectorAll('#classes tbody tr').length >= 5", "size classes")
    check(str(heap.load.pid) in browser.run("document.querySelector('#clients tbody').textContent"),
          "the process is named")
    check(browser.run("document.querySelectorAll('#legend > div').length") == 6, "a legend of six")


def it_updates(browser):
    first = int(browser.run("document.body.dataset.sequence"))
    line = browser.run("document.querySelector('#chart-rates path.line').getAttribute('d')")
    browser.wait(f"document.body.dataset.sequence > {first + 2}", "it goes on by itself")
    check(browser.run("document.querySelector('#chart-rates path.line').getAttribute('d')") != line,
          "the chart moves")
    browser.wait("parseFloat(document.querySelector('#clients tbody td:nth-child(4)').textContent) > 0",
                 "mallocs a second")
    at = browser.run("document.querySelector('#map').dataset.sequence")
    browser.wait(f"document.querySelector('#map').dataset.sequence > {at}", "the map goes on, too")


def place_in_map(browser, x, y):
    """A place in the window, by the shares of the map's width and height."""
    browser.run("document.querySelector('#map').scrollIntoView({block: 'center'})")
    left, top, width, height = browser.run(
        "(b => [b.x, b.y, b.width, b.height])(document.querySelector('#map').getBoundingClientRect())")
    return left + x * width, top + y * height


def tip_at(browser, x, y):
    browser.mouse("mouseMoved", *place_in_map(browser, x, y))
    return browser.run("document.querySelector('#tip').hidden ? '' : document.querySelector('#tip').textContent")


def find_tip(browser, holds):
    """A tip that holds a text, wherever in the map: its arenas lie as the window allows."""
    tip = ""
    for y in range(2, 100, 7):
        for x in range(3, 100, 9):
            tip = tip_at(browser, x / 100, y / 100)
            if holds in tip:
                return tip
    raise AssertionError(f"no tip of the map holds '{holds}'; the last one: {tip}")


def it_hovers(browser):
    tip = find_tip(browser, "slots of")
    check(tip.startswith("0x5") or tip.startswith("0x7"), "an address: " + tip)
    check("slots of" in tip and NAME in tip, "slots, and whose they are: " + tip)
    tip_at(browser, 0.1, -0.1)
    browser.wait("document.querySelector('#tip').hidden", "the tip goes when the pointer does")
    chart = browser.run("(b => [b.x + b.width / 2, b.y + b.height / 2])"
                        "(document.querySelector('#chart-memory svg').getBoundingClientRect())")
    browser.mouse("mouseMoved", *chart)
    check("in spans:" in browser.run("document.querySelector('#tip').textContent"), "charts tell, too")


def it_zooms(browser):
    zoom = "parseFloat(document.querySelector('#map').dataset.zoom)"
    check(browser.run(zoom) == 1, "all is shown at first")
    x, y = place_in_map(browser, 0.2, 0.2)
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-600)
    browser.wait(zoom + " > 1.5", "the wheel zooms in")
    before = browser.run(zoom)
    browser.click("#zoom-in")
    browser.wait(f"{zoom} > {before} * 1.5", "the button zooms in")
    find_tip(browser, "0x")
    browser.click("#zoom-all")
    browser.wait(zoom + " === 1", "all is shown again")


def it_colours(browser):
    for by in ("class", "owner", "occupancy", "age"):
        browser.click(f"#map-by [data-by={by}]")
        browser.wait(f"document.querySelector('#map').dataset.by === '{by}'", "coloured by " + by)
        if by == "owner":
            check(NAME in browser.run("document.querySelector('#legend').textContent"), "owners are named")
    check(browser.run("document.querySelector('#x')") is None, "a name is no markup")
    light = browser.run("getComputedStyle(document.body).backgroundColor")
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    check(browser.run("getComputedStyle(document.body).backgroundColor") != light, "there is a dark page")


def it_sorts(browser):
    column = "[...document.querySelectorAll('#classes tbody tr td:first-child')].map(c => c.textContent)"
    browser.click("#classes th:first-child")
    check(browser.run(column + "[0]") == "large", "largest first")
    browser.click("#classes th:first-child")
    check(browser.run(column + ".at(-1)") == "large", "smallest first")


def it_survives_its_server(browser, heap):
    heap.server.kill()
    heap.server.wait()
    browser.wait("!document.querySelector('#banner').hidden", "the page says that the server is away")
    heap.start_server()
    browser.wait("document.querySelector('#banner').hidden", "and that it is back")
    first = int(browser.run("document.body.dataset.sequence"))
    browser.wait(f"document.body.dataset.sequence > {first}", "and goes on")


def it_ends(browser, heap):
    heap.serve.send_signal(signal.SIGTERM)
    check(heap.serve.wait(WAIT_S) == 0, "goallocctl ends with 0")
    check(not browser.errors, "the page has logged: " + "; ".join(browser.errors))


def main():
    chromium = shutil.which("chromium")
    if not chromium or not shutil.which("promtool") or not shutil.which("go"):
        print("skipped: there is no chromium, no promtool, or no go")
        return 77
    heap = Heap(sys.argv[1])
    browser = None
    try:
        heap.start_server("--profile-rate", "0")
        url = heap.start_serve()
        browser = Browser(chromium, 1440, 1300)
        browser.open(url)
        it_says_that_nothing_is_sampled(browser)
        heap.goallocctl("profile", "--rate", "64K")
        heap.start_load()
        metrics_are_sound(url)
        profiles_are_read(url)
        it_shows(browser, heap)
        it_tells_sites(browser, heap)
        it_updates(browser)
        it_hovers(browser)
        it_zooms(browser)
        it_colours(browser)
        it_sorts(browser)
        it_survives_its_server(browser, heap)
        it_ends(browser, heap)
    finally:
        if browser:
            browser.close()
        heap.close()
    print("the page is sound")
    return 0


sys.exit(main())
