# SPDX-License-Identifier: MIT
"""The engine is killed again and again under a mixed load; then a checker that
knows only what clients were told looks whether all of it is true.

    ASUP_CRASH_SECONDS   how long the load runs (default 5)
    ASUP_CRASH_SEED      of what the load does and when the engine dies
"""

import collections
import contextlib
import glob
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import linearize
import wire
from harness import Daemon, children

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = float(os.environ.get("ASUP_CRASH_SECONDS", "5"))
# What each kind of client brings into the report.
FIGURES = {"tasks": "tasks", "callers": "calls", "senders": "messages", "leases": "leases", "sagas": "sagas"}
PLANTED_ACTORS = (("senders", 2), ("receivers", 3), ("leases", 3))
PLANTED_SECONDS = 2.5
SEED = int(os.environ.get("ASUP_CRASH_SEED", str(random.randrange(10**6))))
POINTS = ("gathered", "before-commit", "after-commit", "before-release", "mid-release", "before-forget",
          "snapshot-taken", "snapshot-part", "snapshot-end", "truncate", "checkpoint", "folded", "before-listen")
FAULTS = ("fail write {n} once torn", "fail write {n} once io", "fail sync {n} once io", "fail write {n} once full")
# Snapshots come often, so that their points are passed too.
CONFIG = "journal:\n  snapshot-events: 400\n  snapshot-bytes: 64KiB\n  log-size: 256KiB\n"
ACTORS = (("tasks", 2), ("senders", 2), ("receivers", 3), ("leases", 3), ("sagas", 1), ("callers", 2),
          ("workers", 2))


class Told:
    """What the clients were told, from their logs."""

    def __init__(self, directory):
        self.answers = []
        self.pending = []
        for path in sorted(glob.glob(os.path.join(directory, "*.log"))):
            begun = None
            with open(path) as f:
                for line in f:
                    if not line.endswith("\n"):
                        continue  # its writer was killed in the middle
                    entry = json.loads(line)
                    if "begun" in entry:
                        begun = entry
                    else:
                        self.answers.append(entry)
                        begun = None
            if begun:
                self.pending.append(begun)
        self.answers.sort(key=lambda e: e["call"])

    def of(self, op, code=None):
        return [e for e in self.answers if e["op"] == op and (code is None or e["code"] == code)]


def lines_of(path):
    try:
        with open(path) as f:
            return f.read().split()
    except FileNotFoundError:
        return []


class Untrue(AssertionError):
    """Something that a client was told is not so."""


class Judge(unittest.TestCase):
    failureException = Untrue


class Truth:
    """The daemon when all is over, to compare with: what it should know and does not is untrue."""

    def __init__(self, connection):
        self.wire = connection

    def ok(self, op, args):
        code, body = self.wire.call(op, args)
        if code != 0:
            raise Untrue(f"{op} {args}: {body}")
        return body

    def call(self, op, args):
        return self.wire.call(op, args)


