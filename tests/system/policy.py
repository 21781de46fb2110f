# SPDX-License-Identifier: MIT
"""The rules of "access" in asupersyncd.yaml, with several users who try to get
around them (R-CAP-1, R-CAP-2, R-CAP-4).

Needs root: the daemon runs in system mode in a private directory, and its
rules let low users run tasks, whom nobody uses.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import unittest

import harness
import wire
from harness import ACTOR, CTL, DAEMON, eventually

EINVALID, ENOTFOUND, EDENIED, EREVOKED = -4, -5, -6, -20
LIMITED, MEMBER, GUEST, SHUT, ASTRAY, AUDITOR, OPERATOR, FREE = range(1, 9)
GROUP = 4711
SECOND = 1_000_000_000

RULES = f"""
retention: 1h
access:
  - users: [{SHUT}, {ASTRAY}]
    rights: none
  - users: [{LIMITED}]
    rights: [spawn, observe, io]
    budget: {{timeout: 1h, priority: 50, polls: 100, cost: 60000}}
  - groups: [{GROUP}]
    region: /ci
  - users: [{GUEST}]
    region: /ci
    rights: [spawn, observe]
  - users: [{ASTRAY}]              # the last that matches counts
    region: /squatted/deep
  - users: [{AUDITOR}]
    region: /
    rights: [observe]
  - users: [{OPERATOR}]
    rights: [admin]
