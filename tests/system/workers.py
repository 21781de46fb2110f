# SPDX-License-Identifier: MIT
"""Calls and the workers that do them, with real processes: several workers at
once, and what becomes of a call when its worker is killed, stopped or drained.

Each attempt of a call writes to one file when it begins and when it ends, and
says so when the attempt before is still there: so no two may ever overlap
(R-TSK-5)."""

import json
import os
import signal
import subprocess
import time
import unittest

import harness
import wire
from harness import CTL, RUNS, eventually

# An attempt: "begin N PID", then as long as there is no file "go", then "end N PID".
JOB = """
last=$(cat last 2>/dev/null)
[ -n "$last" ] && @RUNS@ "/proc/$last/status" 2>/dev/null && echo "overlap $ASUPERSYNC_ATTEMPT" >>trace
echo $$ >last
echo "begin $ASUPERSYNC_ATTEMPT $$" >>trace
trap 'echo "asked $ASUPERSYNC_ATTEMPT" >>trace' TERM
while [ ! -e go ]; do sleep 0.02; done
echo "end $ASUPERSYNC_ATTEMPT $$" >>trace
echo done by attempt $ASUPERSYNC_ATTEMPT
""".replace("@RUNS@", RUNS)


class WorkerTest(harness.DaemonTest):
    def setUp(self):
        self.pool = self.d.open()
        self.jobs = self.d.json("open", "--in", self.pool)["region"]
        self.work = os.path.join(self.d.dir, self.id().rsplit(".", 1)[1])
        os.mkdir(self.work)

    def worker(self, *options, command=JOB, name="job"):
        """A worker that is a task of the pool, working in its region and below."""
        return self.d.submit(self.pool, CTL, "worker", "run", name, *options, "--",
                             "sh", "-c", command, options=("--cwd", self.work))

    def workers(self, count, *options, **how):
        tasks = [self.worker(*options, **how) for _ in range(count)]
        eventually(lambda: {w["holder"] for w in self.d.json("workers")["workers"]} >= set(tasks),
                   "all workers have offered")
        return tasks

    def call(self, *options, name="job"):
        return self.d.popen("call", name, "--in", self.jobs, *options, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def trace(self):
        try:
            with open(os.path.join(self.work, "trace")) as f:
                return [line.split() for line in f]
        except FileNotFoundError:
            return []

    def began(self, attempt):
        return eventually(lambda: [t for t in self.trace() if t[:2] == ["begin", str(attempt)]],
                          lambda: f"attempt {attempt} begins: {self.trace()}")[0]

    def go(self):
        with open(os.path.join(self.work, "go"), "w"):
            pass

    def holder(self, task):
        """The worker that has a call, as its task."""
        for w in self.d.json("workers")["workers"]:
            if task in w["calls"]:
                return w["holder"]
        return None

    def only_call(self):
        tasks = self.d.json("ps", self.jobs)["tasks"]
        self.assertEqual(1, len(tasks))
        return tasks[0]["id"]

    def assert_no_overlap(self):
        self.assertEqual([], [t for t in self.trace() if t[0] == "overlap"], self.trace())


class Why(WorkerTest):
    def why(self, id):
        return self.d.json("why", id)

    def test_why_tells_what_a_call_waits_for(self):
        """No worker, a busy one, the one that has it, the time of the next attempt, and a
        worker that is gone."""
        w = wire.connect(self.d)
        self.addCleanup(w.close)
        task = w.ok("task.submit", {"region": self.jobs, "call": "job", "input": b"",
                                    "retry": {"attempts": 3, "backoff_ns": int(3600e9)}})["task"]
        self.assertIn("no worker offers job", self.why(task)["summary"])

        worker, = self.workers(1)
        self.began(1)
        chain = self.why(task)["chain"]
        self.assertEqual(["task", "worker", "task", "process"], [link["kind"] for link in chain][:4])
        self.assertIn("attempt 1 of 3, with worker", chain[0]["note"])
        session = chain[1]["id"]
        self.assertEqual((worker, "job"), (chain[2]["id"], chain[1]["name"]))

        other = self.call()
        second = eventually(lambda: [t["id"] for t in self.d.json("ps", self.jobs)["tasks"]
                                     if t["id"] != task], "another call")[0]
        self.assertIn("the only worker that offers job is busy", self.why(second)["summary"])
        self.assertIn("worker", [link["kind"] for link in self.why(session)["chain"]])
        other.kill()
        other.communicate()
        self.d.ctl("cancel", second)

        os.kill(self.d.task(worker)["pid"], signal.SIGKILL)
        eventually(lambda: "attempt 1 of 3 failed; the next comes in" in self.why(task)["summary"],
                   lambda: f"it waits for its next attempt: {self.why(task)}")
        eventually(lambda: f"WorkerLost: worker {session}" in self.d.said(), "the log tells of it")
        self.d.ctl("close", self.jobs, code=None)


class Ask12and15AWorkerIsKilled(WorkerTest):
    def test_a_killed_worker_s_call_is_run_again_when_nothing_of_it_is_left(self):
        """R-TSK-5: kill -9 of one of three workers in the middle of a call. What it had
        started lives on for a while; only when that is gone another one begins."""
        workers = self.workers(3)
        call = self.call("--retry", "3")
        self.began(1)
        task = self.only_call()
        first = self.holder(task)
        self.assertIn(first, workers)
        os.kill(self.d.task(first)["pid"], signal.SIGKILL)
        self.began(2)
        self.assertEqual("completed", self.d.state_of(first), "the first worker's task is gone")
        second = self.holder(task)
        self.assertNotEqual(first, second)
        self.go()
        out, err = call.communicate(timeout=30)
        self.assertEqual((0, "done by attempt 2\n"), (call.returncode, out), err)
        self.assert_no_overlap()
        events = [e["event"] for e in self.events() if e.get("task") == task]
        self.assertEqual(["call-started", "call-retried", "task-due", "call-started",
                          "task-completed"], events[1:])

    def events(self):
        out = self.d.ctl("events", "--since", "1", "--json").out
        return [harness.json.loads(line) for line in out.splitlines()]

    def test_without_a_retry_rule_the_call_is_lost(self):
        self.workers(1)
        call = self.call()
        self.began(1)
        worker = self.holder(self.only_call())
        os.kill(self.d.task(worker)["pid"], signal.SIGKILL)
        call.communicate(timeout=30)
        self.assertNotEqual(0, call.returncode)
        shown = self.d.json("ps", "--all", self.jobs)["tasks"][0]["outcome"]
        self.assertEqual("panicked", shown["outcome"])
        self.assertEqual("lost", shown["error"]["stage"])

    def test_a_stopped_worker_is_gone_before_its_call_runs_again(self):
        """A worker that hangs (SIGSTOP) past its lease is cancelled, killed at the end of its
        drain time, and then the call runs elsewhere."""
        self.d.ctl("close", self.pool)
        self.pool = self.d.open("--drain", "500ms")
        self.jobs = self.d.json("open", "--in", self.pool)["region"]
        self.workers(2, "--lease", "700ms")
        call = self.call("--retry", "2")
        self.began(1)
        first = self.holder(self.only_call())
        os.kill(self.d.task(first)["pid"], signal.SIGSTOP)
        self.began(2)
        self.assertEqual("completed", self.d.state_of(first))
        self.go()
        call.communicate(timeout=30)
        self.assertEqual(0, call.returncode)
        self.assert_no_overlap()


class Ask13PoisonousCalls(WorkerTest):
    def test_worker_deaths_count_against_the_attempts(self):
        """R-TSK-5: a call that kills whoever takes it comes to its end."""
        workers = self.workers(3, command='echo "$ASUPERSYNC_ATTEMPT" >>deaths; kill -9 $PPID')
        call = self.call("--retry", "2")
        call.communicate(timeout=30)
        self.assertNotEqual(0, call.returncode)
        with open(os.path.join(self.work, "deaths")) as f:
            self.assertEqual(["1", "2"], f.read().split())
        states = [self.d.state_of(w) for w in workers]
        self.assertEqual(1, states.count("running"), "the third one lives: " + str(states))
        shown = self.d.json("ps", "--all", self.jobs)["tasks"][0]
        self.assertEqual((2, 2, "panicked"),
                         (shown["attempt"], shown["attempts"], shown["outcome"]["outcome"]))


class Workers(WorkerTest):
    def test_a_fenced_session_is_refused(self):
        """R-TSK-5: a worker that is only a session, silent past its lease: what it says late of
        its call counts no more."""
        w = wire.connect(self.d)
        w.ok("worker.offer", {"names": ["job"], "region": self.jobs, "quiet_ns": 300_000_000})
        call = self.call("--retry", "2")
        got = w.ok("worker.next", {"most": 1})["calls"][0]
        self.assertEqual((1, True), (got["attempt"], got["started"]))
        self.worker()
        self.began(2)
        code, body = w.call("task.complete", {"task": got["task"], "outcome": "ok"})
        self.assertEqual("expired", body["error"], body)
        self.go()
        self.assertEqual("done by attempt 2\n", call.communicate(timeout=30)[0])
        w.close()

    def test_a_drained_worker_finishes_and_ends(self):
        worker, = self.workers(1)
        call = self.call()
        self.began(1)
        mine, = [w["worker"] for w in self.d.json("workers")["workers"] if w["holder"] == worker]
        self.d.ctl("worker", "drain", mine)
        late = self.call()
        eventually(lambda: len(self.d.json("ps", self.jobs)["tasks"]) == 2, "another call waits")
        self.go()
        self.assertEqual("done by attempt 1\n", call.communicate(timeout=30)[0])
        self.assertEqual("ok", self.d.outcome(worker, code=0)["outcome"])
        self.assertEqual(["created"], [t["state"] for t in self.d.json("ps", self.jobs)["tasks"]])
        self.worker()
        self.assertEqual("done by attempt 1\n", late.communicate(timeout=30)[0])

    def outside(self, *command):
        """A worker that somebody runs in a shell, outside any task."""
        worker = self.d.popen("worker", "run", "job", "--in", self.pool, "--", *command,
                              stdin=subprocess.DEVNULL, cwd=self.work)
        eventually(lambda: self.d.json("workers")["workers"], "it has offered")
        return worker

    def test_one_outside_a_task_is_killed_and_its_commands_end(self):
        """R-SES-1: killed with SIGKILL; its session ends, and with that all that its commands
        started, also what left their process group and minds no signal."""
        worker = self.outside("sh", "-c", "setsid sh -c \"trap '' TERM; echo $$ >other; "
                                          "while :; do sleep 0.02; done\" & echo $$ >own; wait")
        call = self.call()
        eventually(lambda: all(os.path.exists(os.path.join(self.work, f)) for f in ("own", "other")),
                   "they run")
        worker.kill()
        worker.wait()
        eventually(lambda: not self.d.cgroup_processes(), "nothing is left")
        self.assertNotEqual(0, call.wait(30))

    def test_one_outside_a_task_finishes_what_runs(self):
        """SIGTERM is for the worker, not for its commands, which may what their user may."""
        other = self.d.open("--name", "elsewhere")
        worker = self.outside("sh", "-c", f"trap 'echo asked >>trace' TERM; echo begin 1 $$ >>trace; "
                                          f"while [ ! -e go ]; do sleep 0.02; done; "
                                          f"{CTL} --json show {other} >seen; echo done")
        call = self.call()
        self.began(1)
        worker.terminate()
        eventually(lambda: [w["state"] for w in self.d.json("workers")["workers"]] != ["working"],
                   "it takes nothing new")
        self.go()
        self.assertEqual("done\n", call.communicate(timeout=30)[0])
        self.assertEqual(0, worker.wait(30))
        self.assertNotIn(["asked"], self.trace())
        with open(os.path.join(self.work, "seen")) as f:
            self.assertIn("elsewhere", f.read())

    def test_a_cancelled_call_is_told_to_its_worker(self):
        """R-TSK-2: the worker's program gets SIGTERM; the region closes when it has ended."""
        self.workers(1)
        call = self.call()
        self.began(1)
        self.d.ctl("cancel", self.only_call())
        eventually(lambda: ["asked", "1"] in self.trace(), "the program was asked to end")
        self.go()
        call.communicate(timeout=30)
        self.assertEqual(130, call.returncode)
        self.d.ctl("close", self.jobs)

    def test_results_codes_and_input_pass_through(self):
        d = self.d
        self.workers(2, "--concurrency", "3", command='cat; [ -t 0 ] && exit 9; exit ${1:-0}')
        p = d.ctl("call", "job", "--in", self.jobs, "--input", "-", input="some text\n")
        self.assertEqual("some text\n", p.out)
        big = "x" * 400_000
        self.assertEqual(big, d.ctl("call", "job", "--in", self.jobs, "--input", "-", input=big).out)
        self.worker(command="echo half; exit 17", name="fails")
        p = d.ctl("call", "fails", "--in", self.jobs, code=17)
        self.assertEqual("half\n", p.out)

    def test_many_calls_are_each_done_once(self):
        """A batch of 300 over three workers of four threads: each attempt leaves one line."""
        d = self.d
        self.workers(3, "--concurrency", "4", "--prefetch", "2",
                     command="read id; echo $id >>done; echo $id")
        w = wire.connect(d)
        ops = [[None, "task.submit", {"region": self.jobs, "call": "job", "input": b"%d\n" % i}]
               for i in range(300)]
        made = w.ok("batch", {"ops": ops, "atomic": True})["results"]
        for i, (code, body) in enumerate(made):
            self.assertEqual(0, code)
            end = w.ok("task.wait", {"task": body["task"]})
            self.assertEqual(("ok", b"%d\n" % i), (end["outcome"]["outcome"], end["result"]))
        w.close()
        with open(os.path.join(self.work, "done")) as f:
            self.assertEqual(list(range(300)), sorted(int(line) for line in f))


class Results(WorkerTest):
    config = "limits: {result-bytes: 1000}\n"

    def test_one_that_is_too_large_fails_its_call(self):
        """R-TSK-6: the daemon does not take the completion; the worker is told, and the call ends
        all the same. What fits into no message never goes there."""
        for size, message in (("2000", "larger than the daemon takes"),
                              ("3000000", "larger than a message")):
            worker = self.worker(command=f"head -c {size} /dev/zero")
            call = self.d.popen("--json", "call", "job", "--in", self.jobs, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE)
            ended = json.loads(call.communicate(timeout=30)[0])
            self.assertEqual("err", ended["outcome"]["outcome"])
            self.assertIn(message, ended["message"])
            if size == "2000":
                self.assertIn("its end was not taken: too-large", self.d.ctl("logs", worker).out)
            self.d.ctl("cancel", worker)
            self.d.ctl("wait", worker, code=None)

    def test_a_strangers_worker_is_none(self):
        w = wire.connect(self.d)
        for op in ("worker.drain", "worker.withdraw"):
            self.assertEqual("not-found", w.call(op, {"worker": "s999999"})[1]["error"])
        w.close()

    def test_a_draining_takes_no_key(self):
        w = wire.connect(self.d)
        self.assertEqual("unsupported", w.call("daemon.drain", {"key": "k"})[1]["error"])
        w.close()


if __name__ == "__main__":
    harness.main()
