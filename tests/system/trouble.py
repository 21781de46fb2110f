# SPDX-License-Identifier: MIT
"""Bad input and trouble: a clear error, and nothing lost. Against a real
daemon, over the real socket, by a client that keeps no manners."""

import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import time
import unittest

import msgpack

import harness
import wire
from harness import ACTOR, eventually

EMALFORMED, EUNSUPPORTED, ETOOLARGE, EINVALID, ENOTFOUND, EDENIED = -1, -2, -3, -4, -5, -6
ECLOSED, EEXISTS, EBUSY, ETIMEDOUT, ECONFLICT, EEXPIRED, EGAP = -7, -8, -9, -10, -11, -12, -16


class Messages(harness.DaemonTest):
    """Whatever arrives is answered or its connection ends; the daemon goes on."""

    def setUp(self):
        self.w = wire.connect(self.d)

    def tearDown(self):
        self.w.close()
        self.d.json("status")
        super().tearDown()

    def raw(self, body):
        self.w.send_raw(body)
        _, payload = self.w.receive_raw()
        return msgpack.unpackb(payload)

    def test_every_truncation_is_malformed(self):
        whole = msgpack.packb([1, 7, None, None, "daemon.status", {}])
        for size in range(len(whole)):
            version, _, code, body = self.raw(whole[:size])
            self.assertEqual((1, EMALFORMED, "malformed"), (version, code, body["error"]), whole[:size])
            self.assertTrue(body["message"])

    def test_over_deep_is_malformed_and_oversized_too_large(self):
        deep = b"\x91" * 5000 + b"\xc0"
        self.assertEqual(EMALFORMED, self.raw(deep)[2])
        claims = b"\xdd\xff\xff\xff\xff"  # an array that claims 2^32-1 elements
        self.assertEqual(EMALFORMED, self.raw(claims)[2])
        big = msgpack.packb([1, 9, None, None, "daemon.status", {"x": b"y" * (1 << 20)}])
        self.assertEqual(ETOOLARGE, self.raw(big)[2])

    def test_beyond_twice_the_limit_the_connection_ends(self):
        with self.assertRaises((EOFError, ConnectionError, OSError)):
            self.raw(b"\xc6" + (5 << 20).to_bytes(4, "big") + b"z" * (5 << 20))

    def test_unknown_operation_and_version(self):
        code, body = self.w.call("region.explode")
        self.assertEqual(EUNSUPPORTED, code)
        self.assertIn("region.explode", body["message"])
        code, body = self.w.call("daemon.status", version=9)
        self.assertEqual(EUNSUPPORTED, code)
        self.assertIn("1", body["message"])

    def test_wrong_types_name_the_field_and_what_was_expected(self):
        r = self.w.ok("region.open")["region"]
        for args, field in (({"region": r, "argv": 7}, "argv"), ({"region": r, "argv": []}, "argv"),
                            ({"region": 3, "argv": ["true"]}, "region"), ({"argv": ["true"]}, "region"),
                            ({"region": r, "argv": ["true"], "drain_ns": -1}, "drain_ns"),
                            ({"region": r, "argv": ["true"], "env": ["A=b"]}, "env"),
                            ({"region": r, "argv": ["true"], "budget": {"priority": 300}}, "priority")):
            code, body = self.w.call("task.submit", args)
            self.assertIn(code, (EINVALID, EMALFORMED), body)
            self.assertIn(field, body["message"])
        self.w.ok("region.close", {"region": r})

    def test_unknown_keys_are_ignored(self):
        self.w.ok("daemon.status", {"from-the-future": [1, {"x": 2}]})

    def test_random_bytes_do_no_harm(self):
        rng = random.Random(20)
        for _ in range(300):
            self.assertLess(self.raw(rng.randbytes(rng.randrange(1, 200)))[2], 0)

    def test_ids_of_another_sort_and_dead_ids(self):
        code, body = self.w.call("task.wait", {"task": "r2"})
        self.assertEqual(EINVALID, code)
        self.assertIn("r2", body["message"])
        self.assertEqual(ENOTFOUND, self.w.call("task.stat", {"task": "t987654321"})[0])
        self.assertEqual(ENOTFOUND, self.w.call("region.stat", {"region": "/no/such"})[0])
        self.assertEqual(EINVALID, self.w.call("task.stat", {"task": "t18446744073709551616"})[0])

    def test_a_repeated_request_id_gives_the_same_answer(self):
        """R-IDM-1: the same request once more makes nothing new; another one is a conflict."""
        first = self.w.call("region.open", {"name": "once"}, id=1000)
        again = self.w.call("region.open", {"name": "once"}, id=1000)
        self.assertEqual(first, again)
        self.assertEqual(ECONFLICT, self.w.call("region.open", {"name": "other"}, id=1000)[0])
        self.w.ok("region.close", {"region": first[1]["region"]})

    def test_a_session_is_resumed_by_its_secret_and_no_other(self):
        secret = self.w.secret
        other = wire.connect(self.d, hello=False)
        body = other.hello(secret=secret)
        self.assertTrue(body["resumed"])
        self.assertEqual(EEXPIRED, other.call("session.hello", {"secret": bytes(16)})[0])
        other.close()

    def test_an_atomic_batch_does_all_or_nothing(self):
        r = self.w.ok("region.open", {"name": "batch"})["region"]
        good = [None, "task.submit", {"region": r, "argv": ["true"]}]
        bad = [None, "task.submit", {"region": "r999999", "argv": ["true"]}]
        body = self.w.ok("batch", {"ops": [good, bad, good], "atomic": True})
        self.assertTrue(all(code != 0 for code, _ in body["results"]))
        self.assertEqual(0, self.w.ok("region.stat", {"region": r})["tasks_total"])
        body = self.w.ok("batch", {"ops": [good, bad, good]})
        self.assertEqual([0, ENOTFOUND, 0], [code for code, _ in body["results"]])
        body = self.w.ok("batch", {"ops": [good, good], "atomic": True})
        self.assertEqual([0, 0], [code for code, _ in body["results"]])
        self.assertEqual(4, self.w.ok("region.stat", {"region": r})["tasks_total"])
        self.w.ok("region.close", {"region": r})
        self.w.ok("region.wait", {"region": r})


