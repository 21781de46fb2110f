# SPDX-License-Identifier: MIT
"""Capabilities and idempotency keys with real processes (R-CAP, R-IDM)."""

import os
import signal
import subprocess
import threading
import unittest

import harness
import wire
from harness import CTL, eventually

EINVALID, EMALFORMED, EDENIED, EEXPIRED, EREVOKED = -4, -1, -6, -12, -20
SECOND = 1_000_000_000

# What a shell script that runs as a task does with asupersyncctl and nothing
# else: it finds daemon, region and capability in its environment.
SCRIPT = """
set -eu
say() { echo "$@"; }
t=$($CTL submit -- sh -c 'exit 3'); rc=0; $CTL wait -q $t || rc=$?; say spawn $rc
$CTL open --name sub >/dev/null; $CTL tree --json | grep -q '"/.*sub"' && say open
o=$($CTL obligation reserve --label upload); $CTL obligation commit $o; say obligation
$CTL lease run lock -- sh -c 'test -n "$ASUPERSYNC_LEASE_TOKEN$ASUPERSYNC_TOKEN" || true; echo held'
c=$($CTL channel open --name orders 2>/dev/null || $CTL channel open orders)
$CTL send $c hello >/dev/null; say got $($CTL receive $c)
$CTL defer $ASUPERSYNC_REGION -- sh -c 'echo finalized > '$OUT'/finalized' >/dev/null; say defer
rc=0; $CTL open --in / >/dev/null 2>&1 || rc=$?; say elsewhere $rc
rc=0; $CTL shutdown >/dev/null 2>&1 || rc=$?; say shutdown $rc
$CTL ps >/dev/null; say ps
x=$($CTL cx derive --rights observe)
rc=0; $CTL --cx $x submit -- true 2>/dev/null || rc=$?; say attenuated $rc
"""


