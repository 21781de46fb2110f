#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the README and asup_lab(3) tell of the mailer is what happens.

    story.py SOURCE DIRECTORY...

The directories hold the programs. A line "$ COMMAND" is run, and the lines after
it are what it prints: "..." stands for any lines, and at the end of a line for
the rest of it. Commands that are printed are compared exactly; in other lines a
number stands for any, as ids and times change with what the kernel tells. A
line of a diff is in the source of the program.
"""

import os
import re
import subprocess
import sys
import tempfile

EXACT = re.compile(r"reproduce with:|replay with:|with the program itself:|^all is well")


def readme(text):
    section = text.split("\n## In the lab\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```\w+\n(.*?)^```$", section, re.M | re.S)


def page(text):
    blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.M | re.S)
    blocks = [re.sub(r"\\\[u([0-9A-F]{4})\]", lambda m: chr(int(m[1], 16)), b) for b in blocks]
    return [b.replace("\\-", "-").replace("\\&", "").replace("\\e", "\\") for b in blocks]


def likeness(line):
    line = " ".join(line.split())
    return line if EXACT.search(line) else re.sub(r"[0-9]+", "0", line)


def same(told, line):
    told, line = likeness(told), likeness(line)
    if told.endswith(" ..."):
        return line.startswith(told[:-4])
    return told == line


def differs(told, lines):
    """What of the lines told is not among those printed, in that order; None: nothing."""
    at, skip = 0, False
    for one in told:
        if one.strip() == "...":
            skip = True
            continue
        while skip and at < len(lines) and not same(one, lines[at]):
            at += 1
        if at == len(lines) or not same(one, lines[at]):
            return one
        at, skip = at + 1, False
    return None if skip or at == len(lines) else "(nothing more)"


def run(where, block):
    """Number of commands; those that do not print what is told are shown."""
    failed, count = 0, 0
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, *told = part.rstrip("\n").split("\n")
        if not command.startswith(("mailer", "asupersync-lab")):
            continue
        done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, timeout=60, check=False)
        count += 1
        missing = differs(told, done.stdout.rstrip("\n").split("\n"))
        if missing is not None:
            failed += 1
            print(f"{where}: $ {command}\ntells: {missing}\nprinted:\n{done.stdout}")
    return count, failed


def compared(where, block, source):
    failed = 0
    for line in block.split("\n"):
        if line[:1] in ("+", " ") and line[1:].strip() and line[1:] not in source:
            failed += 1
            print(f"{where}: the source has no line '{line[1:]}'")
    return failed


def main():
    top = sys.argv[1]
    os.environ["PATH"] = os.pathsep.join(sys.argv[2:] + [os.environ["PATH"]])
    os.environ["NO_COLOR"] = "1"
    with open(os.path.join(top, "examples/lab/mailer.c"), encoding="utf-8") as f:
        source = f.read().split("\n")
    failed = 0
    for name, blocks_of in (("README.md", readme), ("man/asup_lab.3", page)):
        with open(os.path.join(top, name), encoding="utf-8") as f:
            blocks = blocks_of(f.read())
        commands, diffs = 0, 0
        with tempfile.TemporaryDirectory() as directory:
            os.chdir(directory)
            for block in blocks:
                if block.startswith("$ "):
                    count, wrong = run(name, block)
                    commands += count
                    failed += wrong
                elif re.search(r"^\+", block, re.M):
                    diffs += 1
                    failed += compared(name, block, source)
            os.chdir("/")
        print(f"{name}: {commands} commands, {diffs} diffs")
        failed += commands < 5 or diffs == 0
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