class Names(harness.DaemonTest):
    def test_bad_names_are_refused_with_what_is_wrong(self):
        w = wire.connect(self.d)
        for name in ("a/b", "x" * 129, "tab\there", "bell\a", ".", "..", "r12", "t3"):
            code, body = w.call("region.open", {"name": name})
            self.assertIn(code, (EINVALID, ETOOLARGE), name)
            self.assertTrue(body["message"], name)
        taken = w.ok("region.open", {"name": "taken"})["region"]
        code, body = w.call("region.open", {"name": "taken"})
        self.assertEqual(EEXISTS, code)
        w.ok("region.close", {"region": "/taken"})
        w.ok("region.wait", {"region": taken})
        w.ok("region.open", {"name": "taken"})
        w.close()

    def test_a_deadline_in_the_past_is_refused(self):
        w = wire.connect(self.d)
        code, body = w.call("region.open", {"budget": {"deadline_wall_ns": int((time.time() - 5) * 1e9)}})
        self.assertEqual(EINVALID, code)
        self.assertIn("passed", body["message"])
        w.close()

    def test_admission_into_a_closing_region(self):
        d = self.d
        r = d.open("--drain", "30s")
        d.actor(r, "ignore", "TERM", "pid", d.path("pid"), "forever")
        d.await_file("pid")
        d.ctl("close", "--no-wait", r)
        for args in (("submit", "--in", r, "--", "true"), ("open", "--in", r), ("defer", r, "--", "true")):
            p = d.ctl(*args, code=125)
            self.assertIn("region", p.err)


