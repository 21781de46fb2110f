# SPDX-License-Identifier: MIT
"""What was acknowledged survives: engines that are killed at random and at
every named point of the journal's path, the whole daemon killed or stopped,
disks that fail and fill. A client that was told something asks again."""

import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest

import harness
import wire
from harness import eventually

EUNAVAILABLE, EEXPIRED, ECONFLICT, EGAP = -13, -12, -11, -16
POINTS = ("gathered", "before-commit", "after-commit", "before-release", "mid-release",
          "before-forget", "snapshot-taken", "snapshot-part", "snapshot-end", "truncate",
          "checkpoint", "folded", "before-listen")


class Client:
    """A session that rides out engine restarts: it connects again, and says again
    what was not answered."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.number = 0
        self.wire = None
        self.secret = None
        self.connect()

    def connect(self):
        def attempt():
            try:
                self.wire = wire.connect(self.daemon, hello=False)
                self.secret = self.wire.hello(**({"secret": self.secret} if self.secret else {}))["secret"]
                return True
            except (OSError, EOFError, ValueError):
                return False
        eventually(attempt, lambda: "connected again\n" + self.daemon.said())

    def call(self, op, args=None, id=None):
        """(code, body); the same request id however often it is said."""
        if id is None:
            self.number += 1
            id = 1000 + self.number
        while True:
            try:
                return self.wire.call(op, args, id=id)
            except (OSError, EOFError, ValueError):
                self.wire.close()
                self.connect()

    def ok(self, op, args=None, **options):
        code, body = self.call(op, args, **options)
        if code != 0:
            raise AssertionError(f"{op}: {code} {body}\n{self.daemon.said()}")
        return body

    def close(self):
        self.wire.close()


class Case(unittest.TestCase):
    config = ""

    def setUp(self):
        self.plan_dir = tempfile.mkdtemp(prefix="asup-plan.")
        self.plan_path = os.path.join(self.plan_dir, "plan")
        self.d = harness.Daemon(self.config, options=("--engine-restarts", "1000"),
                                env={"ASUP_CRASH_PLAN": self.plan_path})

    def tearDown(self):
        self.mend()
        self.d.close()
        shutil.rmtree(self.plan_dir, ignore_errors=True)

    def plan(self, text):
        with open(self.plan_path + ".new", "w") as f:
            f.write(text + "\n")
        os.rename(self.plan_path + ".new", self.plan_path)

    def mend(self):
        if os.path.exists(self.plan_path):
            os.unlink(self.plan_path)

    def kill_engine(self):
        pid = self.d.engine_pid()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.d.answers() and self.d.engine_pid() != pid, "a new engine answers")

    def kill_daemon(self):
        self.d.process.kill()
        self.d.process.wait()
        eventually(lambda: not harness.marked(self.d.mark), "its tasks are gone")
        self.d.start()

    def stop_and_start(self):
        self.d.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.d.process.wait(harness.PATIENCE), self.d.said())
        self.d.start()

    def journal(self, sql):
        path = os.path.join(self.d.state, "journal.db")
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return db.execute(sql).fetchall()


class Recovery(Case):
    def test_R_TSK_6_outcomes_outlive_the_engine(self):
        region = self.d.open("--name", "kept")
        task = self.d.submit(region, "sh", "-c", "exit 7")
        self.assertEqual(7, self.d.outcome(task)["exit_code"])
        before = self.d.json("wait", task, code=None)
        self.kill_engine()
        self.assertEqual(before["outcome"], self.d.json("wait", task, code=None)["outcome"])
        self.assertEqual("open", self.d.state_of("/kept"))
        self.assertEqual("ok", self.d.outcome(self.d.submit("/kept", "true"))["outcome"])

    def test_R_TSK_6_output_outlives_the_engine(self):
        region = self.d.open()
        task = self.d.submit(region, "echo", "hello there")
        self.d.outcome(task)
        self.assertEqual("hello there\n", self.d.ctl("logs", task).out)
        self.kill_engine()
        self.assertEqual("hello there\n", self.d.ctl("logs", task).out)

    def test_R_TSK_5_what_ran_is_lost_with_the_whole_daemon(self):
        region = self.d.open("--name", "left")
        task = self.d.submit(region, "sleep", "1000")
        self.d.ctl("wait", "--until", "started", task)
        self.kill_daemon()
        outcome = self.d.outcome(task)
        self.assertEqual("panicked", outcome["outcome"])
        self.d.assert_quiet()
        # Its region is still there, and can be closed.
        self.assertEqual("open", self.d.state_of("/left"))
        self.d.ctl("close", "/left", code=None)
        self.d.ctl("wait", region, code=None)
        self.assertEqual("closed", self.d.state_of(region))

    def test_R_SES_1_a_session_outlives_the_engine(self):
        c = Client(self.d)
        first = c.wire.ok("region.open", {"name": "mine", "attach": True}, id=5)
        self.kill_engine()
        # R-IDM-1: said again, it is answered again and done once.
        self.assertEqual(first, c.call("region.open", {"name": "mine", "attach": True}, id=5)[1])
        self.assertEqual("open", c.ok("region.stat", {"region": first["region"]})["state"])
        self.kill_engine()
        code, _ = c.call("region.open", {"name": "other"}, id=5)
        self.assertEqual(ECONFLICT, code)
        c.close()

    def test_R_IDM_1_a_batch_outlives_the_engine(self):
        """Repeated after the engine died, each operation of a batch that was done is answered as
        it was; what was refused had bound nothing, and is done now."""
        c = Client(self.d)
        c.ok("region.open", {"name": "top"})
        ran = self.d.path("ran")
        ops = {"ops": [[None, "region.open", {"parent": "/top", "name": "a"}],
                       [None, "task.submit", {"region": "/top/late", "argv": ["true"]}],
                       [None, "channel.open", {"region": "/top", "name": "q"}],
                       [None, "channel.send", {"channel": "/top/q", "data": b"once"}],
                       [None, "task.submit", {"region": "/top", "argv": ["sh", "-c", f"echo x >>{ran}"]}],
                       [None, "obligation.reserve", {"region": "/top"}]]}
        first = c.ok("batch", ops, id=7)["results"]
        self.assertEqual([0, -5], sorted({code for code, _ in first}, reverse=True))
        self.d.outcome(first[4][1]["task"])
        self.kill_engine()
        again = c.ok("batch", ops, id=7)["results"]
        self.assertEqual(first, again)
        self.kill_engine()
        c.ok("region.open", {"parent": "/top", "name": "late"})
        third = c.ok("batch", ops, id=7)["results"]
        self.assertEqual(0, third[1][0])
        self.assertEqual(first[:1] + first[2:], third[:1] + third[2:])
        self.assertEqual("x\n", open(ran).read())
        self.assertEqual(1, c.ok("channel.stat", {"channel": "/top/q"})["queued"])
        self.assertEqual(1, len(c.ok("obligation.list", {"region": "/top"})["obligations"]))
        code, _ = c.call("batch", {"ops": ops["ops"][:2]}, id=7)
        self.assertEqual(ECONFLICT, code)
        c.close()

    def test_R_IDM_1_a_batch_that_was_never_answered(self):
        """The engine dies after the batch is on disk and before it is answered."""
        c = Client(self.d)
        c.ok("region.open", {"name": "top"})
        ops = {"ops": [[None, "obligation.reserve", {"region": "/top"}]] * 20}
        self.plan("crash before-release 1")
        results = c.ok("batch", ops, id=7)["results"]
        self.mend()
        self.assertIn("died by signal 9", self.d.said())
        self.assertEqual(20, len({body["obligation"] for _, body in results}))
        self.assertEqual(20, len(c.ok("obligation.list", {"region": "/top"})["obligations"]))
        c.close()

    def test_R_SES_1_a_session_that_nobody_resumes_ends(self):
        c = wire.connect(self.d, hello=False)
        secret = c.hello(ttl_ns=300_000_000)["secret"]
        region = c.ok("region.open", {"attach": True})["region"]
        self.kill_engine()
        eventually(lambda: self.d.state_of(region) == "closed", "its region is closed")
        fresh = wire.connect(self.d, hello=False)
        self.assertEqual(EEXPIRED, fresh.call("session.hello", {"secret": secret})[0])
        fresh.close()

    def test_R_OBL_1_what_is_held_outlives_the_engine(self):
        c = Client(self.d)
        c.ok("region.open", {"name": "web"})
        channel = c.ok("channel.open", {"region": "/web", "name": "orders"})["channel"]
        for data in (b"one", b"two", b"three"):
            c.ok("channel.send", {"channel": channel, "data": data})
        ack = c.ok("channel.receive", {"channel": channel})["obligation"]
        upload = c.ok("obligation.reserve", {"region": "/web", "label": "upload"})["obligation"]
        lease = c.ok("lease.acquire", {"region": "/web", "name": "leader", "ttl_ns": 60 * 10**9})
        held = c.ok("obligation.list", {"region": "/web"})["obligations"]
        self.kill_engine()
        again = c.ok("obligation.list", {"region": "/web"})["obligations"]
        self.assertEqual([(o["id"], o["holder"], o["kind"]) for o in held],
                         [(o["id"], o["holder"], o["kind"]) for o in again])
        self.assertEqual(lease["token"], c.ok("lease.stat", {"region": "/web", "name": "leader"})["token"])
        c.ok("channel.ack", {"obligation": ack})
        c.ok("obligation.commit", {"obligation": upload})
        c.ok("lease.release", {"obligation": lease["obligation"]})
        self.assertEqual(b"two", c.ok("channel.receive", {"channel": channel})["data"])
        next_lease = c.ok("lease.acquire", {"region": "/web", "name": "leader", "ttl_ns": 10**9})
        self.assertGreater(next_lease["token"], lease["token"])
        self.assertEqual([("committed",)], self.journal(f"SELECT state FROM obligation WHERE id = '{upload}'"))
        c.close()

    def test_a_wait_rides_it_out(self):
        region = self.d.open()
        task = self.d.submit(region, "sleep", "1000")
        self.d.ctl("wait", "--until", "started", task)
        waiter = self.d.popen("--json", "wait", task, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        eventually(lambda: self.d.json("status")["waits"] > 0, "it waits")
        self.kill_engine()
        self.d.ctl("cancel", task, code=None)
        out, err = waiter.communicate(timeout=harness.PATIENCE)
        self.assertIn('"outcome"', out, err)

    def test_a_clean_stop_and_start_loses_nothing(self):
        region = self.d.open("--name", "web")
        task = self.d.submit(region, "sh", "-c", "exit 3")
        self.d.outcome(task)
        running = self.d.submit(region, "sleep", "1000")
        self.d.ctl("wait", "--until", "started", running)
        for _ in range(3):
            self.stop_and_start()
            self.assertEqual(3, self.d.outcome(task)["exit_code"])
            self.assertEqual("cancelled", self.d.outcome(running)["outcome"])
            self.assertEqual("closed", self.d.state_of(region))
            # "/" is open again, and numbers go on.
            fresh = self.d.open("--name", "web")
            self.assertGreater(int(fresh[1:]), int(region[1:]))
            self.assertEqual("ok", self.d.outcome(self.d.submit("/web", "true"))["outcome"])

    def test_events_are_still_watched(self):
        c = Client(self.d)
        region = c.ok("region.open", {"name": "seen"})["region"]
        seen = c.ok("events.watch", {"since": 0, "timeout_ns": 0})
        next_seq = seen["next"]
        opened = [e for e in seen["events"] if e["event"] == "region-opened"]
        self.kill_engine()
        again = c.ok("events.watch", {"since": opened[0]["seq"], "timeout_ns": 0})
        self.assertEqual(opened[0], again["events"][0])
        after = [e["seq"] for e in again["events"] if e["seq"] >= next_seq]
        self.assertTrue(after and min(after) >= next_seq)
        self.assertEqual(sorted(after), after)
        c.ok("region.close", {"region": region})
        c.close()

    def test_time_goes_on(self):
        before = self.d.json("status")["now_ns"]
        self.kill_engine()
        after = self.d.json("status")["now_ns"]
        self.assertGreater(after, before)
        self.assertLess(after - before, 60 * 10**9)

    def test_limits_go_on_while_the_engine_is_away(self):
        region = self.d.open("--timeout", "1500ms")
        self.kill_engine()
        began = time.monotonic()
        eventually(lambda: self.d.state_of(region) == "closed", "its time passed")
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual("timeout", self.d.json("show", region)["reason"]["kind"])


class Views(Case):
    def test_people_can_read_it(self):
        region = self.d.open("--name", "web")
        task = self.d.submit(region, "sh", "-c", "exit 3", options=("--label", "three"))
        self.d.outcome(task)
        self.assertEqual([("three", "completed", "err")],
                         self.journal(f"SELECT label, state, outcome FROM task WHERE id = '{task}'"))
        self.assertEqual([("web", "open", None)],
                         self.journal(f"SELECT name, state, outcome FROM region WHERE id = '{region}'"))
        self.assertEqual([(3,)], self.journal(f"SELECT exit_code FROM outcome WHERE id = '{task}'"))
        self.assertEqual([], self.journal("SELECT * FROM obligation"))
        self.assertEqual(0o600, os.stat(os.path.join(self.d.state, "journal.db")).st_mode & 0o777)


class Refused(Case):
    def start_fails(self, code, words):
        self.d.process.send_signal(signal.SIGTERM)
        self.d.process.wait(harness.PATIENCE)
        self.damage()
        p = subprocess.run(self.d.argv, env=self.d.env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=harness.PATIENCE)
        self.assertEqual(code, p.returncode, p.stdout)
        self.assertRegex(p.stdout, words)

    def path(self):
        return os.path.join(self.d.state, "journal.db")

    def sql(self, text):
        with sqlite3.connect(self.path()) as db:
            db.execute(text)
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def set_aside(self):
        p = subprocess.run([harness.DAEMON, "--set-journal-aside", "--user", "--runtime-dir",
                            self.d.runtime, "--state-dir", self.d.state],
                           stdout=subprocess.PIPE, text=True, check=True)
        aside = re.search(r"journal\.db\.aside-\w+", p.stdout).group()
        self.assertTrue(os.path.exists(os.path.join(self.d.state, aside)))
        last = int(self.region[1:])
        self.d.start()
        self.assertGreater(int(self.d.open()[1:]), last)  # ids-never-reused

    def test_a_newer_schema(self):
        self.region = self.d.open()
        self.damage = lambda: self.sql("PRAGMA user_version = 7")
        self.start_fails(65, "newer version.*schema 7")
        self.set_aside()

    def test_a_damaged_event(self):
        self.region = self.d.open()
        self.damage = lambda: self.sql("UPDATE event SET body = x'00' WHERE kind = 'region-opened'")
        self.start_fails(65, "damaged.*--set-journal-aside")
        self.set_aside()

    def test_a_damaged_file(self):
        self.region = self.d.open()

        def damage():
            self.sql("DELETE FROM meta WHERE key = 'none'")
            with open(self.path(), "r+b") as f:
                f.seek(100)
                f.write(b"\xff" * 3996)
        self.damage = damage
        self.start_fails(65, "damaged")
        self.set_aside()

    def test_a_running_daemons_journal_is_not_set_aside(self):
        p = subprocess.run([harness.DAEMON, "--set-journal-aside", "--user", "--runtime-dir",
                            self.d.runtime, "--state-dir", self.d.state],
                           stderr=subprocess.PIPE, text=True)
        self.assertEqual(73, p.returncode)
        self.assertIn("stop it first", p.stderr)


class Trouble(Case):
    def rides_out(self, line, reason):
        region = self.d.open("--name", "r")
        running = self.d.submit(region, "sh", "-c", "sleep 1000")
        self.d.ctl("wait", "--until", "started", running)
        c = Client(self.d)
        self.plan(line)
        # The first one finds out; its answer waits, and is not lost.
        held = c.wire.request("region.open", {"name": "held"}, id=77)
        journal = eventually(lambda: self.d.json("status")["journal"]["failing"] and
                             self.d.json("status")["journal"], "it is said to fail")
        self.assertIn(reason, journal["reason"])
        other = wire.connect(self.d, hello=False)
        code, body = other.call("session.hello", session=False)
        self.assertEqual(EUNAVAILABLE, code)
        self.assertIn("JournalFailed", body["message"])
        self.assertIn(reason, body["message"])
        code, body = other.call("region.open", {"name": "no"}, session=False)
        self.assertEqual(EUNAVAILABLE, code)
        self.assertEqual("JournalFailed", other.ok("why", {"id": "/r"}, session=False)["trouble"][0]["name"])
        self.assertIn("JournalFailed", self.d.ctl("status").out)
        # A cancel is carried out at once; that it was, is told later.
        other.request("task.cancel", {"task": running, "drain_ns": 0}, session=False)
        eventually(lambda: not harness.marked(self.d.mark), "it is killed")
        self.mend()
        id, code, body = c.wire.reply()
        self.assertEqual((77, 0), (id, code), body)
        self.assertEqual("cancelled", self.d.outcome(running)["outcome"])
        self.assertEqual(held & 0, 0)
        self.assertEqual("open", self.d.state_of("/held"))
        self.assertEqual("ok", self.d.outcome(self.d.submit("/r", "true"))["outcome"])
        self.assertNotIn("JournalFailed", self.d.ctl("status").out)
        other.close()
        c.close()
        self.kill_engine()
        self.assertEqual("open", self.d.state_of("/held"))

    def test_a_full_disk(self):
        self.rides_out("fail write 1 ever full", "full")

    def test_an_input_output_error(self):
        self.rides_out("fail write 1 ever io", "I/O")

    def test_a_sync_that_fails(self):
        self.rides_out("fail sync 1 ever io", "I/O")

    def test_a_file_system_become_read_only(self):
        self.rides_out("fail write 1 ever readonly", "read-only")

    def test_a_journal_taken_from_under_a_running_daemon(self):
        """Nothing is acknowledged that is written where nobody finds it."""
        for suffix in ("", "-wal"):
            path = os.path.join(self.d.state, "journal.db") + suffix
            os.rename(path, path + ".away")
            w = wire.connect(self.d, hello=False)
            held = w.request("session.hello", session=False)
            journal = eventually(lambda: self.d.json("status")["journal"]["failing"] and
                                 self.d.json("status")["journal"], "it is said to fail")
            self.assertIn("put it back", journal["reason"])
            os.rename(path + ".away", path)
            self.assertEqual((held, 0), w.reply()[:2])
            w.close()

    def test_what_was_not_told_may_be_gone(self):
        """Killed while the disk fails: what was acknowledged is there, the rest was never said."""
        self.d.open("--name", "told")
        c = Client(self.d)
        self.plan("fail write 1 ever full")
        c.wire.request("region.open", {"name": "untold"}, id=9)
        eventually(lambda: self.d.json("status")["journal"]["failing"], "it fails")
        os.kill(self.d.engine_pid(), signal.SIGKILL)
        self.mend()
        eventually(self.d.answers, "a new engine answers")
        self.assertEqual("open", self.d.state_of("/told"))
        self.assertEqual([], [r for r in self.d.json("tree")["children"] if r["name"] == "untold"])
        # Said again, it is done.
        self.assertEqual(0, c.call("region.open", {"name": "untold"}, id=9)[0])
        c.close()

    def test_what_depends_on_nothing_new_is_answered_while_the_disk_fails(self):
        """A wait whose time passes, and a request that is wrong in itself."""
        c = Client(self.d)
        c.ok("region.open", {"name": "top"})
        c.ok("channel.open", {"region": "/top", "name": "q"})
        waiter = wire.connect(self.d)
        parked = [waiter.request(op, {**args, "timeout_ns": 1_500_000_000}) for op, args in (
            ("channel.receive", {"channel": "/top/q"}), ("region.wait", {"region": "/top"}),
            ("events.watch", {"region": "/top"}))]
        eventually(lambda: self.d.json("status")["waits"] >= 2, "they wait")
        self.plan("fail write 1 ever full")
        c.wire.request("region.open", {"name": "untold"})
        eventually(lambda: self.d.json("status")["journal"]["failing"], "it fails")
        self.assertEqual("channel", waiter.call("channel.send", {"channel": 7})[1]["field"])
        answers = dict((id, code) for id, code, _ in (waiter.reply() for _ in parked))
        self.assertEqual(dict.fromkeys(parked, -10), answers)
        self.assertTrue(self.d.json("status")["journal"]["failing"])
        waiter.close()
        self.mend()
        self.assertEqual(0, c.wire.reply()[1])
        c.close()

    def test_a_daemon_is_stopped_though_its_disk_fails(self):
        self.d.open("--name", "left")
        self.plan("fail write 1 ever full")
        self.d.process.send_signal(signal.SIGTERM)
        self.assertEqual(74, self.d.process.wait(harness.PATIENCE))
        self.mend()
        self.d.start()
        self.assertEqual("open", self.d.state_of("/left"))


@unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
class FullDisk(unittest.TestCase):
    def test_R_DUR_1_a_real_disk_fills_up(self):
        place = tempfile.mkdtemp(prefix="asup-full.")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", place],
                          stderr=subprocess.DEVNULL).returncode != 0:
            os.rmdir(place)
            self.skipTest("mounting is not allowed here")
        d = None
        try:
            os.mkdir(os.path.join(place, "state"), 0o700)
            d = harness.Daemon("logs:\n  total-max: 0\n", options=("--state-dir", os.path.join(place, "state")))
            region = d.open("--name", "first")
            ballast = os.open(os.path.join(place, "ballast"), os.O_WRONLY | os.O_CREAT, 0o600)
            with contextlib.suppress(OSError):
                while os.write(ballast, b"x" * 4096):
                    pass
            os.close(ballast)
            c = wire.connect(d, hello=False, timeout=2)
            told = 0
            with contextlib.suppress(TimeoutError):
                # One finds out that the disk is full: its answer waits.
                while told < 5000:
                    c.ok("region.open", {"name": f"n{told}"}, session=False)
                    told += 1
            self.assertLess(told, 5000)
            self.assertTrue(d.json("status")["journal"]["failing"])
            other = wire.connect(d, hello=False)
            code, body = other.call("region.open", {"name": "refused"}, session=False)
            self.assertEqual((EUNAVAILABLE, True), (code, "full" in body["message"]))
            other.close()
            os.unlink(os.path.join(place, "ballast"))
            eventually(lambda: not d.json("status")["journal"]["failing"], "it is written again")
            self.assertEqual(0, c.reply()[1])
            os.kill(d.engine_pid(), signal.SIGKILL)
            eventually(d.answers, "a new engine answers")
            names = {r["name"] for r in d.json("tree")["children"]}
            self.assertEqual(set(), {f"n{i}" for i in range(told + 1)} - names)
            self.assertIn("first", names)
            self.assertEqual("open", d.state_of(region))
            c.close()
        finally:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(place, "ballast"))
            if d:
                d.close()
            subprocess.run(["umount", "-l", place], check=False)
            os.rmdir(place)


class Crashes(Case):
    config = "journal:\n  snapshot-events: 40\n  snapshot-bytes: 64KiB\n  log-size: 64KiB\n" \
             "events:\n  count: 16\n"

    def setUp(self):
        super().setUp()
        self.tokens = []

    def load(self, c, rounds, told):
        """A mixed load; what was acknowledged goes into `told`."""
        for _ in range(rounds):
            name = f"n{len(told)}"
            region = c.ok("region.open", {"name": name})["region"]
            out = self.d.path(f"out-{region}")
            task = c.ok("task.submit", {"region": region, "argv": ["sh", "-c", f"echo x >> {out}; exit 3"],
                                        "env": {harness.MARK: self.d.mark}})["task"]
            channel = c.ok("channel.open", {"region": region, "name": "c"})["channel"]
            c.ok("channel.send", {"channel": channel, "data": name.encode()})
            lease = c.ok("lease.acquire", {"region": region, "name": "l", "ttl_ns": 60 * 10**9})
            got = c.ok("channel.receive", {"channel": channel, "timeout_ns": 10**10})
            self.assertEqual((name.encode(), 1), (got["data"], got["deliveries"]))
            c.ok("channel.ack", {"obligation": got["obligation"]})
            c.ok("lease.release", {"obligation": lease["obligation"]})
            self.tokens.append(lease["token"])
            outcome = c.ok("task.wait", {"task": task})["outcome"]
            told.append((region, task, outcome, out, channel))

    def check(self, c, told, last=None):
        self.assertEqual(sorted(set(self.tokens)), self.tokens, "larger with every grant")
        for region, task, outcome, out, channel in told[-(last or len(told)):]:
            stat = c.ok("channel.stat", {"channel": channel})
            self.assertEqual((1, 1, 0, 0), tuple(stat[k] for k in ("sent", "consumed", "queued", "unacked")))
            self.assertEqual([], c.ok("obligation.list", {"region": region})["obligations"])
            self.assertEqual(outcome, c.ok("task.wait", {"task": task})["outcome"], task)
            if outcome["outcome"] == "err":
                self.assertEqual(3, outcome["exit_code"])
                with open(out) as f:
                    self.assertEqual("x\n", f.read(), "done once")
            else:
                self.assertEqual("panicked", outcome["outcome"])
            self.assertEqual("open", c.ok("region.stat", {"region": region})["state"])
        names = [r["name"] for r in self.d.json("tree")["children"]]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual({f"n{i}" for i in range(len(told))}, set(names))

    def test_watchers_learn_what_is_gone(self):
        c = Client(self.d)
        for i in range(60):
            c.ok("region.open", {"name": f"n{i}"})
        eventually(lambda: self.d.json("status")["journal"]["snapshot"] > 0, "a snapshot is taken")
        self.kill_engine()
        code, body = c.call("events.watch", {"since": 1, "timeout_ns": 0})
        self.assertEqual((EGAP, True), (code, body["oldest"] > 1))
        self.assertEqual(0, c.call("events.watch", {"since": body["oldest"], "timeout_ns": 0})[0])
        c.close()

    def test_every_point(self):
        c = Client(self.d)
        told = []
        for point in POINTS:
            for n in (1, 3):
                with self.subTest(point=point, n=n):
                    died = self.d.said().count("died by signal 9")
                    if point in ("folded", "before-listen"):
                        self.plan(f"crash {point} 1")
                        os.kill(self.d.engine_pid(), signal.SIGKILL)
                    else:
                        self.plan(f"crash {point} {n}")
                    for _ in range(200):
                        self.load(c, 1, told)
                        if self.d.said().count("died by signal 9") > died:
                            break
                    else:
                        self.fail(f"{point} was never passed\n{self.d.json('status')['journal']}\n{self.d.said()[-2000:]}")
                    self.mend()
                    self.load(c, 2, told)
                    self.check(c, told, 20)
        self.check(c, told)
        c.close()

    def test_at_random(self):
        c = Client(self.d)
        rng = random.Random(int(os.environ.get("ASUP_SEED", "7")))
        told = []
        for _ in range(int(os.environ.get("ASUP_CRASHES", "4"))):
            pid = self.d.engine_pid()
            delay = rng.random() * 0.2
            killer = subprocess.Popen(["sh", "-c", f"sleep {delay}; kill -9 {pid}"])
            self.load(c, 15, told)
            killer.wait()
        self.check(c, told)
        c.close()

    def test_a_torn_write(self):
        c = Client(self.d)
        told = []
        for n in (1, 2, 3):
            self.plan(f"fail write {n} once torn")
            self.load(c, 5, told)
        self.check(c, told)
        c.close()


if __name__ == "__main__":
    harness.main()
