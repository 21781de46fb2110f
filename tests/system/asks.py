# SPDX-License-Identifier: MIT
"""What users of process managers ask for and seldom get, each as a scenario
with real processes. Every test ends with exact process accounting
(harness.DaemonTest.tearDown)."""

import json
import os
import signal
import subprocess
import threading
import time
import unittest

import harness
from harness import ACTOR, eventually


class Ask01KillTheRealTree(harness.DaemonTest):
    def test_processes_that_double_fork_and_setsid_do_not_escape_a_close(self):
        """R-REG-4, R-TSK-2: the cgroup is what counts, not the process group."""
        d = self.d
        r = d.open("--drain", "300ms")
        t = d.actor(r, "ignore", "TERM", "detach", "children", "3", "pid", d.path("escaped"), "forever")
        d.await_file("escaped")
        self.assertEqual("finalizing", d.state_of(t), "the main process ended, its descendants live")
        d.ctl("close", r)
        self.assertEqual([], harness.marked(d.mark))

    def test_leftovers_of_an_ended_main_process_get_the_signal_and_then_are_killed(self):
        """R-TSK-4: the outcome is the main process's; leftovers are ended after it."""
        d = self.d
        r = d.open()
        began = time.monotonic()
        t = d.actor(r, "children", "0", "ignore", "TERM", "detach", "forever",
                    options=("--leftover", "200ms"))
        outcome = d.outcome(t, code=0)
        self.assertEqual("ok", outcome["outcome"])
        self.assertFalse(outcome["forced"], "forced is about the main process")
        self.assertGreaterEqual(time.monotonic() - began, 0.2)

    def test_a_task_that_forks_without_end_is_gone_after_its_drain(self):
        d = self.d
        r = d.open("--drain", "200ms")
        d.actor(r, "ignore", "TERM", "forkbomb", "200")
        eventually(lambda: len(d.cgroup_processes()) > 150, "the bomb has gone off")
        d.ctl("close", r)
        self.assertEqual([], d.cgroup_processes())


class Ask02StoppedMeansGone(harness.DaemonTest):
    def test_close_answers_only_when_nothing_runs(self):
        """R-REG-4: right after close no process is left, without any waiting here."""
        d = self.d
        r = d.open("--drain", "500ms")
        for _ in range(5):
            d.actor(r, "ignore", "TERM", "children", "2", "forever")
        eventually(lambda: len(d.cgroup_processes()) == 15, "all run")
        d.ctl("close", r)
        self.assertEqual([], harness.marked(d.mark))
        self.assertEqual("closed", d.state_of(r))

    def test_the_work_directory_is_gone_too(self):
        d = self.d
        r = d.open()
        d.submit(r, "sh", "-c", f"mkdir -p \"$ASUPERSYNC_WORKDIR/a/b\" && touch \"$ASUPERSYNC_WORKDIR/a/b/c\" && "
                 f"chmod 0 \"$ASUPERSYNC_WORKDIR/a/b/c\" && echo $ASUPERSYNC_WORKDIR > {d.path('where')}.new && "
                 f"mv {d.path('where')}.new {d.path('where')}")
        where = d.await_text("where")
        self.assertTrue(os.path.isdir(where))
        d.ctl("close", "--finish", r)
        self.assertFalse(os.path.exists(where))


class Ask03SayWhatBlocks(harness.DaemonTest):
    def test_why_names_region_task_process_state_and_time_left(self):
        d = self.d
        r = d.open("--name", "slow", "--drain", "60s")
        inner = d.open("--in", r, "--name", "inner")
        t = d.actor(inner, "ignore", "TERM", "pid", d.path("pid"), "forever")
        pid = int(d.await_text("pid"))
        close = d.popen("close", r, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: d.state_of(r) == "draining", "it drains")
        why = d.json("why", r)
        chain = {link["id"]: link for link in why["chain"]}
        self.assertIn(inner, chain)
        self.assertIn(t, chain)
        self.assertEqual(pid, chain[t]["pid"])
        self.assertIn(chain[t]["state"], ("cancel-requested", "cancelling"))
        self.assertGreater(chain[t]["budget_left_ns"], 30e9)
        self.assertIn(t, d.ctl("why", r).out)
        d.ctl("cancel", r, "--drain", "0s")
        self.assertEqual(0, close.wait(harness.PATIENCE))

    def test_close_shows_what_is_draining_and_the_time_left(self):
        d = self.d
        r = d.open("--drain", "700ms")
        t = d.actor(r, "ignore", "TERM", "pid", d.path("pid2"), "forever")
        d.await_file("pid2")
        shown = d.ctl("close", r).err
        self.assertIn(t, shown)


