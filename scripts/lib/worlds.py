#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""worlds.py FILE... - the reports of asupersync-lab run --json as one table."""
import json
import sys

worlds = steps = 0
groups = {}
for name in sys.argv[1:]:
    try:
        with open(name, encoding="utf-8") as file:
            report = json.load(file)
    except ValueError:
        print(f"  {name}: no report")
        continue
    worlds += report["worlds"]
    steps += report["steps"]
    for group, rows in report["counts"].items():
        to = groups.setdefault(group, {})
        for row, count in rows.items():
            to[row] = to.get(row, 0) + count
for group, rows in groups.items():
    print(f"  {group}")
    for row, count in rows.items():
        print(f"  {count or 'never':>14}  {row}")
print(f"  {worlds} worlds, {steps} steps")