class Checker:
    def __init__(self, daemon, connection, told):
        self.case, self.daemon, self.told = Judge(), daemon, told
        self.wire = Truth(connection)

    def tasks(self):
        """Every acknowledged task ran exactly once, and its outcome is what the process did."""
        seen = {}
        for entry in self.told.of("task.submit", 0):
            if "call" in entry["args"]:
                continue
            file, code = entry["args"]["label"].rsplit(" ", 1)
            task = entry["body"]["task"]
            self.case.assertEqual(seen.setdefault(file, task), task, "one piece of work is two tasks")
            self.case.assertEqual(len(lines_of(file)), 1, f"{task} ran {len(lines_of(file))} times")
            t = self.wire.ok("task.stat", {"task": task})
            self.case.assertEqual(t["outcome"]["exit_code"], int(code), f"{task}: {t['outcome']}")
        for entry in self.told.of("task.wait", 0):
            now = self.wire.ok("task.stat", {"task": entry["body"]["id"]})["outcome"]
            self.case.assertEqual(entry["body"]["outcome"]["exit_code"], now["exit_code"])
        return len(seen)

    def calls(self):
        """Every call has the result of its computation."""
        count = 0
        for entry in self.told.of("task.submit", 0):
            if "call" not in entry["args"]:
                continue
            t = self.wire.ok("task.stat", {"task": entry["body"]["task"]})
            if t["outcome"]["outcome"] == "cancelled":
                continue  # by the close at the end, with no worker left
            self.case.assertEqual(t["outcome"]["outcome"], "ok", t)
            self.case.assertEqual(int(t["result"]), 2 * int(entry["args"]["label"]), t)
            count += 1
        return count

    def messages(self):
        """Each message sent was consumed once, or is a dead letter; none is both; none is lost."""
        sent = {e["body"]["message"] for e in self.told.of("channel.send", 0)}
        given = {e["body"]["obligation"]: e["body"]["message"] for e in self.told.of("channel.receive", 0)}
        acked = collections.Counter(given[e["args"]["obligation"]] for e in self.told.of("channel.ack", 0))
        dead, after = set(), None
        while True:
            page = self.wire.ok("channel.dead", {"region": "/", **({"after": after} if after else {})})
            for m in page["messages"]:
                dead.add(m["id"])
                after = m["id"]
            if not page.get("more"):
                break
        twice = [m for m, n in acked.items() if n > 1]
        self.case.assertFalse(twice, "consumed twice")
        self.case.assertFalse(set(acked) & dead, "consumed and dead")
        unsure = sum(1 for p in self.told.pending if p["op"] in ("channel.ack", "channel.send"))
        missing = sent - set(acked) - dead
        self.case.assertLessEqual(len(missing), unsure, f"lost: {sorted(missing)}")
        return len(sent)

    def message_order(self):
        """The channel's history is linearizable."""
        number = lambda id: int(id[1:])
        given, history = {}, []
        for e in self.told.answers:
            op, body, code = e["op"], e["body"], e["code"]
            span = (e["client"], e["call"], e["end"])
            if op == "channel.send" and code == 0:
                history.append(linearize.operation(*span, "send", None, number(body["message"])))
            elif op == "channel.receive" and code == 0:
                given[body["obligation"]] = number(body["message"])
                history.append(linearize.operation(*span, "receive", None, number(body["message"])))
            elif op in ("channel.ack", "channel.nack") and e["args"]["obligation"] in given:
                answer = "ok" if code == 0 else "late"
                history.append(linearize.operation(*span, op[8:], given[e["args"]["obligation"]], answer))
        for p in self.told.pending:
            if p["op"] == "channel.receive":
                history.append(linearize.operation(p["client"], p["begun"], None, "receive"))
        linearize.check(history, linearize.Channel)
        return len(history)

    def leases(self):
        """Exclusive by token, tokens grow: each name's history is linearizable."""
        names, held, tokens = collections.defaultdict(list), {}, []
        for e in self.told.answers:
            span = (e["client"], e["call"], e["end"])
            if e["op"] == "lease.acquire":
                answer = e["body"]["token"] if e["code"] == 0 else "refused"
                if e["code"] == 0:
                    held[e["body"]["obligation"]] = (e["args"]["name"], answer)
                    tokens.append(answer)
                names[e["args"]["name"]].append(linearize.operation(*span, "acquire", None, answer))
            elif e["op"] == "lease.release":
                name, token = held[e["args"]["obligation"]]
                answer = "ok" if e["code"] == 0 else "late"
                names[name].append(linearize.operation(*span, "release", token, answer))
        self.case.assertEqual(len(tokens), len(set(tokens)), "a token was granted twice")
        for history in names.values():
            linearize.check(history, linearize.Lease)
        return len(tokens)

    def sagas(self, directory):
        """Completed with nothing undone, or every started step undone in reverse, once."""
        count = 0
        for e in self.told.of("saga.begin", 0):
            saga = self.wire.call("saga.stat", {"saga": e["body"]["saga"]})[1]
            steps = [s for s in self.told.of("saga.step", 0) if s["args"]["saga"] == e["body"]["saga"]]
            trail = None
            for s in steps:
                trail = s  # the file's name is in the command, which the log leaves out
            count += 1
            self.case.assertIn(saga["state"], ("completed", "compensated"), saga)
            if trail is None:
                continue
        for path in glob.glob(os.path.join(directory, "saga.*")):
            if path.endswith(".log"):
                continue
            words = lines_of(path)
            done = [w for w in words if w.startswith("do")]
            undone = [w for w in words if w.startswith("undo")]
            self.case.assertEqual(done, [f"do{i}" for i in range(len(done))], f"{path}: {words}")
            if undone:
                self.case.assertEqual(words, done + [f"undo{i}" for i in reversed(range(len(done)))],
                                      f"{path}: {words}")
            else:
                self.case.assertEqual(len(done), 3, f"{path} is neither complete nor undone: {words}")
        return count

    def quiet(self):
        self.case.assertEqual(self.wire.ok("obligation.list", {"region": "/", "recursive": True})["obligations"], [])
        self.case.assertEqual(self.daemon.cgroup_processes(), [])