class Ask06ALongDrainBlocksNothing(harness.DaemonTest):
    def test_others_are_served_while_one_drains(self):
        d = self.d
        slow = d.open("--drain", "60s")
        d.actor(slow, "ignore", "TERM", "pid", d.path("pid"), "forever")
        d.await_file("pid")
        d.ctl("close", "--no-wait", slow)
        began = time.monotonic()
        for _ in range(5):
            r = d.open()
            self.assertEqual("ok", d.outcome(d.actor(r, "exit", "0"), code=0)["outcome"])
            d.ctl("close", r)
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual("draining", d.state_of(slow))


class Ask07NestedTimeoutsCompose(harness.DaemonTest):
    def test_an_outer_close_waits_for_inner_finalizers_and_orphans_nothing(self):
        """R-REG-6: one end of draining serves the subtree; finalizers come after it."""
        d = self.d
        outer = d.open("--name", "outer", "--drain", "400ms")
        middle = d.open("--in", outer, "--drain", "30s")
        inner = d.open("--in", middle, "--drain", "30s")
        done = d.path("done")
        for region, name in ((outer, "outer"), (middle, "middle"), (inner, "inner")):
            d.ctl("defer", region, "--env", f"{harness.MARK}={d.mark}", "--", ACTOR, "sleep", "150",
                  "append", done, name)
        t = d.actor(inner, "ignore", "TERM", "detach", "pid", d.path("pid"), "forever",
                    options=("--leftover", "wait"))
        d.await_file("pid")
        began = time.monotonic()
        d.ctl("close", outer)
        took = time.monotonic() - began
        with open(done) as f:
            self.assertEqual(["inner", "middle", "outer"], f.read().split())
        self.assertGreaterEqual(took, 0.4 + 3 * 0.15)
        self.assertLess(took, 10, "30 s of the inner regions do not hold up the outer one")
        self.assertTrue(d.task(t)["state"] == "completed")

    def test_an_outer_timeout_reaches_grandchildren(self):
        d = self.d
        outer = d.open("--timeout", "300ms", "--drain", "200ms")
        inner = d.open("--in", outer, "--timeout", "1h")
        t = d.actor(inner, "ignore", "TERM", "forever")
        outcome = d.outcome(t, code=124)
        self.assertEqual("cancelled", outcome["outcome"])
        self.assertTrue(outcome["forced"])
        reason = outcome["reason"]
        self.assertEqual("parent-cancelled", reason["kind"])
        while reason["cause"]:
            reason = reason["cause"]
        self.assertEqual("timeout", reason["kind"])
        d.ctl("wait", outer, code=124)


