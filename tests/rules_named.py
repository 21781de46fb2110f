#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every rule of asupersync-semantics(7), and every invariant that it lists, has a
test that is named after it.

    rules_named.py SOURCE_DIRECTORY

A rule R-REG-3 is named by a test function R_REG_3_..., or in a script by the
text R-REG-3; an invariant lane-unique by lane_unique_... or by its own text. Prints what is missing; exits 1 when something is.
"""

import os
import re
import sys

PAGE = os.path.join("man", "asupersync-semantics.7")
RULE = re.compile(r"\bR-[A-Z]{3}-[0-9]+\b")
INVARIANT = re.compile(r'^\.It Em ([a-zA-Z-]+)$', re.M)


def tests_of(root):
    """The text of all tests."""
    found = []
    for directory, _, files in sorted(os.walk(os.path.join(root, "tests"))):
        for name in sorted(files):
            if name.endswith((".c", ".py", ".sh")) and name != os.path.basename(__file__):
                with open(os.path.join(directory, name), encoding="utf-8") as f:
                    found.append(f.read())
    return "\n".join(found)


def main():
    root = sys.argv[1]
    with open(os.path.join(root, PAGE), encoding="utf-8") as f:
        page = f.read().replace("\\-", "-")
    tests = tests_of(root)
    named = {"R-%s-%s" % m for m in re.findall(r"\bR_([A-Z]{3})_([0-9]+)_", tests)}
    named |= set(RULE.findall(tests))
    rules = sorted(set(RULE.findall(page)))
    invariants = sorted(set(INVARIANT.findall(page)))
    missing = [r for r in rules if r not in named]
    missing += [i for i in invariants
                if i not in tests and i.lower().replace("-", "_") + "_" not in tests]
    if not rules or not invariants:
        sys.exit("%s lists no rules or no invariants" % PAGE)
    for what in missing:
        print("no test is named after", what)
    print("%d rules, %d invariants, %d without a test" % (len(rules), len(invariants), len(missing)))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
