#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A daemon's journal as a trace (R-EVT-1): saved while it runs, shown, verified,
replayed event by event, drawn, and compared with that of another daemon which
lived through the same story (R-EVT-3)."""

import json
import os
import subprocess
import unittest

import harness

LAB = os.environ.get("ASUPERSYNC_LAB", "asupersync-lab")


def lab(*args, code=0):
    p = subprocess.run([LAB, *map(str, args)], text=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.PATIENCE)
    if p.returncode != code:
        raise AssertionError(f"asupersync-lab {' '.join(map(str, args))}: exit {p.returncode}, "
                             f"expected {code}\nstdout: {p.stdout}\nstderr: {p.stderr}")
    return p


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def story(daemon, last=("true",)):
    """Little by little, each step when the one before it is done, so that nothing races."""
    shop = daemon.open("--name", "shop")
    daemon.ctl("defer", "/shop", "--", harness.ACTOR, "exit", "0")
    worker = daemon.ctl("submit", "--in", "/shop", "--label", "worker", "--",
                        "sleep", "1000").out.strip()
    daemon.ctl("wait", "--until", "started", worker)
    daemon.ctl("channel", "open", "/shop/orders")
    daemon.ctl("send", "/shop/orders", "one pizza")
    daemon.ctl("wait", daemon.ctl("submit", "--in", "/shop", "--label", "last", "--",
                                      *last).out.strip(), code=None)
    daemon.ctl("cancel", "--message", "enough", worker, code=None)
    daemon.ctl("wait", worker, code=None)
    return shop, worker


def same_text(events):
    return [(e["event"], e.get("label"), e.get("path")) for e in events]


class Traces(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.Daemon()
        cls.addClassCleanup(cls.daemon.close)
        cls.shop, cls.worker = story(cls.daemon)
        cls.file = os.path.join(cls.daemon.dir, "one.trace")
        lab("import", "--state-dir", cls.daemon.state, cls.file)
        cls.events = [e for e in lines(lab("show", "--json", cls.file).stdout) if "event" in e]

    def find(self, event, **also):
        found = [e for e in self.events if e["event"] == event and also.items() <= e.items()]
        self.assertTrue(found, f"no {event} {also}")
        return found[0]

    def test_R_EVT_1_it_says_what_the_daemon_said(self):
        told = [e for e in lines(self.daemon.ctl("--json", "events", "--since", "1").out)
                if e["event"].startswith(("region-", "task-", "channel-", "message-"))]
        mine = {e["seq"]: e for e in self.events}
        for e in told:
            if e["seq"] not in mine:  # volatile: not in a journal
                continue
            for key in ("event", "region", "task", "at_ns", "text", "message"):
                self.assertEqual(mine[e["seq"]].get(key), e.get(key), (key, e))
        created = self.find("task-created", task=self.worker)
        self.assertEqual(created["label"], "worker")
        self.assertEqual(created["path"], "/shop")
        self.assertEqual(self.find("message-sent")["channel_name"], "orders")
        reason = self.find("task-cancel-requested", task=self.worker)["reason"]
        self.assertEqual((reason["kind"], reason["message"]), ("user", "enough"))

    def test_people_can_read_it(self):
        shown = lab("show", self.file).stdout
        self.assertIn('task-created', shown)
        self.assertRegex(shown, rf'{self.worker} "worker" in /shop')
        self.assertRegex(shown, r'user at t\d+ "enough"')
        only = lab("show", "--task", self.worker, self.file).stdout
        self.assertNotIn("channel-opened", only)
        self.assertIn("task-completed", only)
        below = lab("show", "--region", "/shop", self.file).stdout
        self.assertIn("channel-opened", below)
        self.assertNotIn("session-opened", below)
        summary = lab("show", "--summary", "--json", self.file).stdout
        self.assertEqual(json.loads(summary)["tasks_ended"],
                         {"ok": 1, "err": 0, "cancelled": 1, "panicked": 0})

    def test_R_EVT_1_replayed_to_any_event_it_stands_as_it_stood(self):
        started = self.find("task-started", task=self.worker)["seq"]
        done = self.find("task-completed", task=self.worker)["seq"]
        then = json.loads(lab("replay", "--json", "--at", started, self.file).stdout)
        shop = then["tree"]["children"][0]
        self.assertEqual((shop["name"], shop["id"], shop["state"]), ("shop", self.shop, "open"))
        self.assertEqual([(t["label"], t["state"]) for t in shop["tasks"]], [("worker", "running")])
        self.assertIn("worker", lab("replay", "--at", started, self.file).stdout)
        before = json.loads(lab("replay", "--json", "--at", done - 1, self.file).stdout)
        self.assertNotEqual(before["tree"]["children"][0]["tasks"][0]["state"], "completed")
        now = json.loads(lab("replay", "--json", "--all", self.file).stdout)
        tree = self.daemon.json("tree", "--all")
        mine = now["tree"]["children"][0]["tasks"]
        theirs = tree["children"][0]["tasks"]
        self.assertEqual(sorted((t["id"], t["state"]) for t in mine),
                         sorted((t["id"], t["state"]) for t in theirs))
        steps = lab("replay", "--step", "--at", done, self.file).stdout
        self.assertIn("task cancelling -> finalizing", steps)

    def test_it_is_in_order_and_told_when_it_is_not(self):
        lab("verify", "--every", self.file)
        with open(self.file, "rb") as f:
            data = f.read()
        cut = os.path.join(self.daemon.dir, "cut.trace")
        with open(cut, "wb") as f:
            f.write(data[:-40])
        self.assertIn(f"byte {len(data) - 40}", lab("verify", cut, code=65).stderr)
        self.assertIn("task-created", lab("show", cut, code=65).stdout)
        with open(cut, "wb") as f:
            f.write(data[:len(data) // 2] + b"?" + data[len(data) // 2 + 1:])
        self.assertIn("check sum", lab("verify", cut, code=65).stderr)
        self.assertIn("no trace", lab("show", harness.__file__, code=65).stderr)
        lab("show", "/nowhere", code=66)
        lab("show", code=64)

    def test_R_EVT_3_another_daemon_with_the_same_story_tells_the_same(self):
        other = harness.Daemon()
        self.addCleanup(other.close)
        other.ctl("run", "true")  # so that its ids are others
        file = os.path.join(other.dir, "two.trace")
        story(other)
        lab("import", "--state-dir", other.state, file)
        lab("diff", self.file, self.file)
        lab("diff", "--exactly", self.file, file, code=1)
        different = lab("diff", self.file, file, code=1)
        self.assertIn("They part", different.stdout)

        same = harness.Daemon()
        self.addCleanup(same.close)
        story(same)
        lab("import", "--state-dir", same.state, file)
        lab("diff", self.file, file)
        failing = harness.Daemon()
        self.addCleanup(failing.close)
        story(failing, last=("false",))
        lab("import", "--state-dir", failing.state, file)
        where = json.loads(lab("diff", "--json", self.file, file, code=1).stdout)
        self.assertEqual(where["left"]["outcome"]["outcome"], "ok")
        self.assertEqual(where["right"]["outcome"]["outcome"], "err")

    def test_it_can_be_drawn(self):
        out = os.path.join(self.daemon.dir, "one.json")
        lab("show", "--perfetto", out, self.file)
        with open(out) as f:
            drawn = json.load(f)
        processes = {e["pid"]: e["args"]["name"] for e in drawn["traceEvents"]
                     if e["ph"] == "M" and e["name"] == "process_name"}
        threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in drawn["traceEvents"]
                   if e["ph"] == "M" and e["name"] == "thread_name"}
        self.assertIn(f"/shop ({self.shop})", processes.values())
        self.assertIn(f"{self.worker} worker", threads.values())
        spans = {}
        arrows = set()
        for e in drawn["traceEvents"]:
            self.assertIn(e["ph"], "MXibesf")
            if e["ph"] == "M":
                continue
            self.assertGreaterEqual(e["ts"], 0)
            self.assertIn((e["pid"], e["tid"]), threads, e)
            if e["ph"] == "X":
                self.assertGreaterEqual(e["dur"], 0)
            if e["ph"] in "be":
                spans[e["id"]] = spans.get(e["id"], 0) + (1 if e["ph"] == "b" else -1)
            if e["ph"] == "s":
                arrows.add(e["id"])
        self.assertEqual(set(spans.values()) - {0}, set())
        self.assertEqual(len(arrows), 1)
        states = [e["name"] for e in drawn["traceEvents"]
                  if e["ph"] == "X" and threads[(e["pid"], e["tid"])] == f"{self.worker} worker"]
        self.assertEqual(states[0], "created")
        self.assertEqual(states[-1], "finalizing")

    def test_a_journal_that_was_stopped_is_read_as_well(self):
        daemon = harness.Daemon()
        self.addCleanup(daemon.close)
        daemon.open("--name", "late")
        daemon.process.terminate()
        daemon.process.wait(harness.PATIENCE)
        file = os.path.join(daemon.dir, "late.trace")
        lab("import", "--state-dir", daemon.state, file)
        tree = json.loads(lab("replay", "--json", "--all", file).stdout)["tree"]
        self.assertEqual(tree["state"], "closed")
        lab("verify", file)
        lab("import", "--state-dir", daemon.runtime, file, code=66)
        lab("import", "--journal", harness.__file__, file, code=65)
        self.assertEqual(lab("verify", file).returncode, 0)  # it was left alone


if __name__ == "__main__":
    harness.main()