class Programs(harness.DaemonTest):
    """What cannot be started says at which stage and why; nothing is left of it."""

    def setUp(self):
        self.r = self.d.open()

    def start(self, *argv, options=(), code=None):
        outcome = self.d.outcome(self.d.submit(self.r, *argv, options=options), code=code)
        self.assertEqual("err", outcome["outcome"])
        return outcome["error"]

    def test_missing_not_executable_and_missing_directory(self):
        self.assertEqual(("exec", 2), tuple(self.start("/no/such/program")[k] for k in ("stage", "errno")))
        self.assertEqual(("exec", 2), tuple(self.start("no-such-program-in-path")[k] for k in ("stage", "errno")))
        plain = self.d.path("plain")
        with open(plain, "w") as f:
            f.write("#!/bin/sh\n")
        self.assertEqual(("exec", 13), tuple(self.start(plain)[k] for k in ("stage", "errno")))
        self.assertEqual(("chdir", 2), tuple(self.start("true", options=("--cwd", "/no/such/dir"))[k]
                                             for k in ("stage", "errno")))

    def test_run_exits_126_and_127(self):
        self.d.ctl("run", "--", "/no/such/program", code=127)
        plain = self.d.path("plain")
        with open(plain, "w") as f:
            f.write("x")
        self.d.ctl("run", "--", plain, code=126)

    def test_an_argument_list_that_is_too_long(self):
        w = wire.connect(self.d)
        code, body = w.call("task.submit", {"region": self.r, "argv": ["true"] + ["x" * 100] * 4095})
        self.assertEqual(0, code, "within the bounds of a message it is the system that refuses")
        w.ok("task.wait", {"task": body["task"]})
        code, body = w.call("task.submit", {"region": self.r, "argv": ["true"] * 5000})
        self.assertIn(code, (EINVALID, ETOOLARGE))
        self.assertIn("4096", body["message"])
        w.close()

    def test_starts_that_hang_hold_up_nobody(self):
        """R-SCH-2: whoever opens a pipe as its standard input waits there, before its exec."""
        os.mkfifo(self.d.path("pipe"))
        hanging = self.d.open("--drain", "0")
        w = wire.connect(self.d)
        for _ in range(70):
            w.ok("task.submit", {"region": hanging, "argv": ["true"], "stdin": self.d.path("pipe")})
        w.close()
        self.assertEqual(0, self.d.outcome(self.d.submit(self.r, "true"))["exit_code"])
        self.d.ctl("close", hanging)
        self.assertEqual(0, self.d.outcome(self.d.submit(self.r, "true"))["exit_code"])

    def test_an_exec_from_a_file_system_that_hangs_holds_up_nobody(self):
        """A FUSE file system whose server never says a word."""
        d = self.d
        where = d.path("silent-fs")
        os.mkdir(where)
        try:
            fuse = os.open("/dev/fuse", os.O_RDWR)
        except OSError as error:
            self.skipTest(f"no FUSE: {error}")
        options = f"fd={fuse},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"silent", where.encode(), b"fuse", 0, options.encode()) != 0:
            os.close(fuse)
            self.skipTest(f"cannot mount: {os.strerror(ctypes.get_errno())}")
        try:
            hung = [d.submit(self.r, where + "/program", options=("--cwd", "/")) for _ in range(80)]
            other = d.open()
            self.assertEqual("ok", d.outcome(d.submit(other, "true"), code=0)["outcome"])
            d.ctl("close", other)
            d.ctl("cancel", "--no-wait", self.r, "--drain", "200ms")
            d.ctl("wait", self.r, code=None)
            self.assertEqual({"completed"}, {d.state_of(t) for t in hung})
        finally:
            os.close(fuse)  # aborts whatever still hangs
            libc.umount2(where.encode(), 2)

    def test_a_refused_fork_is_a_failed_start_and_no_more(self):
        group = f"/sys/fs/cgroup/pids/asup-test-{os.getpid()}"
        try:
            os.mkdir(group)
            with open(group + "/pids.max", "w") as f:
                f.write("1")
            with open(group + "/cgroup.procs", "w") as f:
                f.write(str(self.d.process.pid))
        except OSError as error:
            self.skipTest(f"processes cannot be limited here: {error}")
        try:
            self.assertEqual(("fork", 11), tuple(self.start("true")[k] for k in ("stage", "errno")))
            self.d.json("status")
        finally:
            with open("/sys/fs/cgroup/pids/cgroup.procs", "w") as f:
                f.write(str(self.d.process.pid))
            os.rmdir(group)
        self.assertEqual("ok", self.d.outcome(self.d.submit(self.r, "true"), code=0)["outcome"])

    def test_a_task_that_closes_its_output_costs_nothing_while_it_runs(self):
        d = self.d
        d.submit(self.r, "sh", "-c", f"exec >/dev/null 2>&1; touch {d.path('silent')}; exec sleep 1000")
        d.await_file("silent")
        engine = d.engine_pid()

        def ticks():
            with open(f"/proc/{engine}/stat") as f:
                return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))

        before = ticks()
        began = time.monotonic()
        while time.monotonic() - began < 1:
            d.json("status")
            time.sleep(0.05)
        spent = (ticks() - before) / os.sysconf("SC_CLK_TCK")
        self.assertLess(spent, 0.5, "the engine sleeps but for what it is asked")
        d.ctl("close", self.r)

    def test_a_task_that_stops_itself_is_shown_and_can_be_closed(self):
        t = self.d.actor(self.r, "pid", self.d.path("stopped"), "stop", "forever")
        self.d.await_file("stopped")
        self.d.ctl("close", self.r)
        self.assertEqual([], harness.marked(self.d.mark))
        self.assertEqual("completed", self.d.task(t)["state"])