def engine_of(daemon):
    """The pid of the engine; 0 while there is none."""
    for pid in children(daemon.process.pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline") as f:
                if "--engine" in f.read().split("\0"):
                    return pid
    return 0


class Load(unittest.TestCase):
    def run_load(self, disturb, env=None, config="", seconds=SECONDS, least=4, actors=ACTORS):
        """Load until `seconds` have passed; `disturb(daemon, rng)` is called again and again, and
        says how often it did something: `least` times at least."""
        rng = random.Random(SEED)
        print(f"seed {SEED}", file=sys.stderr)
        d = Daemon(config, options=("--engine-restarts", "1000"), env=env)
        clients = []
        try:
            d.ctl("open", "--name", "load")
            with wire_of(d) as w:
                w.ok("channel.open", {"region": "/load", "name": "mail", "capacity": 32,
                                      "ack_timeout_ns": int(600e9), "nacks_max": 1000})
            out = d.path("told")
            os.mkdir(out, 0o700)
            for kind, count in actors:
                for i in range(count):
                    clients.append(subprocess.Popen(
                        [sys.executable, os.path.join(HERE, "load.py"), kind,
                         os.path.join(d.runtime, "asupersyncd.sock"), out, f"{kind}{i}", str(seconds),
                         str(rng.randrange(10**9))]))
            until = time.monotonic() + seconds
            disturbed = self.faults = 0
            while time.monotonic() < until:
                disturbed += disturb(d, rng)
            for c in clients:
                self.assertEqual(c.wait(120), 0, f"a client failed; seed {SEED}\n{d.said()[-2000:]}")
            d.ctl("close", "/load", code=None, timeout=120)
            told = Told(out)
            with wire_of(d) as w:
                checker = Checker(d, w, told)
                figures = {"kills": disturbed, "faults": self.faults, "tasks": checker.tasks(), "calls": checker.calls(),
                           "messages": checker.messages(),
                           "channel operations": checker.message_order(), "leases": checker.leases(),
                           "sagas": checker.sagas(out)}
                checker.quiet()
            print(figures, file=sys.stderr)
            self.assertGreaterEqual(disturbed, least)
            for kind, name in FIGURES.items():
                if kind in dict(actors):
                    self.assertGreater(figures[name], 0, name)
        except BaseException:
            sys.stderr.write(d.said()[-4000:])
            raise
        finally:
            for c in clients:
                if c.poll() is None:
                    c.kill()
                    c.wait()
            d.close()


class Crashes(Load):
    def test_the_engine_is_killed_at_random(self):
        def kill(d, rng):
            time.sleep(rng.uniform(0.02, 0.6))
            pid = engine_of(d)
            if pid:
                os.kill(pid, signal.SIGKILL)
            return 1 if pid else 0

        self.run_load(kill)

    def test_the_engine_dies_at_every_point_and_its_disk_fails(self):
        plan_dir = tempfile.mkdtemp(prefix="asup-plan.")
        plan = os.path.join(plan_dir, "plan")
        turns = []

        def strike(d, rng):
            if not turns:
                turns.extend(rng.sample(POINTS + FAULTS, len(POINTS + FAULTS)))
            what, n = turns.pop(), rng.choice((1, 2, 5, 20))
            line = what.format(n=n) if what in FAULTS else f"crash {what} {n}"
            self.faults += what in FAULTS
            before = engine_of(d)
            with open(plan + ".new", "w") as f:
                f.write(line + "\n")
            os.rename(plan + ".new", plan)
            if what in ("folded", "before-listen") and before:
                os.kill(before, signal.SIGKILL)
            end = time.monotonic() + 0.4
            while time.monotonic() < end and engine_of(d) == before:
                time.sleep(0.01)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(plan)
            time.sleep(rng.uniform(0, 0.15))
            return 1 if engine_of(d) != before else 0

        try:
            self.run_load(strike, {"ASUP_CRASH_PLAN": plan}, CONFIG)
        finally:
            shutil.rmtree(plan_dir)


class Planted(Load):
    """The checker finds the bugs that are planted in the engine (crash.h), and without them it
    finds none: what it says is worth something."""

    def setUp(self):
        self.plan_dir = tempfile.mkdtemp(prefix="asup-plan.")
        self.addCleanup(shutil.rmtree, self.plan_dir)
        self.plan = os.path.join(self.plan_dir, "plan")

    def write_plan(self, *lines):
        with open(self.plan + ".new", "w") as f:
            f.write("".join(line + "\n" for line in lines))
        os.rename(self.plan + ".new", self.plan)

    def load(self, *lines, until_it_dies=False):
        def disturb(d, rng):
            before = engine_of(d)
            if lines and not os.path.exists(self.plan):
                self.write_plan(*lines)
            end = time.monotonic() + 0.5
            while time.monotonic() < end and (not until_it_dies or engine_of(d) == before):
                time.sleep(0.01)
            return 1

        with contextlib.redirect_stderr(io.StringIO()):  # it fails on purpose
            self.run_load(disturb, {"ASUP_CRASH_PLAN": self.plan}, seconds=PLANTED_SECONDS,
                          least=1, actors=PLANTED_ACTORS)

    def test_nothing_planted(self):
        self.load()

    def test_a_lease_is_granted_while_it_is_held(self):
        with self.assertRaisesRegex(linearize.Failure, "acquire"):
            self.load("plant lease-stolen")

    def test_a_message_is_given_to_two_receivers(self):
        with self.assertRaisesRegex(linearize.Failure, "receive"):
            self.load("plant message-twice")

    def test_an_answer_leaves_before_its_commit(self):
        with self.assertRaises((Untrue, linearize.Failure)):
            self.load("plant early-answer", "crash before-commit 20", until_it_dies=True)


class wire_of:
    def __init__(self, daemon):
        self.daemon = daemon

    def __enter__(self):
        self.wire = wire.connect(self.daemon)
        return self.wire

    def __exit__(self, *_):
        self.wire.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
