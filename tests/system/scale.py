# SPDX-License-Identifier: MIT
"""Many things at once in a real daemon, over one connection with requests in a
pipeline: as many as the limits allow, one more, and control meanwhile.

    scale.py            the default limits, some seconds
    scale.py --full     10^5 channels, 10^6 obligations and 10^5 parked receivers
                        under raised limits; prints time and memory of each
"""

import itertools
import struct
import sys
import threading
import time

import msgpack

import harness
import wire

CHANNELS, OBLIGATIONS, WAITS = 10000, 100000, 12288  # limits of one user (asupersyncd.yaml(5))
EBUSY = -9
RAISED = """
limits:
  waits-per-daemon: 200000
  waits-per-user: 200000
  channels-per-daemon: 200000
  channels-per-user: 200000
  obligations-per-daemon: 2000000
  obligations-per-user: 2000000
"""


class Pipe:
    """A connection with any number of requests in flight."""

    def __init__(self, daemon):
        self.wire = wire.connect(daemon, timeout=120)
        self.buffer = bytearray()
        self.at = 0

    def send(self, op, args, count):
        head = [1, 0, self.wire.secret, None, op, args]
        data = bytearray()
        for id in itertools.islice(self.wire.ids, count):
            head[1] = id
            body = struct.pack(">I", 0x80000000 | id) + msgpack.packb(head)
            data += b"\x01" + struct.pack(">Q", len(body)) + body
        self.wire.socket.sendall(data)

    def answer(self):
        while True:
            have = len(self.buffer) - self.at
            if have >= 9:
                size = struct.unpack_from(">Q", self.buffer, self.at + 1)[0]
                if have >= 9 + size:
                    payload = bytes(self.buffer[self.at + 13:self.at + 9 + size])
                    self.at += 9 + size
                    if self.at > 1 << 20:
                        del self.buffer[:self.at]
                        self.at = 0
                    return msgpack.unpackb(payload, strict_map_key=False)[2:]
            more = self.wire.socket.recv(1 << 20)
            if not more:
                raise EOFError("the daemon closed the connection")
            self.buffer += more

    def ask(self, op, args, count):
        """All of them at once; their (code, body), read while they are sent."""
        sender = threading.Thread(target=self.send, args=(op, args, count))
        sender.start()
        answers = [self.answer() for _ in range(count)]
        sender.join()
        return answers

    def close(self):
        self.wire.close()