class Unkillable(harness.DaemonTest):
    """A real process in uninterruptible sleep: it writes to a frozen file system, and no
    signal reaches it until that thaws."""

    config = "cleanup:\n  kill-grace: 300ms\n"

    def setUp(self):
        image, self.mount = self.d.path("image"), self.d.path("mount")
        os.mkdir(self.mount)
        with open(image, "wb") as f:
            f.truncate(8 << 20)
        for command in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, self.mount],
                        ["fsfreeze", "-f", self.mount]):
            if not shutil.which(command[0]):
                self.skipTest(f"no {command[0]}")
            p = subprocess.run(command, capture_output=True, text=True)
            if p.returncode:
                subprocess.run(["umount", self.mount], capture_output=True)
                self.skipTest(f"{command[0]}: {p.stderr.strip()}")

    def thaw(self):
        subprocess.run(["fsfreeze", "-u", self.mount], capture_output=True)

    def tearDown(self):
        self.thaw()
        super().tearDown()
        eventually(lambda: subprocess.run(["umount", self.mount]).returncode == 0, "unmounted")

    def test_it_is_named_holds_up_only_its_own_region_and_is_gone_when_it_can_be(self):
        """R-REG-8: RegionCloseTimeout; nothing is abandoned silently, others go on."""
        d = self.d
        r = d.open("--drain", "100ms")
        t = d.actor(r, "pid", d.path("pid"), "touch", self.mount + "/file")
        pid = int(d.await_text("pid"))

        def asleep():
            with open(f"/proc/{pid}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0] == "D"

        eventually(asleep, "it sleeps uninterruptibly")
        d.ctl("close", "--no-wait", r)
        why = eventually(lambda: [w for w in [d.json("why", r)] if w["trouble"]], "it is reported")[0]
        self.assertIn("RegionCloseTimeout", [x["name"] for x in why["trouble"]])
        self.assertIn(pid, [link.get("pid") for link in why["chain"]])
        self.assertIn("uninterruptible", d.ctl("why", r).out)
        self.assertEqual("draining", d.state_of(r))
        d.ctl("close", "--timeout", "100ms", r, code=75)
        other = d.open()
        self.assertEqual("ok", d.outcome(d.actor(other, "exit", "0"), code=0)["outcome"])
        d.ctl("close", other)
        self.thaw()
        d.ctl("wait", r, code=None)
        self.assertTrue(d.outcome(t)["forced"])


class Limits(harness.DaemonTest):
    config = """\
limits:
  tasks-per-region: 3
  regions-per-user: 6
  sessions-per-user: 40
  waits-per-user: 20
logs:
  task-max: 64K
"""

    def test_each_limit_is_named(self):
        d = self.d
        r = d.open()
        for _ in range(3):
            d.actor(r, "forever")
        p = d.ctl("submit", "--in", r, "--", "true", code=125)
        self.assertIn("tasks-per-region", p.err)
        opened = []
        with contextlib.suppress(AssertionError):
            while len(opened) < 10:
                opened.append(d.open())
        self.assertLess(len(opened), 7)
        self.assertIn("regions-per-user", d.ctl("open", code=125).err)

    def test_waits_beyond_the_limit_are_busy_and_the_others_are_answered(self):
        d = self.d
        r = d.open()
        t = d.actor(r, "forever")
        w = wire.connect(d)
        for _ in range(25):
            w.request("task.wait", {"task": t})
        refused = [w.reply() for _ in range(5)]
        for _, code, body in refused:
            self.assertEqual((EBUSY, "waits-per-user"), (code, body["limit"]))
        d.ctl("cancel", "--no-wait", t)
        answered = [w.reply() for _ in range(20)]
        self.assertTrue(all(code == 0 for _, code, _ in answered))
        w.close()

    def test_sessions(self):
        wires = []
        code = 0
        while code == 0 and len(wires) < 60:
            w = wire.connect(self.d, hello=False)
            wires.append(w)
            code, body = w.call("session.hello")
            w.secret = body.get("secret")
        self.assertEqual((EBUSY, "sessions-per-user"), (code, body.get("limit")))
        for w in wires:
            if w.secret:
                w.ok("session.bye")
            w.close()


class Clients(harness.DaemonTest):
    def test_a_client_that_says_nothing_harms_nobody(self):
        silent = [wire.Wire(os.path.join(self.d.runtime, "asupersyncd.sock"), handshake=False)
                  for _ in range(50)]
        self.d.json("status")
        for s in silent:
            s.close()

    def test_clients_that_leave_during_the_handshake_silence_nobody(self):
        path = os.path.join(self.d.runtime, "asupersyncd.sock")
        for i in range(1500):
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
            if i % 3:
                s.sendall(b"\0SP\0\x00\x30\x00\x00" if i % 3 == 1 else b"something else")
            s.close()
        began = time.monotonic()
        self.d.json("status")
        self.assertLess(time.monotonic() - began, 5)

    def test_a_client_that_never_reads_is_cut_off_or_waited_for_alone(self):
        d = self.d
        w = wire.connect(d, timeout=2)
        with contextlib.suppress(OSError, socket.timeout):
            for _ in range(20000):
                w.request("daemon.status")
        began = time.monotonic()
        for _ in range(5):
            d.json("status")
        self.assertLess(time.monotonic() - began, 20)
        w.close()

    def test_a_client_that_dies_half_way_through_a_message(self):
        w = wire.connect(self.d)
        w.socket.sendall(b"\x01" + (1000).to_bytes(8, "big") + b"half")
        w.close()
        self.d.json("status")

    def test_ten_thousand_parked_waits_are_answered(self):
        d = self.d
        r = d.open()
        t = d.actor(r, "forever")
        w = wire.connect(d, timeout=60)
        for _ in range(10000):
            w.request("task.wait", {"task": t})
        eventually(lambda: d.json("status")["waits"] >= 10000, "all are parked")
        d.json("status")
        d.ctl("cancel", "--no-wait", t)
        codes = {w.reply()[1] for _ in range(10000)}
        self.assertEqual({0}, codes)
        w.close()
        eventually(lambda: d.json("status")["waits"] == 0, "none is left")

    def test_waits_of_a_dead_client_are_dropped(self):
        d = self.d
        r = d.open()
        t = d.actor(r, "forever")
        w = wire.connect(d)
        for _ in range(100):
            w.request("task.wait", {"task": t})
        eventually(lambda: d.json("status")["waits"] >= 100, "they are parked")
        w.close()
        eventually(lambda: d.json("status")["waits"] == 0, "they are gone")

    def test_an_attached_region_is_cancelled_when_its_session_ends(self):
        """R-SES-1"""
        d = self.d
        w = wire.connect(d, hello=False)
        w.hello(ttl_ns=int(0.3e9))
        r = w.ok("region.open", {"attach": True})["region"]
        w.ok("task.submit", {"region": r, "argv": [ACTOR, "forever"], "env": {harness.MARK: d.mark}})
        w.close()
        outcome = d.outcome(r)
        self.assertEqual(("cancelled", "linked-exit"), (outcome["outcome"], outcome["reason"]["kind"]))


class Events(harness.DaemonTest):
    config = "events:\n  count: 200\n"

    def test_a_watch_is_lossless_within_the_window_and_says_so_beyond(self):
        w = wire.connect(self.d)
        r = w.ok("region.open")["region"]
        since = w.ok("events.watch", {"since": 0, "timeout_ns": 0, "limit": 1000})["next"]
        for _ in range(20):
            t = w.ok("task.submit", {"region": r, "argv": ["true"]})["task"]
            w.ok("task.wait", {"task": t})
        seqs = []
        with contextlib.suppress(AssertionError):
            while True:
                body = w.ok("events.watch", {"since": since, "timeout_ns": int(2e8), "limit": 50})
                if not body["events"]:
                    break
                seqs += [e["seq"] for e in body["events"]]
                since = body["next"]
        self.assertEqual(sorted(set(seqs)), seqs)
        for _ in range(60):
            t = w.ok("task.submit", {"region": r, "argv": ["true"]})["task"]
            w.ok("task.wait", {"task": t})
        code, body = w.call("events.watch", {"since": 1, "timeout_ns": 0})
        self.assertEqual(EGAP, code)
        self.assertGreater(body["oldest"], 1)
        w.close()


class Starting(unittest.TestCase):
    """Daemons that must not start, or must cope with what they find."""

    def refused(self, *options, config=""):
        d = harness.Daemon.__new__(harness.Daemon)
        with self.assertRaises(AssertionError) as failure:
            harness.Daemon.__init__(d, config, options)
        return str(failure.exception)

    def test_a_second_daemon_on_the_same_directory(self):
        d = harness.Daemon()
        try:
            p = subprocess.run(d.argv, env=d.env, capture_output=True, text=True, timeout=30)
            self.assertNotEqual(0, p.returncode)
            self.assertIn(str(d.process.pid), p.stderr)
            d.json("status")
        finally:
            d.close()

    def test_a_second_daemon_on_the_same_state_directory(self):
        d = harness.Daemon()
        try:
            argv = list(d.argv)
            argv[argv.index("--runtime-dir") + 1] = os.path.join(d.dir, "other")
            p = subprocess.run(argv, env=d.env, capture_output=True, text=True, timeout=30)
            self.assertNotEqual(0, p.returncode)
            self.assertIn("uses the state directory", p.stderr)
            d.json("status")
        finally:
            d.close()

    def test_a_stale_socket_is_replaced(self):
        d = harness.Daemon()
        try:
            os.kill(d.process.pid, signal.SIGKILL)
            d.process.wait()
            d.start()
            d.json("status")
        finally:
            d.close()

    def test_a_file_in_the_way_is_left_alone(self):
        d = harness.Daemon()
        d.process.send_signal(signal.SIGTERM)
        d.process.wait()
        path = os.path.join(d.runtime, "asupersyncd.sock")
        with open(path, "w") as f:
            f.write("precious")
        try:
            p = subprocess.run(d.argv, env=d.env, capture_output=True, text=True, timeout=30)
            self.assertNotEqual(0, p.returncode)
            self.assertIn("asupersyncd.sock", p.stderr)
            with open(path) as f:
                self.assertEqual("precious", f.read())
        finally:
            d.close()

    def test_configuration_errors_name_file_line_and_column(self):
        for text in ("limits:\n  tasks-per-moon: 3\n", "limits:\n  tasks-per-user: many\n", "a: [1\n"):
            message = self.refused(config=text)
            self.assertRegex(message, r"config\.yaml:[123]:\d+: ", text)

    def test_a_wrong_reload_keeps_the_old_configuration(self):
        d = harness.Daemon("limits:\n  tasks-per-region: 2\n")
        try:
            with open(d.config, "w") as f:
                f.write("limits:\n  tasks-per-region: lots\n")
            d.process.send_signal(signal.SIGHUP)
            eventually(lambda: "config.yaml:2:" in d.said(), "the error is logged")
            self.assertEqual(2, d.json("status")["limits"]["tasks-per-region"]["max"])
            with open(d.config, "w") as f:
                f.write("limits:\n  tasks-per-region: 5\n")
            d.process.send_signal(signal.SIGHUP)
            eventually(lambda: d.json("status")["limits"]["tasks-per-region"]["max"] == 5, "reloaded")
        finally:
            d.close()


class Crashes(unittest.TestCase):
    def setUp(self):
        self.d = harness.Daemon()

    def tearDown(self):
        self.d.close()

    def busy(self):
        d = self.d
        r = d.open("--drain", "30s")
        for i in range(4):
            d.actor(r, "ignore", "TERM", "detach", "pid", d.path(f"pid{i}"), "forever")
        for i in range(4):
            d.await_file(f"pid{i}")
        return r

    def test_when_the_keeper_is_killed_nothing_it_started_survives(self):
        self.busy()
        engine = self.d.engine_pid()
        os.kill(self.d.process.pid, signal.SIGKILL)
        self.d.process.wait()
        eventually(lambda: not harness.marked(self.d.mark), "all tasks are gone")
        eventually(lambda: not os.path.exists(f"/proc/{engine}"), "the engine is gone")
        self.d.start()
        self.assertEqual([], self.d.cgroup_processes())

    @unittest.skipUnless(os.geteuid() == 0, "mounts a small file system")
    def test_a_full_disk_keeps_no_engine_from_starting(self):
        d = self.d
        os.kill(d.process.pid, signal.SIGTERM)
        d.process.wait(harness.PATIENCE)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", d.state], check=True)
        try:
            d.start()
            r = d.open()
            t = d.actor(r, "fill", "4", "touch", d.path("filled"), "forever")
            d.await_file("filled")
            eventually(lambda: d.json("status")["log_bytes_lost"] > 0, "the disk is full")
            first = int(r[1:])
            os.kill(d.engine_pid(), signal.SIGKILL)
            eventually(lambda: d.answers(), "a new engine on a full disk")
            for name in os.listdir(os.path.join(d.state, "logs")):
                os.unlink(os.path.join(d.state, "logs", name))
            eventually(lambda: not d.json("status")["journal"]["failing"], "there is room again")
            self.assertGreater(int(d.open()[1:]), first)
            d.process.send_signal(signal.SIGTERM)
            self.assertEqual(0, d.process.wait(harness.PATIENCE))
        finally:
            if d.process.poll() is None:
                d.process.kill()
                d.process.wait()
            eventually(lambda: subprocess.run(["umount", d.state]).returncode == 0, "unmounted")

    def test_a_wait_rides_out_an_engine_restart(self):
        d = self.d
        r = d.open()
        t = d.actor(r, "forever")
        waiter = d.popen("wait", t, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        eventually(lambda: d.json("status")["waits"] >= 1, "it waits")
        engine = d.engine_pid()
        os.kill(engine, signal.SIGKILL)
        eventually(lambda: d.answers() and d.engine_pid() != engine, "a new engine answers")
        d.ctl("cancel", "--drain", "0s", t, code=None)
        _, err = waiter.communicate(timeout=harness.PATIENCE)
        self.assertNotEqual(0, waiter.returncode, "the task did not end well")
        self.assertIn(t, err)

    def test_shutdown_is_structured_and_a_second_signal_hurries(self):
        self.shut_down_twice(lambda: self.d.process.send_signal(signal.SIGTERM))

    def test_a_signal_after_a_shutdown_by_request_hurries(self):
        self.shut_down_twice(lambda: self.d.ctl("shutdown", "--no-wait"))

    def shut_down_twice(self, first):
        d = self.d
        r = d.open("--drain", "1h")
        d.actor(r, "ignore", "TERM", "pid", d.path("pid"), "forever")
        d.ctl("defer", r, "--timeout", "1h", "--env", f"{harness.MARK}={d.mark}", "--", ACTOR,
              "touch", d.path("finalized"))
        d.await_file("pid")
        began = time.monotonic()
        first()
        eventually(lambda: d.json("status")["state"] == "shutting-down", "it shuts down")
        d.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, d.process.wait(harness.PATIENCE))
        self.assertLess(time.monotonic() - began, 4.5, "sooner than the allowance under shutdown")
        self.assertTrue(os.path.exists(d.path("finalized")))


if __name__ == "__main__":
    harness.main()
