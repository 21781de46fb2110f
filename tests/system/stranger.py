# SPDX-License-Identifier: MIT
"""A stranger with nothing but asupersync-protocol(7): the client printed there
works as printed, and replies hold what the page's tables say, no less and no
more. The tables come from the schema, as the page's do."""

import json
import os
import re
import subprocess
import sys
import unittest

import harness
import wire

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCHEMA_DUMP = os.environ.get("ASUP_SCHEMA_DUMP", "schema_dump")


def example():
    """The program in the page's EXAMPLES, as a reader sees it."""
    with open(os.path.join(ROOT, "man", "asupersync-protocol.7")) as f:
        examples = f.read().split(".Sh EXAMPLES")[1]
    return re.search(r"\.Bd -literal.*?\n(.*?)\n\.Ed", examples, re.S).group(1).replace(r"\e", "\\")


class Tables:
    """Checks a reply against what the schema says of it."""

    PLAIN = {"uint": int, "int": int, "bool": bool, "text": str, "bin": bytes, "bin16": bytes,
             "map": dict, "list": list}

    def __init__(self):
        schema = json.loads(subprocess.run([SCHEMA_DUMP, "json"], check=True,
                                           stdout=subprocess.PIPE).stdout)
        self.replies = {op["name"]: op["reply"] for op in schema["operations"]}
        self.shapes = {shape["name"]: shape["fields"] for shape in schema["shapes"]}

    def value(self, at, type, value):
        if "|" in type:
            if value is None and type.endswith("|nil"):
                return
            first, second = type.split("|")
            if second != "nil" and isinstance(value, self.PLAIN[second]):
                return
            type = first
        if type in self.shapes:
            self.map(at, self.shapes[type], value)
        elif type.startswith("list of "):
            for i, element in enumerate(value):
                self.value(f"{at}[{i}]", type[len("list of "):], element)
        elif type == "id":
            assert re.fullmatch(r"[rtsocmgx][1-9][0-9]*", value), f"{at}: no id: {value!r}"
        else:
            assert isinstance(value, self.PLAIN[type]), f"{at}: not {type}: {value!r}"
            assert type != "uint" or (value >= 0 and value is not True), f"{at}: {value!r}"
            assert type != "bin16" or len(value) == 16, f"{at}: {len(value)} bytes"

    def map(self, at, fields, value):
        fields = [f for field in fields for f in
                  (self.shapes[field["type"]] if field["name"] == "..." else [field])]
        known = {field["name"]: field["type"] for field in fields}
        for key, element in value.items():
            assert key in known, f"{at}: {key} is in no table"
            self.value(f"{at}.{key}", known[key].rstrip("?"), element)
        for key, type in known.items():
            assert key in value or type.endswith("?"), f"{at}: {key} is missing"

    def reply(self, op, body):
        self.map(op, self.replies[op], body)