"""


@contextlib.contextmanager
def acting_as(uid, groups=()):
    os.setgroups(list(groups))
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups([])


@unittest.skipUnless(os.geteuid() == 0, "needs root: several users")
class Policy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rules = "/tmp/asup.rules.policy." + str(os.getpid())
        with open(rules, "w") as f:
            f.write(f"allow {LIMITED}-{FREE}\n")
        cls.addClassCleanup(os.unlink, rules)
        cls.d = harness.Daemon(config=RULES, mode=("--engine-user", "nobody", "--run-as", rules))
        cls.addClassCleanup(cls.d.close)
        cls.actor = shutil.copy(ACTOR, cls.d.path("actor"))

    def setUp(self):
        self.root = self.as_user(0)
        self.ci = self.root.ok("region.open", {"name": "ci", "drain_ns": SECOND})["region"]
        self.addCleanup(self.leave)

    def leave(self):
        self.root = self.as_user(0)
        self.rules(RULES)
        for child in self.root.ok("region.tree")["children"]:
            self.root.ok("region.close", {"region": child["id"], "drain_ns": 0})
            self.root.ok("region.wait", {"region": child["id"]})
        self.d.assert_quiet()

    def as_user(self, uid, groups=(), hello=True):
        with acting_as(uid, groups):
            w = wire.connect(self.d, hello=hello)
        self.addCleanup(w.close)
        return w

    def rules(self, text):
        with open(self.d.config, "w") as f:
            f.write(text)
        self.root.ok("daemon.reload")

    def program(self, region, *argv, **fields):
        return {"region": region, "argv": list(argv), "cwd": "/", "env": {harness.MARK: self.d.mark}, **fields}

    def token_of(self, who, region, **fields):
        """The own capability of a task that stays."""
        task = who.ok("task.submit", self.program(region, "/bin/sh", "-c", "echo $ASUPERSYNC_CX; exec sleep 60",
                                                  **fields))["task"]
        said = eventually(lambda: self.root.ok("task.logs", {"task": task, "offset": 0})["data"], "it says it")
        return task, bytes.fromhex(said.decode().split()[0])

    def denied(self, answer, *words):
        code, body = answer
        self.assertEqual(EDENIED, code, body)
        for word in ("policy", *words):
            self.assertIn(word, body["message"] + body.get("hint", ""))

    def test_rights_are_withheld_from_a_user(self):
        """R-CAP-2: what is left works, and the rule is named for what is not."""
        w = self.as_user(LIMITED)
        region = w.ok("region.open", {})["region"]
        task, token = self.token_of(w, region, budget={"priority": 200, "timeout_ns": 7200 * SECOND})
        budget = w.ok("task.stat", {"task": task})["budget"]
        self.assertEqual(50, budget["priority"])
        self.assertLessEqual(budget["limit_left_ns"], 3600 * SECOND)
        self.assertEqual(100, budget["polls_left"])
        for op, args in (("task.cancel", {"task": task}), ("region.close", {"region": region}),
                         ("region.close", {"region": region, "mode": "cancel"}),
                         ("channel.open", {"region": region}), ("saga.begin", {"region": region}),
                         ("lease.acquire", {"region": region, "name": "n", "ttl_ns": SECOND}),
                         ("worker.offer", {"names": ["f"]}), ("cx.derive", {"region": region, "rights": ["observe"]})):
            self.denied(w.call(op, args), "config.yaml:6")
        self.assertEqual(EDENIED, w.call("daemon.shutdown")[0])
        # A free user is as ever.
        free = self.as_user(FREE)
        own = free.ok("region.open", {})["region"]
        free.ok("task.submit", self.program(own, "true"))
        self.assertEqual(ENOTFOUND, free.call("region.stat", {"region": region})[0])
        self.assertEqual([own], [c["id"] for c in free.ok("region.tree")["children"]])

    def test_nothing_is_a_way_around_it(self):
        """R-CAP-1, R-CAP-2: tasks, what they start and derive, batches, keys, finalizers, compensations."""
        w = self.as_user(LIMITED)
        region = w.ok("region.open", {"finalizers": [{"argv": ["true"], "budget": {"timeout_ns": 7200 * SECOND}}]})["region"]
        task, own = self.token_of(w, region)
        close = ("region.close", {"region": region})
        # The own capability of its task, and of one that this one starts.
        self.denied(w.call(*close, cx=own))
        self.denied(w.call("task.cancel", {"task": task}, cx=own))
        self.denied(w.call("cx.derive", {"region": region, "rights": ["close"]}, cx=own))
        child = w.ok("task.submit", self.program(region, "/bin/sh", "-c", "echo $ASUPERSYNC_CX; exec sleep 60"), cx=own)["task"]
        said = eventually(lambda: w.ok("task.logs", {"task": child, "offset": 0})["data"], "it says it")
        self.denied(w.call(*close, cx=bytes.fromhex(said.decode().split()[0])))
        self.assertLessEqual(w.ok("task.stat", {"task": child})["budget"]["priority"], 50)
        # In a batch, shown for one operation or for all.
        for atomic in (False, True):
            for cx in (None, own):
                results = w.ok("batch", {"atomic": atomic, "ops": [[cx, *close], [None, *close]]}, cx=own)["results"]
                self.assertEqual({EDENIED}, {code for code, _ in results})
        # By key and by another connection, and in another's region.
        key = {"key": "k"}
        self.denied(w.call("region.close", {"region": region, **key}))
        self.assertEqual(EDENIED, self.as_user(LIMITED, (GROUP + 1,)).call(*close)[0])
        self.assertEqual(ENOTFOUND, w.call("region.open", {"parent": self.ci})[0])
        self.assertEqual(ENOTFOUND, w.call("region.open", {"parent": "/ci"})[0])
        # It is asked again later, by a program that runs as that user and forgets what it was given.
        script = f"unset ASUPERSYNC_CX; {CTL} --socket {self.d.url} close {region}; echo $?; {CTL} --socket {self.d.url} --no-cx status"
        t = w.ok("task.submit", self.program(region, "/bin/sh", "-c", script))["task"]
        w.ok("task.wait", {"task": t})
        said = w.ok("task.logs", {"task": t, "offset": 0})["data"].decode()
        self.assertIn("125", said)
        self.assertEqual("open", w.ok("region.stat", {"region": region})["state"])
        # Root may show what is this user's: it is root.
        self.root.ok("region.close", {"region": region, "drain_ns": 0}, cx=own)

    def test_what_was_made_before_the_rules_is_bound_by_them(self):
        """R-CAP-4: regions, capabilities, sessions, parked requests, keys and compensations outlive no right."""
        self.rules("")
        w = self.as_user(LIMITED)
        region = w.ok("region.open", {})["region"]
        task, own = self.token_of(w, region)
        derived = w.ok("cx.derive", {"region": region, "rights": ["close", "cancel", "observe"]})["token"]
        channel = w.ok("channel.open", {"region": region})["channel"]
        held = w.ok("obligation.reserve", {"region": region})["obligation"]
        lease = w.ok("lease.acquire", {"region": region, "name": "n", "ttl_ns": 60 * SECOND})["obligation"]
        saga = w.ok("saga.begin", {"region": region})["saga"]
        answers = {}

        def wait(name, op, args, cx=None):
            v = self.waiting[name]
            answers[name] = v.call(op, args, cx=cx)[0]

        asks = {"receive": ("channel.receive", {"channel": channel, "timeout_ns": 60 * SECOND}),
                "task": ("task.wait", {"task": task}), "events": ("events.watch", {"region": region}),
                "derived": ("region.wait", {"region": region}, derived)}
        self.waiting = {name: self.as_user(LIMITED) for name in asks}
        before = self.root.ok("daemon.status")["waits"]
        threads = [threading.Thread(target=wait, args=(name, *ask)) for name, ask in asks.items()]
        for t in threads:
            t.start()
        eventually(lambda: self.root.ok("daemon.status")["waits"] >= before + len(asks), "they wait")
        self.rules(RULES.replace("rights: [spawn, observe, io]", "rights: [spawn, io]"))
        for t in threads:
            t.join(harness.PATIENCE)
        self.assertEqual({name: EREVOKED for name in asks}, answers)
        for cx in (None, own, derived):
            self.assertEqual(EDENIED, w.call("region.close", {"region": region}, cx=cx)[0])
            self.assertEqual(EDENIED, w.call("task.stat", {"task": task}, cx=cx)[0])
        self.denied(w.call("channel.send", {"channel": channel, "data": b"x"}))
        self.denied(w.call("saga.step", {"saga": saga, "name": "s", "undo": {"argv": ["true"]}}))
        # It gives back what it holds, and what it may still do goes on.
        w.ok("lease.release", {"obligation": lease})
        w.ok("obligation.commit", {"obligation": held})
        self.rules(RULES.replace(f"users: [{LIMITED}]\n    rights: [spawn, observe, io]", f"users: [{LIMITED}]\n    rights: none"))
        self.denied(w.call("region.open", {}))
        self.denied(w.call("task.submit", self.program(region, "true"), cx=own))
        self.denied(self.as_user(LIMITED, hello=False).call("session.hello"), "no rights")

    def test_a_team_works_in_a_region_that_root_opened(self):
        """R-CAP-2: whoever is of the group, in that region and what is in it, and nowhere else."""
        member, guest = self.as_user(MEMBER, (12, GROUP)), self.as_user(GUEST)
        build = member.ok("region.open", {"name": "build"})  # nobody need say where
        self.assertEqual("/ci/build", build["path"])
        self.assertEqual("/ci/build/x", guest.ok("region.open", {"parent": "/ci/build", "name": "x"})["path"])
        task = guest.ok("task.submit", self.program("/ci/build", self.actor, "forever"))["task"]
        guest.ok("task.wait", {"task": task, "until": "started"})
        self.assertEqual(["build"], [c["name"] for c in member.ok("region.tree")["children"]])
        self.assertIn(f'"{task}"', json.dumps(member.ok("events.watch", {"since": 0, "timeout_ns": 0, "limit": 1000})))
        self.assertEqual([task], [t["id"] for t in member.ok("task.list", {"recursive": True})["tasks"]])
        self.denied(guest.call("task.cancel", {"task": task}), '"cancel"', "/ci")
        member.ok("task.cancel", {"task": task})
        self.assertEqual("cancelled", guest.ok("task.wait", {"task": task})["outcome"]["outcome"])
        # Not the region itself, and nothing beside it.
        self.denied(member.call("region.close", {"region": "/ci"}))
        self.denied(member.call("region.open", {"parent": "/", "name": "mine"}), "another region")
        self.denied(member.call("worker.offer", {"names": ["f"], "region": "/"}))
        other = self.root.ok("region.open", {"name": "other"})["region"]
        for w in (member, guest):
            for op, args in (("region.stat", {"region": other}), ("why", {"id": other}),
                             ("task.submit", self.program(other, "true"))):
                self.assertEqual(ENOTFOUND, w.call(op, args)[0], op)
        why = json.dumps(guest.ok("why", {"id": "/"}))
        self.assertNotIn(f'"{other}"', why)
        seen = json.dumps(guest.ok("events.watch", {"region": "/", "since": 0, "timeout_ns": 0, "limit": 1000}))
        self.assertNotIn(f'"{other}"', seen)
        # Who is not of the group is not let in, and the group counts as the kernel says.
        self.assertEqual(ENOTFOUND, self.as_user(MEMBER).call("region.open", {"parent": "/ci"})[0])
        # A member's derived capability ends where the policy does.
        x = member.ok("cx.derive", {"region": "/ci/build", "rights": ["spawn", "close"]})
        member.ok("region.close", {"region": "/ci/build/x"}, cx=x["token"])
        self.assertEqual(EDENIED, self.as_user(MEMBER).call("region.open", {"parent": "/ci"}, cx=bytes(16))[0])
        self.assertEqual(EDENIED, guest.call("region.close", {"region": "/ci/build"}, cx=x["token"])[0])

    def test_a_region_that_is_not_there_or_not_roots(self):
        """R-CAP-2: whoever opens a region of that name first gains nothing by it."""
        squatter = self.as_user(FREE)
        squatter.ok("region.open", {"name": "squatted"})
        squatter.ok("region.open", {"name": "deep", "parent": "/squatted"})
        w = self.as_user(ASTRAY)
        self.denied(w.call("region.open", {}), "/squatted/deep", "config.yaml:", "open")
        self.denied(w.call("region.tree"))
        self.root.ok("region.open", {"name": "squatted"})
        top = self.root.ok("region.tree", {"region": "/squatted"})["id"]
        self.denied(w.call("region.open", {}))
        self.root.ok("region.open", {"name": "deep", "parent": top})
        self.assertEqual("/squatted/deep/mine", w.ok("region.open", {"name": "mine"})["path"])
        self.root.ok("region.close", {"region": top})
        self.root.ok("region.wait", {"region": top})
        self.denied(w.call("region.open", {}), "there is none")

    def test_who_is_shut_out_is_told_by_what(self):
        w = self.as_user(SHUT, hello=False)
        for op, args in (("session.hello", {}), ("region.open", {}), ("region.tree", {}), ("events.watch", {})):
            self.denied(w.call(op, args), "no rights", "config.yaml:4")
        results = w.ok("batch", {"ops": [[None, "region.open", {}], [None, "daemon.status", {}]]})["results"]
        self.assertEqual([EDENIED, 0], [code for code, _ in results])
        standing = w.ok("daemon.status")["standing"]
        self.assertEqual([], standing["rights"])
        p = subprocess.run([CTL, "--socket", self.d.url, "open"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, user=SHUT, group=SHUT, extra_groups=[])
        self.assertEqual(125, p.returncode)
        self.assertIn("policy", p.stderr)
        self.assertIn("config.yaml:4", p.stderr)

    def test_auditors_see_all_and_operators_reload(self):
        free = self.as_user(FREE)
        own = free.ok("region.open", {"name": "own"})["region"]
        task = free.ok("task.submit", self.program(own, self.actor, "forever"))["task"]
        auditor, operator = self.as_user(AUDITOR), self.as_user(OPERATOR)
        self.assertEqual("own", auditor.ok("region.stat", {"region": "/own"})["name"])
        self.assertEqual({"ci", "own"}, {c["name"] for c in auditor.ok("region.tree")["children"]})
        auditor.ok("task.stat", {"task": task})
        self.denied(auditor.call("task.cancel", {"task": task}))
        self.denied(auditor.call("region.open", {}))
        self.assertEqual(EDENIED, auditor.call("daemon.reload")[0])
        operator.ok("daemon.reload")
        self.assertEqual(ENOTFOUND, operator.call("task.cancel", {"task": task})[0])
        self.denied(operator.call("region.open", {}))

    def test_everybody_can_see_what_they_may(self):
        """R-CAP-2: daemon.status tells rights, region, ceilings and the rule."""
        limited = self.as_user(LIMITED).ok("daemon.status")["standing"]
        self.assertEqual(["spawn", "observe", "io"], limited["rights"])
        self.assertEqual((3600 * SECOND, 50, 100, 60000),
                         tuple(limited[key] for key in ("timeout_ns", "priority", "polls", "cost")))
        self.assertTrue(limited["rule"].endswith("config.yaml:6"), limited)
        self.assertIsNone(limited["region"])
        self.assertEqual("/ci", self.as_user(MEMBER, (GROUP,)).ok("daemon.status")["standing"]["region"])
        for w in (self.root, self.as_user(FREE)):
            self.assertIsNone(w.ok("daemon.status")["standing"]["rule"])
        self.assertIn("admin", self.root.ok("daemon.status")["standing"]["rights"])
        p = subprocess.run([CTL, "--socket", self.d.url, "status"], stdout=subprocess.PIPE, text=True,
                           user=LIMITED, group=LIMITED, extra_groups=[])
        self.assertIn("spawn, observe, io, for 1h00m, up to priority 50", p.stdout)

    def test_a_member_needs_to_know_nothing(self):
        """asupersyncctl open and run go where the policy says."""
        p = subprocess.run([CTL, "--socket", self.d.url, "run", "--", "sh", "-c",
                            "cd /; echo $ASUPERSYNC_REGION; asup=1"],
                           stdout=subprocess.PIPE, text=True, cwd="/",
                           env={"PATH": os.environ["PATH"], harness.MARK: self.d.mark},
                           user=MEMBER, group=GROUP, extra_groups=[])
        self.assertEqual(0, p.returncode)
        closed = self.root.ok("region.stat", {"region": p.stdout.strip()})
        self.assertTrue(closed["path"].startswith("/ci/"), closed["path"])

    def test_workers_serve_where_they_may(self):
        """R-CAP-2, R-CAP-4: in the region of the rule, and no longer than the rule lets them."""
        member = self.as_user(MEMBER, (GROUP,))
        self.assertEqual(EDENIED, self.as_user(GUEST).call("worker.offer", {"names": ["f"], "region": "/ci"})[0])
        member.ok("worker.offer", {"names": ["f"], "region": "/ci"})
        call = {"region": "/ci", "call": "f", "input": b"x"}
        first = member.ok("task.submit", call)["task"]
        calls = member.ok("worker.next", {"timeout_ns": SECOND})["calls"]
        self.assertEqual([first], [c["task"] for c in calls])
        waits = self.root.ok("daemon.status")["waits"]
        id = member.request("worker.next", {"timeout_ns": 60 * SECOND})
        eventually(lambda: self.root.ok("daemon.status")["waits"] > waits, "it waits for calls")
        self.rules(RULES.replace(f"groups: [{GROUP}]\n    region: /ci",
                                 f"groups: [{GROUP}]\n    region: /ci\n    rights: [spawn, observe]"))
        self.assertEqual((id, EREVOKED), member.reply()[:2])
        self.denied(member.call("worker.next", {"timeout_ns": 0}), '"serve"')
        second = member.ok("task.submit", call)["task"]
        # What it took it completes; nothing more comes.
        member.ok("task.complete", {"task": first, "outcome": "ok"})
        self.assertEqual("ok", member.ok("task.wait", {"task": first})["outcome"]["outcome"])
        self.denied(member.call("worker.next", {"timeout_ns": 0}))
        self.assertNotIn(member.ok("task.stat", {"task": second})["state"], ("running", "completed"))

    def test_what_was_admitted_goes_on_without_its_user(self):
        """R-SAG-2: the daemon undoes and finalizes, though the user may nothing any more."""
        free = self.as_user(FREE)
        region = free.ok("region.open", {"drain_ns": SECOND})["region"]
        note = self.d.path("undone")
        os.mkdir(note)
        os.chown(note, FREE, FREE)
        saga = free.ok("saga.begin", {"region": region})["saga"]
        free.ok("saga.step", {"saga": saga, "name": "s", "action": self.program(region, "true"),
                              "undo": self.program(region, "touch", note + "/saga")})
        free.ok("finalizer.defer", self.program(region, "touch", note + "/finalizer"))
        task, own = self.token_of(free, region)
        self.rules(RULES + f"  - users: [{FREE}]\n    rights: none\n")
        for cx in (None, own):
            self.denied(free.call("saga.complete", {"saga": saga}, cx=cx))
            self.denied(free.call("saga.abort", {"saga": saga}, cx=cx))
            self.denied(free.call("saga.step", {"saga": saga, "name": "t", "undo": {"argv": ["true"]}}, cx=cx))
        free.ok("task.checkpoint", {"task": task}, cx=own)
        self.root.ok("region.close", {"region": region})
        self.root.ok("region.wait", {"region": region})
        self.assertEqual({"saga", "finalizer"}, set(os.listdir(note)))

    def test_rules_with_a_mistake_change_nothing(self):
        self.assertEqual(EINVALID, self.reload_broken("access:\n  - users: [no-such-user]\n"))
        with open(self.d.config, "w") as f:
            f.write("access:\n  - users: [no-such-user]\n    rights: [fly]\n")
        p = subprocess.run([DAEMON, "--check-config", "--config", self.d.config], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        self.assertEqual(78, p.returncode)
        self.assertIn('config.yaml:2:13: there is no user "no-such-user"', p.stdout)
        self.assertIn('config.yaml:3:14: there is no right "fly"', p.stdout)
        self.assertEqual(["spawn", "observe", "io"],
                         self.as_user(LIMITED).ok("daemon.status")["standing"]["rights"])

    def reload_broken(self, text):
        with open(self.d.config, "w") as f:
            f.write(text)
        return self.root.call("daemon.reload")[0]

    def test_the_engine_that_comes_back_has_the_same_rules(self):
        w = self.as_user(LIMITED)
        region = w.ok("region.open", {})["region"]
        task, own = self.token_of(w, region)
        os.kill(self.d.engine_pid(), signal.SIGKILL)
        eventually(self.d.answers, "the engine is back")
        self.root = self.as_user(0)
        w = self.as_user(LIMITED)
        for cx in (None, own):
            self.denied(w.call("task.cancel", {"task": task}, cx=cx))
            w.ok("task.stat", {"task": task}, cx=cx)


if __name__ == "__main__":
    harness.main()