class Capabilities(unittest.TestCase):
    def setUp(self):
        self.d = harness.Daemon()
        self.addCleanup(self.d.close)
        self.w = wire.connect(self.d)
        self.addCleanup(self.w.close)

    def token_of(self, task):
        said = eventually(lambda: self.w.ok("task.logs", {"task": task, "offset": 0})["data"], "it says its capability")
        return bytes.fromhex(said.decode().split()[0])

    def holder(self, region):
        """A task that says its capability and stays."""
        return self.d.submit(region, "sh", "-c", "echo $ASUPERSYNC_CX; exec sleep 60")

    def test_a_script_does_all_of_it_through_its_capability(self):
        """R-CAP-2: spawn, reserve, lease, register finalizers, in its own region and nowhere else."""
        region = self.d.open("--name", "web")
        task = self.d.submit(region, "sh", "-c", SCRIPT, options=("--env", f"CTL={CTL}", "--env", f"OUT={self.d.dir}"))
        self.d.ctl("wait", task, code=None)
        said = self.d.ctl("logs", task).out.split("\n")
        for line in ("spawn 3", "open", "obligation", "held", "got hello", "defer", "elsewhere 125", "shutdown 125",
                     "ps", "attenuated 125"):
            self.assertIn(line, said, said)
        self.d.ctl("close", region, code=None)
        self.assertEqual("finalized", self.d.await_file("finalized"))

    def test_tokens_outlive_engine_and_daemon_but_stand_nowhere(self):
        """R-CAP-1: tokens never appear in events, logs or the journal; ids do."""
        region = self.d.open("--name", "web")
        task = self.holder(region)
        own = self.token_of(task)
        derived = self.w.ok("cx.derive", {"region": region, "rights": ["observe"], "timeout_ns": 600 * SECOND})
        token = derived["token"]
        os.kill(self.d.engine_pid(), signal.SIGKILL)
        again = eventually(lambda: self.connected(), "the engine is back")
        self.addCleanup(again.close)
        self.assertEqual("/web", again.ok("region.stat", {"region": region}, cx=token)["path"])
        self.assertEqual("running", again.ok("task.stat", {"task": task}, cx=own)["state"])
        self.assertEqual(EDENIED, again.call("task.cancel", {"task": task}, cx=token)[0])
        events = again.ok("events.watch", {"since": 0, "timeout_ns": 0, "limit": 1000})
        self.assertIn(derived["cx"], str(events))
        for secret in (own, token):
            self.assertNotIn(secret.hex(), str(events) + self.d.said())
            self.assertNotIn(repr(secret), str(events))
            for at, _, files in os.walk(self.d.state):
                for name in files:
                    with open(os.path.join(at, name), "rb") as f:
                        data = f.read()
                    self.assertNotIn(secret, data, name)
                    if not name.endswith(".log") or at.find("logs") < 0:  # the task's own output says it
                        self.assertNotIn(secret.hex().encode(), data, name)
        self.d.ctl("close", "--drain", "0s", region, code=None)
        self.assertEqual(EEXPIRED, again.call("region.stat", {"region": region}, cx=token)[0])

    def connected(self):
        return wire.connect(self.d) if self.d.answers() else None

    def test_what_was_not_given_out_is_refused(self):
        """R-CAP-1: forged, changed, cut and borrowed tokens."""
        region = self.d.open("--name", "web")
        token = self.token_of(self.holder(region))
        for bad in (bytes(16), os.urandom(16), token[::-1], bytes([token[0] ^ 0x80]) + token[1:],
                    token[:15] + bytes([token[15] ^ 1]), token[:5] + bytes([token[5] ^ 1]) + token[6:]):
            code, body = self.w.call("region.tree", {"region": region}, cx=bad)
            self.assertEqual(EDENIED, code)
            self.assertEqual("cx", body["field"])
        for bad in (token[:15], token + b"\0", b"", token.hex(), 7, True, [token]):
            self.assertEqual(EMALFORMED, self.w.call("region.tree", {"region": region}, cx=bad)[0], bad)
        # In a batch each operation shows its own; without one it is the batch's.
        results = self.w.ok("batch", {"ops": [[token, "region.stat", {"region": region}],
                                              [bytes(16), "region.stat", {"region": region}],
                                              [None, "region.stat", {"region": "/"}]]}, cx=token)["results"]
        self.assertEqual([0, EDENIED, EDENIED], [code for code, _ in results])
        results = self.w.ok("batch", {"atomic": True, "ops": [[token, "region.open", {"parent": region}],
                                                              [token, "region.open", {"parent": "/"}]]})["results"]
        self.assertNotIn(0, [code for code, _ in results])
        self.d.ctl("close", "--drain", "0s", region, code=None)
        self.assertEqual(EEXPIRED, self.w.call("region.stat", {"region": region}, cx=token)[0])

    def test_revoking_takes_the_subtree_and_answers_who_waits(self):
        """R-CAP-4: at once, and giving back goes on."""
        region = self.d.open("--name", "web")
        task = self.holder(region)
        own = self.token_of(task)
        first = self.w.ok("cx.derive", {"region": region, "rights": ["observe", "io", "lease", "delegate"]}, cx=own)
        second = self.w.ok("cx.derive", {"rights": ["observe", "io", "lease"]}, cx=first["token"])
        self.assertEqual([first["cx"], second["cx"]],
                         [x["id"] for x in self.w.ok("cx.list", {"region": region})["capabilities"]])
        held = self.w.ok("obligation.reserve", {"region": region}, cx=second["token"])["obligation"]
        self.assertEqual(task, self.w.ok("obligation.list", {"region": region})["obligations"][0]["holder"])
        answers = {}

        def wait(name, op, args):
            w = wire.connect(self.d)
            answers[name] = w.call(op, args, cx=second["token"])[0]
            w.close()

        waiting = [threading.Thread(target=wait, args=a) for a in (
            ("region", "region.wait", {"region": region}), ("task", "task.wait", {"task": task}),
            ("events", "events.watch", {"region": region}),
            ("logs", "task.logs", {"task": task, "offset": 1000, "timeout_ns": 60 * SECOND}))]
        for t in waiting:
            t.start()
        eventually(lambda: self.d.json("status")["waits"] >= 4, "all of them wait")
        self.w.ok("cx.revoke", {"cx": first["cx"]}, cx=own)
        for t in waiting:
            t.join(harness.PATIENCE)
        self.assertEqual({"region": EREVOKED, "task": EREVOKED, "events": EREVOKED, "logs": EREVOKED}, answers)
        self.assertEqual(EREVOKED, self.w.call("obligation.commit", {"obligation": held}, cx=second["token"])[0])
        self.assertEqual(EREVOKED, self.w.call("obligation.reserve", {"region": region}, cx=second["token"])[0])
        self.w.ok("obligation.abort", {"obligation": held}, cx=second["token"])
        self.d.ctl("close", "--drain", "0s", region, code=None)

    def test_only_attenuated(self):
        """R-CAP-1, R-BUD-1: never more than what it is derived from."""
        region = self.d.open("--name", "web")
        w = self.w
        x = w.ok("cx.derive", {"region": region, "rights": ["spawn", "observe", "delegate"], "priority": 60,
                               "timeout_ns": 300 * SECOND})
        self.assertEqual(EDENIED, w.call("cx.derive", {"rights": ["cancel"]}, cx=x["token"])[0])
        self.assertEqual(EDENIED, w.call("cx.derive", {"region": "/", "rights": ["observe"]}, cx=x["token"])[0])
        code, body = w.call("cx.derive", {"region": region, "rights": ["fly"]})
        self.assertEqual((EINVALID, "rights"), (code, body["field"]))
        t = w.ok("task.submit", {"region": region, "argv": ["sh", "-c", "echo $ASUPERSYNC_CX; exec sleep 60"],
                                 "budget": {"priority": 90}, "env": {harness.MARK: self.d.mark}},
                 cx=x["token"])["task"]
        self.assertEqual(60, w.ok("task.stat", {"task": t})["budget"]["priority"])
        # What it made has no more, though it is the task's own.
        own = self.token_of(t)
        self.assertEqual(EDENIED, w.call("region.close", {"region": region}, cx=own)[0])
        w.ok("cx.revoke", {"cx": x["cx"]})
        self.assertEqual(EREVOKED, w.call("task.submit", {"region": region, "argv": ["true"]}, cx=own)[0])
        self.d.ctl("close", "--drain", "0s", region, code=None)

    def test_the_example_wraps_a_capability_in_a_request(self):
        p = self.d.ctl("run", "--", os.environ["ASUP_CONTEXT"], input="echo hello\nexit 7\nsleep 60\n", code=None)
        self.assertEqual(["200", "500", "499"], p.out.split())
        self.d.assert_quiet()