class Full(harness.DaemonTest):
    """Each test fills one limit of a user, and then some."""

    def setUp(self):
        self.pipe = Pipe(self.d)
        self.pipe.wire.ok("region.open", {"name": "big"})

    def tearDown(self):
        self.pipe.wire.call("region.close", {"region": "/big", "drain_ns": 0})
        self.pipe.close()
        super().tearDown()

    def control(self):
        """What an operator needs is quick while all is full: no listing, no queue, no walk."""
        other = wire.connect(self.d)
        began = time.monotonic()
        other.ok("daemon.status")
        other.ok("region.tree", {"depth": 1})
        region = other.ok("region.open", {"name": "other"})["region"]
        task = other.ok("task.submit", {"region": region, "argv": ["sleep", "1000"]})["task"]
        other.ok("task.cancel", {"task": task})
        other.ok("task.wait", {"task": task})
        other.ok("region.close", {"region": region})
        other.ok("why", {"id": "/big"})
        self.assertLess(time.monotonic() - began, 5)
        other.close()

    def refused(self, answers, limit, count):
        self.assertEqual(count, len(answers))
        for code, body in answers:
            self.assertEqual((EBUSY, "busy", limit), (code, body["error"], body["limit"]))
            self.assertIn(limit, body["message"])

    def test_R_SCH_4_as_many_channels_as_a_user_may_have(self):
        answers = self.pipe.ask("channel.open", {"region": "/big"}, CHANNELS + 100)
        self.assertEqual({0}, {code for code, _ in answers[:CHANNELS]})
        self.refused(answers[CHANNELS:], "channels-per-user", 100)
        self.control()
        # What there is works on, and its end makes room.
        last = answers[CHANNELS - 1][1]["channel"]
        self.pipe.wire.ids = itertools.count(10**6)
        self.assertEqual(0, self.pipe.ask("channel.send", {"channel": last, "data": b"x"}, 1)[0][0])
        code, body = self.pipe.ask("channel.receive", {"channel": last}, 1)[0]
        self.assertEqual((0, b"x"), (code, body["data"]))
        self.assertEqual(0, self.pipe.ask("channel.ack", {"obligation": body["obligation"]}, 1)[0][0])
        self.assertEqual(CHANNELS, len(self.pipe.ask("channel.list", {"region": "/big"}, 1)[0][1]["channels"]))
        self.pipe.ask("region.close", {"region": "/big"}, 1)
        self.pipe.ask("region.open", {"name": "big"}, 1)
        self.assertEqual(0, self.pipe.ask("channel.open", {"region": "/big"}, 1)[0][0])

    def test_R_SCH_4_as_many_obligations_as_a_user_may_owe(self):
        many = {"ops": [[None, "obligation.reserve", {"region": "/big"}]] * 1000}
        answers = self.pipe.ask("batch", many, OBLIGATIONS // 1000)
        results = [r for _, body in answers for r in body["results"]]
        self.assertEqual((OBLIGATIONS, {0}), (len(results), {code for code, _ in results}))
        self.assertEqual(OBLIGATIONS, len({body["obligation"] for _, body in results}), "no id twice")
        self.refused(self.pipe.ask("obligation.reserve", {"region": "/big"}, 10), "obligations-per-user", 10)
        self.control()
        # One is settled, one more fits. Then all end with their region.
        self.pipe.ask("obligation.commit", {"obligation": results[50000][1]["obligation"]}, 1)
        answers = self.pipe.ask("obligation.reserve", {"region": "/big"}, 2)
        self.assertEqual([0, EBUSY], [code for code, _ in answers])
        self.pipe.ask("region.close", {"region": "/big", "drain_ns": 0}, 1)
        code, body = self.pipe.ask("region.wait", {"region": "/big"}, 1)[0]
        self.assertTrue(code == 0 or body["error"] == "not-found", body)
        self.pipe.ask("region.open", {"name": "big"}, 1)
        self.assertEqual(0, self.pipe.ask("obligation.reserve", {"region": "/big"}, 1)[0][0])

    def test_R_SCH_4_as_many_parked_receivers_as_a_user_may_have(self):
        self.pipe.ask("channel.open", {"region": "/big", "name": "q", "capacity": 2 * WAITS}, 1)
        receive = ("channel.receive", {"channel": "/big/q", "timeout_ns": 600 * 10**9})
        parked = Pipe(self.d)
        parked.send(*receive, WAITS)
        harness.eventually(lambda: self.d.json("status")["waits"] == WAITS, "all are parked")
        self.refused(self.pipe.ask(*receive, 10), "waits-per-user", 10)
        began = time.monotonic()
        self.pipe.ask("channel.stat", {"channel": "/big/q"}, 1)
        self.assertLess(time.monotonic() - began, 1)
        # Nothing is lost: each message goes to one of them, in order.
        def send():
            answers = self.pipe.ask("channel.send", {"channel": "/big/q", "data": b"x"}, WAITS)
            self.assertEqual({0}, {code for code, _ in answers})
        sender = threading.Thread(target=send)
        sender.start()
        got = [parked.answer() for _ in range(WAITS)]
        sender.join()
        self.assertEqual({0}, {code for code, _ in got})
        messages = [int(body["message"][1:]) for _, body in got]
        self.assertEqual(sorted(set(messages)), messages)
        # Parked again, and their connection goes: none takes anything (R-SES-1).
        parked.send(*receive, WAITS)
        harness.eventually(lambda: self.d.json("status")["waits"] == WAITS, "all are parked")
        parked.close()
        harness.eventually(lambda: self.d.json("status")["waits"] == 0, "none is parked")
        stat = self.pipe.ask("channel.stat", {"channel": "/big/q"}, 1)[0][1]
        self.assertEqual((0, 0, WAITS), (stat["queued"], stat["receivers"], stat["unacked"]))
        self.control()


# ---- The whole of it ---------------------------------------------------------------------


def memory(pid):
    """Resident now and at most, in MiB."""
    with open(f"/proc/{pid}/status") as f:
        lines = dict(line.split(":", 1) for line in f)
    return [int(lines[name].split()[0]) >> 10 for name in ("VmRSS", "VmHWM")]


def full():
    d = harness.Daemon(RAISED)
    pipe, other = Pipe(d), Pipe(d)

    def trial(what, count, act):
        began = time.monotonic()
        act()
        took = time.monotonic() - began
        now, most = memory(d.engine_pid())
        print(f"{what}: {count} in {took:.2f} s, {took / count * 1e6:.1f} us each; resident {now} MiB, "
              f"at most {most} MiB", flush=True)

    def good(answers):
        assert all(code == 0 for code, _ in answers), next(a for a in answers if a[0] != 0)

    def waits(count):
        harness.eventually(lambda: d.json("status")["waits"] == count, "so many are parked", 120)

    def park():
        other.send("channel.receive", {"channel": "/big/q", "timeout_ns": 600 * 10**9}, 10**5)
        waits(10**5)

    def deliver():
        sender = threading.Thread(target=lambda: good(
            pipe.ask("channel.send", {"channel": "/big/q", "data": b"x"}, 10**5)))
        sender.start()
        good([other.answer() for _ in range(10**5)])
        sender.join()

    def end():
        pipe.ask("region.close", {"region": "/big", "drain_ns": 0}, 1)
        pipe.ask("region.wait", {"region": "/big"}, 1)

    def fresh():
        pipe.ask("region.open", {"name": "big"}, 1)
        pipe.ask("channel.open", {"region": "/big", "name": "q", "capacity": 10**6}, 1)

    fresh()
    trial("channels opened", 10**5, lambda: good(pipe.ask("channel.open", {"region": "/big"}, 10**5)))
    trial("receivers parked", 10**5, park)
    trial("messages sent to them", 10**5, deliver)
    trial("receivers parked again", 10**5, park)
    trial("their connection closed", 10**5, lambda: (other.close(), waits(0)))
    trial("region closed", 10**5, end)
    fresh()
    many = {"ops": [[None, "obligation.reserve", {"region": "/big"}]] * 1000}
    trial("obligations", 10**6, lambda: good(pipe.ask("batch", many, 1000)))
    trial("region closed", 10**6, end)
    d.close()


if __name__ == "__main__":
    if "--full" in sys.argv:
        full()
    else:
        harness.main()
