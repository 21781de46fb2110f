# SPDX-License-Identifier: MIT
"""A mixed load from client processes that ride out a daemon which is killed all
the time, and what they were told, for a checker that knows nothing else.

    load.py KIND SOCKET DIRECTORY NAME SECONDS SEED

Every request is repeated, with its own session and request id, until it is
answered. What was answered goes to DIRECTORY/NAME.log, a JSON object a line:
client, call and end (CLOCK_MONOTONIC), op, args, code, body.
"""

import json
import os
import random
import sys
import time

import wire

PATIENCE = 60  # seconds after its time at which a client gives up: a daemon that hangs is a failure


class Client:
    """One session. A request is asked again until it is answered."""

    def __init__(self, path, log, name, seconds, ttl_s=120):
        self.path, self.name = path, name
        self.give_up = time.monotonic() + seconds + PATIENCE
        self.log = open(log, "a", buffering=1)
        self.wire = None
        self.secret = None
        self.ttl_ns = int(ttl_s * 1e9)
        self.number = 0
        self.session = None

    def connect(self):
        while True:
            if time.monotonic() > self.give_up:
                sys.exit(f"{self.name}: no answer for too long")
            try:
                self.wire = wire.Wire(self.path, timeout=20)
                args = {"ttl_ns": self.ttl_ns}
                if self.secret:
                    args["secret"] = self.secret
                code, body = self.wire.call("session.hello", args, session=False)
                if code == 0:
                    self.secret = self.wire.secret = body["secret"]
                    self.session = body["session"]
                    return
                if body["error"] == "expired":
                    self.note("session-expired", {}, code, body, time.monotonic())
                    self.secret = None
            except (OSError, EOFError, ValueError):
                pass
            self.drop()
            time.sleep(0.02)

    def drop(self):
        if self.wire:
            self.wire.close()
        self.wire = None

    def note(self, op, args, code, body, call):
        plain = {k: v.decode("latin-1") if isinstance(v, bytes) else v for k, v in (body or {}).items()
                 if k not in ("calls", "cancels")}
        shown = {k: v.decode("latin-1") if isinstance(v, bytes) else v for k, v in args.items()
                 if isinstance(v, (str, int, float, bool, bytes))}
        self.log.write(json.dumps({"client": self.session or self.name, "call": call,
                                   "end": time.monotonic(), "op": op, "args": shown,
                                   "code": code, "body": plain}, default=lambda v: v.decode("latin-1")) + "\n")

    def ask(self, op, args, patient=True):
        """(code, body) of one request, whatever happens meanwhile. `patient`: Unavailable and
        Busy are asked again, with a new id, since they bound nothing."""
        call = time.monotonic()
        # Before the answer, so that what was never answered is known too.
        self.log.write(json.dumps({"client": self.session or self.name, "begun": call, "op": op}) + "\n")
        while True:
            self.number += 1
            id = self.number
            while True:
                try:
                    if self.wire is None:
                        self.connect()
                    code, body = self.wire.call(op, args, id=id)
                    break
                except (OSError, EOFError, ValueError):
                    self.drop()
            if code != 0 and patient and body["error"] in ("unavailable", "busy"):
                if time.monotonic() > self.give_up:
                    sys.exit(f"{self.name}: {op}: {body} for too long")
                time.sleep(0.01)
                continue
            self.note(op, args, code, body, call)
            return code, body

    def ok(self, op, args):
        code, body = self.ask(op, args)
        if code != 0:
            raise AssertionError(f"{self.name}: {op} {args}: {code} {body}")
        return body


def shell(script):
    return ["/bin/sh", "-c", script]


def tasks(c, region, directory, rng, until):
    """Each task leaves one line; run twice, it would leave two."""
    n = 0
    while time.monotonic() < until:
        n += 1
        file = os.path.join(directory, f"ran.{c.name}.{n}")
        code = rng.choice([0, 0, 3, 7])
        args = {"region": region, "argv": shell(f"echo x >>{file}; exit {code}"), "label": f"{file} {code}"}
        if rng.random() < 0.5:
            args["key"] = f"{c.name}-{n}"
        task = c.ok("task.submit", args)["task"]
        if "key" in args:  # the same work under another request id is the same task
            again = c.ok("task.submit", args)["task"]
            assert again == task, (again, task)
        if rng.random() < 0.7:
            while c.ask("task.wait", {"task": task, "timeout_ns": int(5e9)})[0] != 0:
                pass