class Stranger(harness.DaemonTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tables = Tables()

    def test_the_pages_example_works(self):
        program = example().replace("/run/asupersync/asupersyncd.sock",
                                    f"{self.d.runtime}/asupersyncd.sock")
        self.assertIn(self.d.runtime, program)
        p = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=harness.PATIENCE)
        self.assertEqual(0, p.returncode, p.stdout)
        self.assertEqual(2, p.stdout.count("'outcome': 'ok'"), p.stdout)

    def checked(self, op, args=None):
        body = self.w.ok(op, args)
        self.tables.reply(op, body)
        self.seen.add(op)
        return body

    def test_replies_hold_what_the_tables_say(self):
        self.w = wire.connect(self.d, hello=False)
        self.seen = set()
        self.say_hello_and_run_tasks()
        region = self.checked("region.open", {"name": "registry", "drain_ns": 0})["region"]
        for family in (self.obligations, self.channels, self.leases, self.workers, self.sagas,
                       self.capabilities):
            family(region)
        self.checked("events.watch", {"since": 0, "limit": 1000})
        self.checked("region.close", {"region": region, "mode": "cancel"})
        self.checked("region.wait", {"region": region})
        self.checked("session.bye")
        self.w.close()
        # Those end the daemon or its engine, which other tests still need.
        self.assertEqual(set(self.tables.replies) -
                         {"daemon.drain", "daemon.shutdown", "daemon.upgrade"}, self.seen)

    def obligations(self, region):
        other = wire.connect(self.d)
        session = other.ok("session.hello", {"secret": other.secret})["session"]
        args = {"region": region, "label": "an upload", "timeout_ns": 60 * 10**9}
        first, second, third = (self.checked("obligation.reserve", args)["obligation"]
                                for _ in range(3))
        self.checked("obligation.list", {"region": region})
        self.checked("why", {"id": first})
        self.checked("obligation.transfer", {"obligation": second, "to": session})
        other.ok("obligation.commit", {"obligation": second})
        self.checked("obligation.commit", {"obligation": first})
        self.checked("obligation.abort", {"obligation": third, "note": "enough"})
        other.ok("session.bye")
        other.close()

    def dead_letter(self, channel):
        """A message that its receiver refused, as often as the channel lets it."""
        sent = self.checked("channel.send", {"channel": channel, "data": b"x"})["message"]
        got = self.checked("channel.receive", {"channel": channel})
        self.assertEqual(sent, got["message"])
        self.checked("channel.message", {"message": sent})
        self.checked("channel.nack", {"obligation": got["obligation"], "note": "not now"})
        self.checked("channel.message", {"message": sent})
        return sent

    def channels(self, region):
        channel = self.checked("channel.open", {"region": region, "name": "box",
                                                "nacks_max": 1})["channel"]
        self.checked("why", {"id": channel})
        permit = self.checked("channel.reserve", {"channel": channel})["obligation"]
        self.checked("channel.abort", {"obligation": permit})
        message = self.dead_letter(channel)
        dead = self.checked("channel.dead", {"channel": "/registry/box"})["messages"]
        self.assertEqual([message], [m["id"] for m in dead])
        self.checked("channel.retry", {"message": message})
        got = self.checked("channel.receive", {"channel": channel})
        self.checked("channel.extend", {"obligation": got["obligation"]})
        self.checked("channel.stat", {"channel": channel})
        self.checked("channel.list", {"region": region})
        self.checked("channel.ack", {"obligation": got["obligation"]})
        self.checked("channel.discard", {"message": self.dead_letter(channel)})
        self.checked("channel.seal", {"channel": channel})

    def leases(self, region):
        lease = {"region": region, "name": "leader"}
        held = self.checked("lease.acquire", {**lease, "ttl_ns": 60 * 10**9})["obligation"]
        self.checked("lease.stat", lease)
        self.checked("lease.list", {"region": region})
        self.checked("lease.renew", {"obligation": held})
        self.checked("lease.release", {"obligation": held})

    def workers(self, region):
        self.checked("worker.offer", {"names": ["charge"], "region": region, "concurrency": 2})
        call = {"region": region, "call": "charge", "input": b"7", "retry": {"attempts": 2}}
        task = self.checked("task.submit", call)["task"]
        self.checked("task.stat", {"task": task})
        calls = self.checked("worker.next")["calls"]
        self.assertEqual([task], [c["task"] for c in calls])
        self.assertEqual([0], self.checked("worker.next", {"started": [task],
                                                           "timeout_ns": 0})["started"])
        self.checked("worker.list")
        self.checked("why", {"id": task})
        self.checked("task.complete", {"task": task, "outcome": "ok", "result": b"8"})
        self.checked("task.wait", {"task": task})
        task = self.checked("task.submit", call)["task"]
        self.checked("worker.next")
        self.checked("worker.next", {"started": [task], "timeout_ns": 0})
        self.checked("task.cancel", {"task": task})
        cancels = self.checked("worker.next")["cancels"]
        self.assertEqual([task], [c["task"] for c in cancels])
        completed = [{"task": task, "outcome": "cancelled"}]
        self.checked("worker.next", {"completed": completed, "timeout_ns": 0})
        self.checked("task.stat", {"task": task})
        self.checked("worker.drain")
        self.checked("worker.withdraw")

    def step(self, saga, undo):
        process = {"env": {harness.MARK: self.d.mark}}
        body = self.checked("saga.step", {
            "saga": saga, "name": "charge", "action": {**process, "argv": ["true"]},
            "undo": {**process, "argv": [undo]}, "retry": {"attempts": 1}})
        self.checked("task.wait", {"task": body["task"]})

    def sagas(self, region):
        for undo in ("true", "false"):
            saga = self.checked("saga.begin", {"region": region, "name": "order"})["saga"]
            self.step(saga, undo)
            self.checked("saga.stat", {"saga": saga})
            self.checked("saga.abort", {"saga": saga, "message": "enough"})
            if undo == "false":
                harness.eventually(
                    lambda: self.checked("saga.stat", {"saga": saga})["state"] == "needs-attention",
                    "a saga that cannot be undone")
                self.checked("why", {"id": saga})
                self.checked("saga.resolve", {"saga": saga, "how": "resolve"})
            self.checked("saga.wait", {"saga": saga})
        saga = self.checked("saga.begin", {"region": region})["saga"]
        self.step(saga, "true")
        self.checked("saga.complete", {"saga": saga})
        self.checked("saga.list", {"region": region, "all": True})

    def capabilities(self, region):
        cx = self.checked("cx.derive", {"region": region, "rights": ["spawn", "observe"],
                                        "timeout_ns": 60 * 10**9})["cx"]
        self.checked("cx.list", {"region": region})
        self.checked("cx.revoke", {"cx": cx})

    def say_hello_and_run_tasks(self):
        budget = {"timeout_ns": 60 * 10**9, "polls": 100, "cost": 10**6, "priority": 7}
        secret = self.checked("session.hello")["secret"]
        self.w.secret = secret
        self.checked("session.hello", {"secret": secret})
        self.checked("session.keepalive")
        region = self.checked("region.open", {
            "name": "stranger", "policy": "quorum", "quorum": 1, "budget": budget, "attach": True,
            "finalizers": [{"argv": ["true"]}]})["region"]
        self.checked("finalizer.defer", {"region": region, "argv": ["true"]})
        sleeper = {"region": "/stranger", "argv": ["sleep", "1000"], "label": "sleeper",
                   "env": {harness.MARK: self.d.mark}, "budget": budget}
        task = self.checked("task.submit", sleeper)["task"]
        other = self.checked("task.submit", {**sleeper, "argv": ["/does/not/exist"]})["task"]
        self.checked("task.wait", {"task": task, "until": "started"})
        self.checked("task.wait", {"task": other})
        self.checked("task.stat", {"task": other})
        self.checked("task.checkpoint", {"task": task})
        self.checked("task.progress", {"task": task, "cost": 1})
        self.checked("task.logs", {"task": other})
        self.checked("task.list", {"region": region, "all": True})
        self.checked("region.stat", {"region": region})
        self.checked("region.tree", {"all": True})
        self.checked("why", {"id": region})
        self.checked("task.cancel", {"task": task, "message": "enough", "drain_ns": 0})
        self.checked("task.wait", {"task": task})
        self.checked("region.close", {"region": region, "mode": "cancel", "drain_ns": 0})
        self.checked("region.wait", {"region": region})
        self.checked("region.stat", {"region": region})
        self.checked("events.watch", {"since": 0})
        self.checked("daemon.status")
        self.checked("daemon.reload")
        batch = self.checked("batch", {"ops": [[None, "task.stat", {"task": task}],
                                               [None, "why", {"id": "r1"}]]})
        for op, (code, body) in zip(("task.stat", "why"), batch["results"]):
            self.assertEqual(0, code, body)
            self.tables.reply(op, body)


class LastWords(unittest.TestCase):
    """Drain admits nothing more, shutdown ends what there is; the daemon ends by itself."""

    def test_drain_and_shutdown(self):
        tables = Tables()
        d = harness.Daemon()
        w = wire.connect(d, hello=False)
        tables.reply("daemon.upgrade", w.ok("daemon.upgrade"))
        w.close()
        harness.eventually(lambda: d.answers() and d.json("status")["engine_runs"] == 2, "a new one")
        w = wire.connect(d, hello=False)
        region = w.ok("region.open")["region"]
        w.ok("task.submit", {"region": region, "argv": ["sleep", "1000"],
                             "env": {harness.MARK: d.mark}})
        tables.reply("daemon.drain", w.ok("daemon.drain"))
        self.assertEqual(-7, w.call("region.open", {})[0])
        tables.reply("daemon.shutdown", w.ok("daemon.shutdown", {"within_ns": 10**10}))
        self.assertEqual(0, d.process.wait(harness.PATIENCE), d.said())
        w.close()
        d.close()


if __name__ == "__main__":
    harness.main()
