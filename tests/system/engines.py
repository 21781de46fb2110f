# SPDX-License-Identifier: MIT
"""Engines come and go: killed, hung, replaced, unable to start. No task
notices, no status is lost (ask 5: survive the supervisor's own crash, with
true exit statuses)."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import unittest

import harness
import wire
from harness import ACTOR, eventually

EUNSUPPORTED = -2


class Engines(unittest.TestCase):
    options = ()

    def setUp(self):
        self.d = harness.Daemon(options=self.options)

    def tearDown(self):
        with contextlib.suppress(AssertionError):
            for child in self.d.json("tree")["children"]:
                self.d.ctl("cancel", child["id"], "--drain", "0s", code=None)
        self.d.close()

    def kill_engine(self):
        old = self.d.engine_pid()
        os.kill(old, signal.SIGKILL)
        return old

    def await_engine(self, old):
        eventually(lambda: self.d.answers() and self.d.engine_pid() != old, "a new engine answers", 60)

    def crash(self):
        self.await_engine(self.kill_engine())

    def shell(self, region, script, *options):
        return self.d.submit(region, "sh", "-c", script, options=options)

    def until(self, name):
        return f"while [ ! -e {self.d.path(name)} ]; do sleep 0.01; done; "

    def make(self, name):
        with open(self.d.path(name), "w"):
            pass


class Ask5SurviveTheSupervisorsOwnCrash(Engines):
    def test_tasks_live_on_and_their_statuses_are_true(self):
        """R-TSK-5, R-TSK-4: what ends later, and what ended while no engine was there."""
        d = self.d
        r = d.open()
        # Without control groups one that forks away may not be seen: it has no part there.
        escapee = None if self.options else d.actor(r, "detach", "ignore", "TERM", "pid", d.path("far"),
                                                    "forever", options=("--leftover", "wait"))
        ends = {self.shell(r, self.until("go") + script): wanted
                for script, wanted in (("exit 0", (0, None)), ("exit 7", (7, None)),
                                       ("kill -SEGV $$", (None, signal.SIGSEGV)),
                                       ("(sleep 0.1; exit 3) & exit 4", (4, None)))}
        for t in ends:
            d.ctl("wait", "--until", "started", t)
        pids = [d.task(t)["pid"] for t in ends]
        far = [int(d.await_text("far"))] if escapee else []
        self.crash()
        self.assertLessEqual({*far, *pids}, set(harness.marked(d.mark)))
        self.assertEqual(pids, [d.task(t)["pid"] for t in ends])
        # Nobody takes in that they end: the engine stands still, and is killed.
        old = d.engine_pid()
        os.kill(old, signal.SIGSTOP)
        self.make("go")
        eventually(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), "they have ended")
        os.kill(old, signal.SIGKILL)
        self.await_engine(old)
        for t, (code, number) in ends.items():
            outcome = d.outcome(t)
            self.assertEqual((code, number), (outcome["exit_code"], outcome["signal"]), t)
        if escapee:
            self.assertEqual("finalizing", d.state_of(escapee))
        d.ctl("cancel", "--drain", "0s", r, code=None)
        d.ctl("wait", r, code=None)
        self.assertEqual([], harness.marked(d.mark))

    def test_cancels_and_their_escalation_go_on(self):
        """R-REG-8: T is kept though the engine that set it is gone."""
        d = self.d
        r = d.open("--drain", "1500ms")
        stubborn = d.actor(r, "ignore", "TERM", "pid", d.path("a"), "forever")
        polite = d.actor(r, "trap", "TERM", "9", "pid", d.path("b"), "forever")
        d.await_file("a")
        d.await_file("b")
        d.ctl("close", "--no-wait", r)
        self.crash()
        d.ctl("wait", r, code=None)
        self.assertTrue(d.outcome(stubborn)["forced"])
        self.assertEqual(9, d.outcome(polite)["exit_code"])
        self.assertFalse(d.outcome(polite)["forced"])

    def test_no_byte_of_output_is_lost(self):
        d = self.d
        r = d.open()
        stop, count = d.path("stop"), d.path("count")
        t = self.shell(r, f"i=0; while [ ! -e {stop} ]; do i=$((i+1)); echo $i; "
                          f"[ $((i % 1000)) -ne 0 ] || sleep 0.05; done; echo $i >{count}")
        for _ in range(4):
            size = d.json("show", t)["age_ns"]
            eventually(lambda: d.json("show", t)["age_ns"] > size + 100_000_000, "it writes on")
            self.crash()
        self.make("stop")
        d.outcome(t, code=0)
        with open(count) as f:
            lines = int(f.read())
        said = d.ctl("logs", t).out.split()
        self.assertEqual(lines, len(said))
        self.assertEqual([str(i) for i in range(1, lines + 1)], said)
        self.assertEqual(0, d.task(t)["log_lost_bytes"])

    def test_what_is_said_to_the_notify_socket_is_heard_again(self):
        d = self.d
        r = d.open()
        t = d.actor(r, "touch", d.path("up"), "await", d.path("go"), "notify", "READY=1\nSTATUS=here", "forever",
                    options=("--notify",))
        d.await_file("up")
        self.crash()
        self.assertFalse(d.task(t)["ready"])
        self.make("go")
        d.ctl("wait", "--until", "ready", t)

    def test_run_and_what_it_shows_ride_it_out(self):
        d = self.d
        p = d.popen("run", "--", "sh", "-c", f"echo one; touch {d.path('up')}; {self.until('go')} echo two; exit 9",
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        d.await_file("up")
        self.crash()
        self.crash()
        self.make("go")
        out, err = p.communicate(timeout=harness.PATIENCE)
        self.assertEqual((9, "one\ntwo\n"), (p.returncode, out), err)

    def test_run_is_cancelled_by_a_signal_after_it(self):
        d = self.d
        p = d.popen("run", "--", ACTOR, "trap", "TERM", "3", "touch", d.path("up"), "forever",
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        d.await_file("up")
        self.crash()
        p.send_signal(signal.SIGTERM)
        p.communicate(timeout=harness.PATIENCE)
        self.assertNotEqual(0, p.returncode)
        eventually(lambda: not d.json("tree")["children"], "its region is closed")

    def test_a_shutdown_goes_on_and_is_not_hurried(self):
        """R-REG-6: the finalizer has its time, which a second shutdown would cut to a second."""
        d = self.d
        r = d.open()
        d.actor(r, "forever")
        d.ctl("defer", r, "--timeout", "1m", "--env", f"{harness.MARK}={d.mark}", "--",
              "sh", "-c", f"touch {d.path('begun')}; sleep 2.5; touch {d.path('done')}")
        old = d.engine_pid()
        d.process.send_signal(signal.SIGTERM)
        d.await_file("begun")
        os.kill(old, signal.SIGKILL)
        self.assertEqual(0, d.process.wait(harness.PATIENCE), d.said())
        self.assertTrue(os.path.exists(d.path("done")), d.said())

    def test_an_engine_that_keeps_dying_is_given_up_and_nothing_is_left(self):
        d = self.d
        r = d.open()
        d.actor(r, "detach", "ignore", "TERM", "pid", d.path("far"), "forever", options=("--leftover", "wait"))
        d.await_file("far")
        for _ in range(5):
            self.crash()
        self.kill_engine()
        self.assertEqual(1, d.process.wait(harness.PATIENCE))
        self.assertIn("giving up", d.said())
        d.assert_quiet()
        d.start()


class WithoutCgroups(Ask5SurviveTheSupervisorsOwnCrash):
    """The same, best effort."""

    options = ("--containment", "subreaper")


class Hanging(Engines):
    options = ("--engine-timeout", "3")

    def test_a_hanging_engine_costs_no_task(self):
        d = self.d
        r = d.open()
        t = self.shell(r, self.until("go") + "exit 5")
        d.ctl("wait", "--until", "started", t)
        old = d.engine_pid()
        os.kill(old, signal.SIGSTOP)
        self.await_engine(old)
        self.assertIn("no sign of life", d.said())
        self.assertEqual("running", d.state_of(t))
        self.make("go")
        self.assertEqual(5, d.outcome(t)["exit_code"])


class Upgrades(unittest.TestCase):
    """The program's files are replaced while it runs."""

    def setUp(self):
        self.bin = harness.tempfile.mkdtemp(prefix="asup.bin.")
        self.program = os.path.join(self.bin, "asupersyncd")
        self.module = os.path.join(self.bin, "asupersyncd-engine.so")
        self.built = os.path.join(os.path.dirname(harness.DAEMON), "asupersyncd-engine.so")
        shutil.copy2(harness.DAEMON, self.program)
        shutil.copy2(self.built, self.module)
        daemon, harness.DAEMON = harness.DAEMON, self.program
        try:
            self.d = harness.Daemon()
        finally:
            harness.DAEMON = daemon

    def tearDown(self):
        self.d.close()
        shutil.rmtree(self.bin)

    def put(self, source, target):
        """As a package manager does it: the running one keeps its file."""
        shutil.copy2(source, target + ".new")
        os.rename(target + ".new", target)

    def test_everything_goes_on_under_the_new_engine(self):
        d = self.d
        r = d.open()
        t = d.submit(r, "sh", "-c", f"while [ ! -e {d.path('go')} ]; do sleep 0.01; done; exit 6")
        d.ctl("wait", "--until", "started", t)
        w = wire.connect(d)
        session = w.secret
        waiter = d.popen("wait", t, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        follower = d.popen("events", "-f", "--in", r, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        eventually(lambda: d.json("status")["waits"] >= 2, "they wait")
        keeper = d.json("status")["pid"]
        pid = d.task(t)["pid"]
        for runs in range(2, 7):
            self.put(harness.DAEMON, self.program)
            self.put(self.built, self.module)
            status = d.json("upgrade")
            self.assertEqual(runs, status["engine_runs"], d.said())
        self.assertEqual(keeper, d.json("status")["pid"])
        self.assertNotIn("giving up", d.said())
        exe = os.readlink(f"/proc/{d.engine_pid()}/exe")
        self.assertEqual(self.program, exe, "the file as it is now")
        self.assertEqual(pid, d.task(t)["pid"])
        w = wire.connect(d, hello=False)
        self.assertTrue(w.hello(secret=session)["resumed"])
        w.close()
        with open(d.path("go"), "w"):
            pass
        waiter.communicate(timeout=harness.PATIENCE)
        self.assertEqual(6, waiter.returncode)
        d.ctl("close", r, code=None)
        said = b""
        os.set_blocking(follower.stdout.fileno(), False)

        def closed():
            nonlocal said
            with contextlib.suppress(BlockingIOError):
                said += os.read(follower.stdout.fileno(), 65536)
            return b"region-closed" in said

        eventually(closed, lambda: f"who watches sees the end: {said}")
        follower.kill()
        follower.communicate()

    def test_a_program_that_would_not_start_changes_nothing(self):
        d = self.d
        old = d.engine_pid()
        with open(self.module + ".new", "w") as f:
            f.write("no module")
        os.rename(self.module + ".new", self.module)
        p = d.ctl("upgrade", code=125)
        self.assertIn("would not start", p.err)
        self.assertEqual(old, d.engine_pid())
        with open(d.config, "w") as f:
            f.write("limits:\n  tasks-per-moon: 3\n")
        self.put(self.built, self.module)
        p = d.ctl("upgrade", code=125)
        self.assertIn("config.yaml:2:", p.err)
        self.assertEqual(old, d.engine_pid())
        with open(d.config, "w"):
            pass
        d.ctl("upgrade")

    def test_R_EVT_1_a_program_that_cannot_read_the_journal_is_refused(self):
        """Before the old engine leaves: the newest snapshot and what came after it are read."""
        d = self.d
        r = d.open()
        old = d.engine_pid()
        path = os.path.join(d.state, "journal.db")

        def sql(text, *args):
            with contextlib.closing(sqlite3.connect(path)) as db, db:
                return db.execute(text, args).fetchall()

        for table, key in (("event", "seq"), ("snapshot", "seq")):
            (number, body), = sql(f"SELECT {key}, body FROM {table} ORDER BY {key} DESC LIMIT 1")
            sql(f"UPDATE {table} SET body = ? WHERE {key} = ?", body[:-1] + bytes([body[-1] ^ 1]), number)
            p = d.ctl("upgrade", code=125)
            self.assertRegex(p.err, f"would not start.*damaged.*{table}")
            self.assertEqual(old, d.engine_pid())
            sql(f"UPDATE {table} SET body = ? WHERE {key} = ?", body, number)
        sql("PRAGMA user_version = 7")
        self.assertIn("newer version of asupersyncd (schema 7", d.ctl("upgrade", code=125).err)
        sql("PRAGMA user_version = 1")
        self.assertEqual(old, d.engine_pid())
        d.ctl("upgrade")
        # Ids go on where they were.
        self.assertEqual(int(r[1:]) + 1, int(d.open()[1:]))

    def test_an_engine_that_cannot_start_costs_no_task(self):
        """The keeper tries again, seldom, and at once when it is told to."""
        d = self.d
        r = d.open()
        t = d.submit(r, "sh", "-c", f"while [ ! -e {d.path('go')} ]; do sleep 0.01; done; echo said; exit 4")
        d.ctl("wait", "--until", "started", t)
        pid = d.task(t)["pid"]
        with open(d.config, "w") as f:
            f.write("limits:\n  tasks-per-moon: 3\n")
        os.kill(d.engine_pid(), signal.SIGKILL)
        eventually(lambda: "running tasks go on, and it is tried again" in d.said(), "it is said")
        with open(d.path("go"), "w"):
            pass
        eventually(lambda: not os.path.exists(f"/proc/{pid}"), "the task ends meanwhile")
        self.assertIsNone(d.process.poll())
        with open(d.config, "w"):
            pass
        d.process.send_signal(signal.SIGHUP)
        eventually(d.answers, "an engine")
        self.assertEqual(4, d.outcome(t)["exit_code"])
        self.assertEqual("said\n", d.ctl("logs", t).out)

    @unittest.skipUnless("ASUP_OTHER_ENGINE" in os.environ, "not told of a module of another version")
    def test_a_program_that_does_not_fit_the_keeper_is_refused(self):
        d = self.d
        old = d.engine_pid()
        self.put(os.environ["ASUP_OTHER_ENGINE"], self.module)
        p = d.ctl("upgrade", code=125)
        self.assertIn("do not fit together", p.err)
        self.assertIn("restart the whole daemon", p.err)
        self.assertEqual(old, d.engine_pid())
        self.put(self.built, self.module)


@unittest.skipUnless("ASUP_CRASH_DAEMON" in os.environ, "no build with crash points")
class RunUnderCrashes(unittest.TestCase):
    """The engine dies at each step of a start: what was handed over is handed over again."""

    def setUp(self):
        daemon, harness.DAEMON = harness.DAEMON, os.environ["ASUP_CRASH_DAEMON"]
        self.plan = harness.tempfile.mktemp(prefix="asup-plan.")
        try:
            self.d = harness.Daemon(options=("--engine-restarts", "1000"),
                                    env={"ASUP_CRASH_PLAN": self.plan})
        finally:
            harness.DAEMON = daemon

    def tearDown(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.plan)
        self.d.close()

    def test_run_is_run_once_with_its_streams(self):
        d = self.d
        crashes = 0
        for point in ("gathered", "before-commit", "after-commit", "before-release", "mid-release"):
            for nth in range(1, 5):
                with open(self.plan + ".new", "w") as f:
                    f.write(f"crash {point} {nth}\n")
                os.rename(self.plan + ".new", self.plan)
                before = d.json("status")["engine_runs"]
                p = d.ctl("run", "--", "sh", "-c", "read x; echo $x; exit 3", input="hi\n", code=None)
                self.assertEqual((3, "hi\n"), (p.returncode, p.out), (point, nth, p.err, d.said()))
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.plan)
                eventually(d.answers, "an engine")
                crashes += d.json("status")["engine_runs"] - before
        self.assertGreater(crashes, 10)


if __name__ == "__main__":
    harness.main()