def senders(c, region, directory, rng, until):
    channel = region + "/mail"
    while time.monotonic() < until:
        code, body = c.ask("channel.reserve", {"channel": channel, "timeout_ns": int(1e9)})
        if code != 0:
            continue
        if rng.random() < 0.2:
            c.ask("channel.abort", {"obligation": body["obligation"]})
        else:
            c.ask("channel.send", {"obligation": body["obligation"], "data": b"%d" % rng.randrange(10**9)})


def receivers(c, region, directory, rng, until):
    channel = region + "/mail"
    while time.monotonic() < until:
        code, body = c.ask("channel.receive", {"channel": channel, "timeout_ns": int(0.5e9)})
        if code != 0:
            continue
        op = "channel.nack" if rng.random() < 0.15 else "channel.ack"
        c.ask(op, {"obligation": body["obligation"]})


def leases(c, region, directory, rng, until):
    while time.monotonic() < until:
        name = rng.choice(["a", "b"])
        code, body = c.ask("lease.acquire", {"region": region, "name": name, "ttl_ns": int(600e9),
                                             "timeout_ns": int(0.3e9) if rng.random() < 0.7 else 0})
        if code != 0:
            continue
        time.sleep(rng.random() * 0.01)
        c.ask("lease.release", {"obligation": body["obligation"]})


def sagas(c, region, directory, rng, until):
    n = 0
    while time.monotonic() < until:
        n += 1
        trail = os.path.join(directory, f"saga.{c.name}.{n}")
        fails = rng.random() < 0.5
        saga = c.ok("saga.begin", {"region": region})["saga"]
        failed = False
        for step in range(3):
            bad = fails and step == 2
            code, body = c.ask("saga.step", {
                "saga": saga, "name": f"s{step}",
                "action": {"argv": shell(f"echo do{step} >>{trail}; exit {1 if bad else 0}")},
                "undo": {"argv": shell(f"echo undo{step} >>{trail}")}})
            if code != 0:
                failed = True
                break
            while True:
                code, t = c.ask("task.wait", {"task": body["task"], "timeout_ns": int(5e9)})
                if code == 0:
                    break
            if t["outcome"]["outcome"] != "ok":
                failed = True
                break
        if not failed:
            c.ask("saga.complete", {"saga": saga})
        while c.ask("saga.wait", {"saga": saga, "timeout_ns": int(5e9)})[0] == -10:
            pass


def callers(c, region, directory, rng, until):
    """Calls whose result is known beforehand."""
    while time.monotonic() < until:
        number = rng.randrange(10**6)
        args = {"region": region, "call": "double", "input": b"%d" % number, "label": str(number),
                "retry": {"attempts": 100, "backoff_ns": int(1e6)}}
        task = c.ok("task.submit", args)["task"]
        while c.ask("task.wait", {"task": task, "timeout_ns": int(5e9)})[0] != 0:
            pass


def workers(c, region, directory, rng, until):
    """Computes; each beginning is told to the log, so that two at once are seen."""
    offered, completed = None, []
    while time.monotonic() < until + 2:
        if offered != c.session:
            c.ok("worker.offer", {"names": ["double"], "region": region, "concurrency": 4})
            offered = c.session
        code, body = c.ask("worker.next", {"most": 4, "timeout_ns": int(0.5e9), "completed": completed})
        if code != 0:
            if body["error"] in ("expired", "denied", "invalid"):
                offered = None
            if body["error"] == "timeout":
                completed = []
            continue
        completed = [{"task": call["task"], "attempt": call["attempt"], "outcome": "ok",
                      "result": b"%d" % (2 * int(call["input"]))} for call in body["calls"]]
    c.ask("worker.next", {"most": 1, "timeout_ns": 0, "completed": completed})


KINDS = {f.__name__: f for f in (tasks, senders, receivers, leases, sagas, callers, workers)}


def main():
    kind, path, directory, name, seconds, seed = sys.argv[1:]
    rng = random.Random(int(seed))
    c = Client(path, os.path.join(directory, name + ".log"), name, float(seconds))
    c.connect()
    KINDS[kind](c, "/load", directory, rng, time.monotonic() + float(seconds))
    c.ask("session.keepalive", {})


if __name__ == "__main__":
    main()
