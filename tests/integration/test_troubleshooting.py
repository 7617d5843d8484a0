#!/usr/bin/env python3
"""Compares goalloc-troubleshooting(7) with the sources: each message that goallocd, the library and
goallocctl can print is in the page, and each in the page is printed; and so are the errors and the exit
statuses that other pages have.

usage: test_troubleshooting.py SOURCE_FOLDER"""

import glob
import os
import re
import sys

# Messages are the strings of these files that have three words or more. Not of those that have
# wrong usage, which tells by itself what is allowed, nor those of what programs print as answers.
FOLDERS = ["server/*.c", "server/shell/*.c", "client/*.c", "shm/snapshot.c", "shm/view.c"]
WITHOUT = ["server/shell/options.c", "server/shell/option_table.c", "server/shell/config_file.c",
           "server/shell/events.c", "server/shell/size_text.c"]
TOOLS = ["ask", "check", "destroy", "listen_address", "live_heap", "map", "map_source", "new_file", "open", "profile",
         "quiet", "run", "run_family", "run_server", "shm_client_stats", "shm_heap", "snapshot",
         "source", "stillness"]
# Strings that are no messages: what goes on well, and what is read or written for programs.
NO_MESSAGES = r"""
goallocd: ...: ...
...-... ... ... ...:... ...
heap '...': ... client..., ... of ...
STOPPING=1STATUS=heap '...': ending
fallocate, since io_uring is refused: ...
fallocate, as asked for
stops processes, as asked for
it is one of the kernel's
no object lies there
and ... more
in motion, process ... is stopped: ...
... page...: ... in spans, ... not; ... client..., ... mcache..., ... root..., ... hold...
checked in use: ... second look..., ... in motion
the server names no heap that can be
removed heap '...'
process ... (...)...
... client... ...; ...:
heap '...' as its shared memory shows it; its server is ...
writing with ...
flushing to the disk
wrote heap '...', ... committed, to ...: ...
...: ...
... (error ...)
...: ...: ...
the heap begins and ends between huge pages
... ... ... 10 6
""".strip().split("\n")

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)\'|[A-Za-z_]\w*|\s+|.', re.S)
PLACE = re.compile(r"%[-#0-9.*]*(?:l|ll|z|h)*[sduxXpciof]|%[0-9]*(?=$|[^a-zA-Z%])")


def plain(text):
    """A message with ... for each part that is not always the same."""
    text = PLACE.sub("...", text.replace("\\n", "").replace('\\"', '"'))
    text = re.sub(r"\.{4,}", "...", text)
    text = re.sub(r"\.\.\.#", "...", text)
    text = re.sub(r"^(goallocctl: )?(\.\.\.: (?=[a-zA-Z(]))?", "", text)
    return text.strip()


def strings(path):
    """The strings of a C file, adjacent ones joined, but for those of assertions and of the log's lower levels."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    macros = dict(re.findall(r'#define (\w+) +"([^"\n]*)"', text))
    text = re.sub(r"^\s*#.*?(?<!\\)$", "", text, flags=re.S | re.M)
    string, told = None, True
    for match in TOKEN.finditer(text + ";"):
        token = match.group(0)
        if token[0] == '"':
            string = (string or "") + token[1:-1]
        elif token in macros:
            string = (string or "") + macros[token]
        elif token.isspace() or token[:2] == "/*" or (string is not None and re.match(r"(PRI|SCN)", token)):
            continue
        else:
            if string is not None and told:
                yield string
            string = None
            told = told and token not in ("static_assert", "GA_LOG_INFO", "GA_LOG_DEBUG", "GA_LOG_TRACE") \
                or token == ";"


def messages(source):
    found = {}
    files = [file for folder in FOLDERS for file in glob.glob(f"{source}/{folder}")]
    files += [f"{source}/client/ctl/{tool}.c" for tool in TOOLS]
    for path in sorted(files):
        name = os.path.relpath(path, source)
        for string in strings(path) if name not in WITHOUT else ():
            message = plain(string)
            if message.count(" ") >= 2 and message not in NO_MESSAGES and re.search("[a-z]{2}", message):
                found.setdefault(message, name)
    return found


def unquote(text):
    return plain(text.replace('""', '"').replace("\\(aq", "'").replace("\\-", "-").replace("\\(dq", '"'))


def page(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return text, [unquote(item) for item in re.findall(r'^\.It "(.*)"$', text, flags=re.M)]


def statuses(path):
    with open(path, encoding="utf-8") as file:
        section = file.read().split(".Sh EXIT STATUS")[1].split(".Sh ")[0]
    return re.findall(r"^\.It (\d+)$", section, flags=re.M)


def main():
    source = sys.argv[1]
    text, items = page(f"{source}/client/man/goalloc-troubleshooting.7")
    said = messages(source)
    faults = [f"{name}: '{message}' is not in the page" for message, name in said.items() if message not in items]
    faults += [f"the page has '{item}', which nothing says" for item in items if item not in said]
    faults += [f"the page has '{item}' twice" for item in sorted(set(items)) if items.count(item) > 1]
    with open(f"{source}/proto/error.c", encoding="utf-8") as file:
        errors = re.findall(r"^    X\((E[A-Z]+),", file.read(), flags=re.M)
    if len(errors) < 20 or len(said) < 300:
        faults.append(f"only {len(errors)} errors and {len(said)} messages are found in the sources")
    faults += [f"the error {error} is not in the page" for error in errors
               if not re.search(rf"^\.It .*\bEr {error}\b", text, flags=re.M)]
    for manual in ("server/goallocd.8", "client/ctl/goallocctl.1"):
        faults += [f"the exit status {status} of {manual} is not in the page" for status in statuses(f"{source}/{manual}")
                   if not re.search(rf'^\.It {status} (?:both|goallocd|goallocctl)$', text, flags=re.M)]
    print("\n".join(faults) if faults else f"{len(said)} messages, {len(errors)} errors")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