class Ask08CancelOneJob(harness.DaemonTest):
    def test_one_task_is_cancelled_and_its_siblings_go_on(self):
        d = self.d
        r = d.open("--drain", "300ms")
        stubborn = d.actor(r, "ignore", "TERM", "children", "2", "pid", d.path("a"), "forever")
        sibling = d.actor(r, "pid", d.path("b"), "forever")
        d.await_file("a")
        d.await_file("b")
        d.ctl("cancel", stubborn)
        outcome = d.outcome(stubborn, code=130)
        self.assertTrue(outcome["forced"])
        self.assertEqual("user", outcome["reason"]["kind"])
        self.assertEqual("running", d.state_of(sibling))

    def test_a_cooperative_one_ends_by_its_own_handler(self):
        d = self.d
        r = d.open()
        t = d.actor(r, "trap", "TERM", "0", "pid", d.path("c"), "forever")
        d.await_file("c")
        d.ctl("cancel", t)
        outcome = d.outcome(t, code=130)
        self.assertEqual("cancelled", outcome["outcome"])
        self.assertFalse(outcome["forced"])
        self.assertEqual(0, outcome["exit_code"])

    def test_a_stopped_task_is_continued_so_that_it_can_end(self):
        d = self.d
        r = d.open("--drain", "20s")
        t = d.actor(r, "mark", "TERM", d.path("marked"), "pid", d.path("stopped"), "stop", "forever")
        pid = int(d.await_text("stopped"))

        def stopped():
            with open(f"/proc/{pid}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0] == "T"

        eventually(stopped, "it stopped itself")
        began = time.monotonic()
        d.ctl("cancel", t)
        self.assertFalse(d.outcome(t, code=130)["forced"])
        self.assertLess(time.monotonic() - began, 15)
        self.assertEqual("signalled", d.await_file("marked"))


class Ask09CleanupSurvivesCancellation(harness.DaemonTest):
    def test_a_finalizer_runs_to_its_end_though_the_region_is_cancelled_again(self):
        """R-FIN-1: finalizers are masked from cancellation."""
        d = self.d
        r = d.open("--drain", "100ms")
        d.ctl("defer", r, "--env", f"{harness.MARK}={d.mark}", "--", ACTOR, "touch", d.path("begun"),
              "await", d.path("go"), "touch", d.path("finished"))
        d.ctl("cancel", "--no-wait", r)
        d.await_file("begun")
        d.ctl("cancel", "--no-wait", r, "--drain", "0s")
        self.assertEqual("finalizing", d.state_of(r))
        with open(d.path("go"), "w"):
            pass
        d.ctl("wait", r, code=None)
        self.assertTrue(os.path.exists(d.path("finished")))


class Ask11CancelASubtreeWithoutARace(harness.DaemonTest):
    def test_what_is_submitted_while_it_closes_is_refused_or_gone(self):
        """R-REG-2: admission ends in the whole subtree at once."""
        d = self.d
        root = d.open("--name", "busy", "--drain", "100ms")
        regions = [root] + [d.open("--in", root) for _ in range(3)]
        closed = threading.Event()
        codes = []

        def submitter(region):
            while not closed.is_set():
                p = d.ctl("submit", "--in", region, "--env", f"{harness.MARK}={d.mark}", "--",
                          ACTOR, "ignore", "TERM", "detach", "forever", code=None)
                codes.append(p.returncode)
                if p.returncode:
                    self.assertIn("region", p.err)
                    return

        threads = [threading.Thread(target=submitter, args=(r,)) for r in regions]
        for thread in threads:
            thread.start()
        eventually(lambda: codes.count(0) >= 8, "some run")
        d.ctl("close", root)
        self.assertEqual([], harness.marked(d.mark), "right after the close")
        closed.set()
        for thread in threads:
            thread.join()
        self.assertIn(125, codes, "later ones were refused")
        self.assertEqual([], harness.marked(d.mark))


class Ask15NoSecondCopyBeforeTheFirstIsDead(harness.DaemonTest):
    def test_the_first_copy_lives_on_under_a_new_engine(self):
        """R-TSK-5: the job holds a lock, which no second copy gets."""
        d = self.d
        lock = d.path("lock")
        script = f"exec 9>{lock}; flock -n 9 || exit 17; echo $$ >> {d.path('copies')}; exec sleep 1000"
        r = d.open()
        t = d.submit(r, "sh", "-c", script)
        pid = int(d.await_text("copies"))
        first_engine = d.engine_pid()
        os.kill(first_engine, signal.SIGKILL)
        eventually(lambda: d.answers() and d.engine_pid() != first_engine, "a new engine answers")
        self.assertEqual(pid, d.task(t)["pid"])
        self.assertEqual("running", d.state_of(t))
        r2 = d.open()
        self.assertGreater(int(r2[1:]), int(r[1:]), "ids are never used again")
        self.assertEqual(17, d.outcome(d.submit(r2, "sh", "-c", script))["exit_code"])
        with open(d.path("copies")) as f:
            self.assertEqual([pid], [int(p) for p in f.read().split()])
        self.assertEqual([pid], harness.marked(d.mark))


class Ask16FinalizersBoundedAndVisible(harness.DaemonTest):
    def test_what_a_finalizer_leaves_behind_is_killed_within_its_budget(self):
        """R-TSK-4; and the finalizers below it still run (R-FIN-1)."""
        d = self.d
        r = d.open()
        d.ctl("defer", r, "--env", f"{harness.MARK}={d.mark}", "--", ACTOR, "touch", d.path("below"))
        d.ctl("defer", r, "--timeout", "300ms", "--env", f"{harness.MARK}={d.mark}", "--", ACTOR,
              "ignore", "TERM", "detach", "touch", d.path("hangs"), "forever")
        d.ctl("close", "--no-wait", r)
        d.await_file("hangs")
        outcome = d.outcome(r)
        self.assertTrue(os.path.exists(d.path("below")))
        self.assertEqual([], harness.marked(d.mark))
        self.assertEqual("ok", outcome["outcome"], "the main process had ended well")

    def test_a_hanging_finalizer_is_shown_with_its_time_left(self):
        d = self.d
        r = d.open("--name", "hang")
        d.ctl("defer", r, "--timeout", "20s", "--env", f"{harness.MARK}={d.mark}", "--", ACTOR,
              "ignore", "TERM", "touch", d.path("hanging"), "await", d.path("end"))
        d.ctl("close", "--no-wait", r)
        d.await_file("hanging")
        why = d.json("why", r)
        blockers = [link for link in why["chain"] if link["kind"] in ("finalizer", "task")]
        self.assertTrue(blockers)
        self.assertGreater(blockers[0]["budget_left_ns"], 0)
        node = [c for c in d.json("tree")["children"] if c["id"] == r][0]
        self.assertEqual([True], [t["finalizer"] for t in node["tasks"]])
        self.assertEqual([node["tasks"][0]["id"]], [t["id"] for t in d.json("ps")["tasks"]])
        with open(d.path("end"), "w"):
            pass
        self.assertEqual("ok", d.outcome(r)["outcome"])

    def test_a_finalizer_past_its_budget_is_killed_and_counts_as_panicked(self):
        """R-REG-8"""
        d = self.d
        r = d.open()
        d.ctl("defer", r, "--timeout", "200ms", "--env", f"{harness.MARK}={d.mark}", "--", ACTOR,
              "ignore", "TERM", "forever")
        d.ctl("close", "--no-wait", r)
        outcome = d.outcome(r)
        self.assertEqual("panicked", outcome["outcome"])


class Ask17JsonWaitsAndReaders(harness.DaemonTest):
    def test_wait_cannot_miss_the_end(self):
        """R-TSK-7: before, during and after, by any number of waiters."""
        d = self.d
        r = d.open()
        for code in (0, 3):
            t = d.actor(r, "exit", str(code))
            waiters = [d.popen("wait", t, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                       for _ in range(4)]
            self.assertEqual([code] * 4, [w.wait(harness.PATIENCE) for w in waiters])
            d.ctl("wait", t, code=code)

    def test_a_signal_death_is_never_reported_as_success(self):
        d = self.d
        r = d.open()
        outcome = d.outcome(d.actor(r, "abort"), code=128 + signal.SIGABRT)
        self.assertEqual(("panicked", signal.SIGABRT), (outcome["outcome"], outcome["signal"]))

    def test_a_wait_that_times_out_says_so(self):
        d = self.d
        r = d.open()
        t = d.actor(r, "forever")
        d.ctl("wait", "--timeout", "100ms", t, code=75)

    def test_a_stuck_log_reader_blocks_no_child(self):
        d = self.d
        r = d.open()
        t = d.actor(r, "fill", "24", "touch", d.path("filled"), "forever")
        eventually(lambda: d.ctl("logs", t).out[:1] == "x", "some output is there")
        reader = d.popen("logs", "-f", t, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        reader.send_signal(signal.SIGSTOP)
        d.await_file("filled")
        self.assertGreater(d.task(t)["log_lost_bytes"], 0, "past the cap, output is dropped and counted")
        reader.kill()
        reader.communicate()

    def test_every_verb_answers_in_json(self):
        d = self.d
        r = d.open("--name", "json")
        t = d.actor(r, "print", "hello", "forever")
        for verb in (("status",), ("tree",), ("ps",), ("show", r), ("show", t), ("why", r), ("why", t),
                     ("version",), ("logs", t), ("events", "--since", "0")):
            out = d.ctl("--json", *verb).out
            for line in out.splitlines() if verb[0] in ("events", "logs") else [out]:
                self.assertIn("format", json.loads(line), verb)
        self.assertRegex(d.json("submit", "--in", r, "--", "true")["task"], r"^t\d+$")
        self.assertRegex(d.json("defer", r, "--", "true")["task"], r"^t\d+$")
        inner = d.json("open", "--in", r)["region"]
        self.assertEqual("closed", d.json("close", inner)["state"])
        self.assertEqual(t, d.json("cancel", t)["task"])
        self.assertEqual("cancelled", d.outcome(t, code=130)["outcome"])
        self.assertEqual("not-found", json.loads(d.ctl("--json", "show", "t999999", code=125).out)
                         ["error"]["code"])


if __name__ == "__main__":
    harness.main()