class Keys(unittest.TestCase):
    def setUp(self):
        self.d = harness.Daemon()
        self.addCleanup(self.d.close)

    def test_the_same_again_is_the_same_task(self):
        """R-IDM-1: running or done, after a crash of the engine, and after its region closed."""
        region = self.d.open("--name", "web", "--key", "place")
        self.assertEqual(region, self.d.open("--name", "web", "--key", "place"))
        count = self.d.path("count")
        command = ("sh", "-c", f"echo once >> {count}; exit 3")
        task = self.d.submit(region, *command, options=("--key", "job"))
        self.assertEqual(task, self.d.submit(region, *command, options=("--key", "job")))
        self.assertEqual(3, self.d.outcome(task)["exit_code"])
        os.kill(self.d.engine_pid(), signal.SIGKILL)
        eventually(self.d.answers, "the engine is back")
        self.assertEqual(task, self.d.submit(region, *command, options=("--key", "job")))
        self.d.ctl("close", region, code=None)
        self.assertEqual(task, self.d.submit(region, *command, options=("--key", "job")))
        self.assertEqual(3, self.d.outcome(task)["exit_code"])
        with open(count) as f:
            self.assertEqual("once\n", f.read())

    def test_another_request_with_that_key_is_a_conflict(self):
        region = self.d.open()
        self.d.ctl("submit", "--in", region, "--key", "job", "--", "true")
        p = self.d.ctl("submit", "--in", region, "--key", "job", "--", "false", code=125)
        self.assertIn("conflict", p.err)
        other = self.d.open()
        self.d.ctl("submit", "--in", other, "--key", "job", "--", "false")

    def test_many_at_once_make_one(self):
        region = self.d.open()
        ps = [self.d.popen("submit", "--in", region, "--key", "job", "--", "true", stdout=subprocess.PIPE)
              for _ in range(12)]
        ids = {p.communicate(timeout=harness.PATIENCE)[0] for p in ps}
        self.assertEqual(1, len(ids))
        self.assertEqual(1, self.d.json("show", region)["tasks_total"])

    def test_a_message_is_sent_once(self):
        region = self.d.open("--name", "web")
        channel = self.d.json("channel", "open", "/web/orders")["channel"]
        first = self.d.ctl("send", "--key", "m1", channel, "hello").out
        self.assertEqual(first, self.d.ctl("send", "--key", "m1", channel, "hello").out)
        self.assertNotEqual(first, self.d.ctl("send", "--key", "m2", channel, "hello").out)
        self.d.ctl("send", "--key", "m1", channel, "other", code=125)
        self.d.ctl("close", region, code=None)


if __name__ == "__main__":
    unittest.main(verbosity=2)
