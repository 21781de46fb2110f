# SPDX-License-Identifier: MIT
"""Sagas with real processes: what was begun is undone, in reverse, one at a time,
whatever cancels, kills or closes what (R-SAG-1 to R-SAG-4, asks 9 and 10)."""

import json
import os
import shutil
import signal
import subprocess
import time

import harness

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/orders")


class SagaTest(harness.DaemonTest):
    def setUp(self):
        self.dir = self.d.path(self.id().rsplit(".", 1)[1])
        os.mkdir(self.dir)
        os.chmod(self.dir, 0o777)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def file(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        try:
            with open(self.file(name)) as f:
                return f.read().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def log(self, word):
        """A shell command that adds a line to the journal of the test."""
        return f"echo {word} >>{self.file('journal')}"

    def undo(self, word, seconds=0.05):
        """One that also notices when another one runs at the same time."""
        lock = self.file("lock")
        return (f"mkdir {lock} || {self.log('overlap')}; {self.log('undo-' + word)}; "
                f"sleep {seconds}; rmdir {lock}")

    def begin(self, region):
        return self.d.ctl("saga", "begin", region).out.strip()

    def step(self, saga, name, *action, undo=None, options=()):
        marks = ("--env", f"{harness.MARK}={self.d.mark}")
        return self.d.ctl("saga", "step", saga, name, *marks, "--undo",
                          undo or self.undo(name), *options,
                          *(("--", *action) if action else ())).out.strip()

    def saga(self, saga):
        return self.d.json("saga", "show", saga)

    def steps(self, saga):
        return [step["state"] for step in self.saga(saga)["steps"]]

    def write(self, name, text):
        with open(self.file(name), "w") as f:
            f.write(text)
        return self.file(name)


class Ask09CleanupSurvivesCancellation(SagaTest):
    def test_compensations_end_though_the_region_is_cancelled_again_and_again(self):
        r = self.d.open()
        g = self.begin(r)
        for name in ("one", "two"):
            self.step(g, name, undo=self.undo(name, 0.4))
        self.d.ctl("cancel", r)
        for _ in range(4):
            self.d.ctl("cancel", "--drain", "0s", r)
        self.d.ctl("wait", r, code=None)
        self.assertEqual(["undo-two", "undo-one"], self.read("journal"))
        self.assertEqual("compensated", self.saga(g)["state"])

    def test_the_death_of_the_driver_undoes_what_it_began(self):
        path = self.write("long.yaml", json.dumps({"steps": [
            {"name": "one", "run": self.log("do-one"), "undo": self.undo("one")},
            {"name": "two", "run": self.log("do-two") + "; sleep 1000", "undo": self.undo("two")}]}))
        p = self.d.popen("saga", "run", path, stderr=subprocess.DEVNULL)
        harness.eventually(lambda: "do-two" in self.read("journal"), "the second step runs")
        p.kill()
        p.wait()
        harness.eventually(lambda: len(self.read("journal")) == 4, lambda: str(self.read("journal")))
        self.assertEqual(["do-one", "do-two", "undo-two", "undo-one"], self.read("journal"))


class Ask10CompensateInOrderOneAtATime(SagaTest):
    def begun(self, count=5):
        r = self.d.open()
        g = self.begin(r)
        for i in range(count):
            self.step(g, f"s{i}", "/bin/sh", "-c", self.log(f"do-s{i}"), options=("--wait",))
        return r, g

    def expected(self, count=5):
        return [f"do-s{i}" for i in range(count)] + [f"undo-s{i}" for i in reversed(range(count))]

    def test_on_a_failing_step_the_failing_one_included(self):
        r, g = self.begun(4)
        self.d.ctl("saga", "step", g, "s4", "--undo", self.undo("s4"), "--wait", "--", "/bin/sh",
                   "-c", self.log("do-s4") + "; exit 3", code=3)
        self.assertEqual(1, self.d.ctl("saga", "wait", g, code=None).returncode)
        self.assertEqual(self.expected(), self.read("journal"))
        self.assertEqual("err", json.loads(self.d.ctl("--json", "close", r).out)["outcome"]["outcome"])

    def test_on_an_abort(self):
        _, g = self.begun()
        self.d.ctl("saga", "abort", g, "-m", "changed my mind", "--wait")
        self.assertEqual(self.expected(), self.read("journal"))

    def test_on_a_close_too(self):
        r, _ = self.begun()
        self.d.ctl("close", r)
        self.assertEqual(self.expected(), self.read("journal"))

    def test_on_a_cancel_of_the_parent_too(self):
        top = self.d.open()
        r = self.d.open("--in", top)
        g = self.begin(r)
        for i in range(3):
            self.step(g, f"s{i}")
        self.d.ctl("cancel", top)
        self.d.ctl("wait", top, code=None)
        self.assertEqual(["undo-s2", "undo-s1", "undo-s0"], self.read("journal"))

    def test_with_finalizers_in_one_stack(self):
        r = self.d.open()
        self.d.ctl("defer", r, "--", "/bin/sh", "-c", self.log("first"))
        g = self.begin(r)
        self.step(g, "s0")
        self.d.ctl("defer", r, "--", "/bin/sh", "-c", self.log("last"))
        h = self.begin(r)
        self.step(h, "t0")
        self.step(g, "s1")
        self.d.ctl("close", r)
        self.assertEqual(["undo-t0", "last", "undo-s1", "undo-s0", "first"], self.read("journal"))

    def test_a_completed_one_is_not_undone(self):
        r, g = self.begun(2)
        self.d.ctl("saga", "complete", g)
        self.d.ctl("close", r)
        self.assertEqual(["do-s0", "do-s1"], self.read("journal"))
        self.d.ctl("saga", "abort", g, code=125)

    def test_a_killed_action_is_undone(self):
        r, g = self.begun(1)
        t = self.step(g, "s1", "/bin/sh", "-c", self.log("do-s1") + "; sleep 1000")
        harness.eventually(lambda: "do-s1" in self.read("journal"), "it runs")
        os.kill(self.d.task(t)["pid"], signal.SIGKILL)
        self.d.ctl("saga", "wait", g, code=1)
        self.assertEqual(self.expected(2), self.read("journal"))
        self.d.ctl("close", r)

    def test_a_shutdown_of_the_daemon_undoes(self):
        d = harness.Daemon()
        try:
            r = d.ctl("open").out.strip()
            g = d.ctl("saga", "begin", r).out.strip()
            for i in range(3):
                d.ctl("saga", "step", g, f"s{i}", "--undo", self.undo(f"s{i}"))
        finally:
            d.close()
        self.assertEqual(["undo-s2", "undo-s1", "undo-s0"], self.read("journal"))


class Attempts(SagaTest):
    def test_each_has_the_same_idempotency_key(self):
        r = self.d.open()
        g = self.begin(r)
        key = f"echo $ASUPERSYNC_IDEMPOTENCY_KEY $ASUPERSYNC_SAGA $ASUPERSYNC_STEP >>{self.file('keys')}"
        self.step(g, "one")
        self.step(g, "two", undo=f"{key}; [ $(wc -l <{self.file('keys')}) -ge 3 ]",
                  options=("--attempts", "3", "--backoff", "10ms"))
        self.d.ctl("saga", "abort", g, "--wait")
        self.assertEqual([f"{g}.2 {g} 2"] * 3, self.read("keys"))
        self.assertEqual(3, self.saga(g)["steps"][1]["attempts"])
        f = self.d.ctl("defer", r, "--", "/bin/sh", "-c", key).out.strip()
        self.d.ctl("close", r)
        self.assertEqual(f, self.read("keys")[3].split()[0])

    def test_what_is_being_undone_is_listed(self):
        r = self.d.open()
        g = self.begin(r)
        self.step(g, "one", undo=f"touch {self.file('runs')}; until [ -e {self.file('go')} ]; do "
                                 "sleep 0.01; done")
        self.d.ctl("saga", "abort", g)
        harness.eventually(lambda: os.path.exists(self.file("runs")), "the compensation runs")
        undo = self.saga(g)["steps"][0]["undo"]
        self.assertEqual([(undo, True)],
                         [(t["id"], t["finalizer"]) for t in self.d.json("ps", r)["tasks"]])
        self.assertEqual(undo, self.d.json("tree", r)["tasks"][0]["id"])
        self.assertEqual(1, self.d.json("show", r)["sagas"])
        self.d.ctl("cancel", undo, code=125)
        open(self.file("go"), "w").close()
        self.d.ctl("saga", "wait", g, code=1)
        self.d.ctl("close", r)

    def test_one_that_takes_too_long_is_killed_and_tried_again(self):
        r = self.d.open("--drain", "200ms")
        g = self.begin(r)
        self.step(g, "one", undo=f"{self.log('try')}; [ -e {self.file('second')} ] || "
                                 f"{{ touch {self.file('second')}; sleep 1000; }}",
                  options=("--undo-timeout", "300ms", "--backoff", "10ms"))
        self.d.ctl("saga", "abort", g, "--wait")
        self.assertEqual(["try", "try"], self.read("journal"))
        self.d.ctl("close", r)

    def needy(self):
        r = self.d.open()
        g = self.begin(r)
        self.step(g, "one")
        self.step(g, "two", undo=f"{self.log('try')}; [ -e {self.file('mended')} ]",
                  options=("--attempts", "2", "--backoff", "10ms"))
        self.assertEqual(70, self.d.ctl("saga", "abort", g, "--wait", code=None).returncode)
        return r, g

    def test_used_up_it_needs_attention_until_it_is_mended(self):
        r, g = self.needy()
        self.assertEqual("needs-attention", self.saga(g)["state"])
        self.assertEqual(["running", "needs-attention"][1:], self.steps(g)[1:])
        self.assertIn(g, self.d.json("status")["needs_attention"])
        self.assertIn("NeedsAttention", self.d.said())
        self.d.ctl("close", r, "--timeout", "300ms", code=75)
        why = self.d.json("why", r)
        self.assertEqual("NeedsAttention", why["trouble"][0]["name"])
        self.assertIn(g, [link["id"] for link in why["chain"]])
        self.assertEqual("finalizing", self.d.state_of(r))
        open(self.file("mended"), "w").close()
        self.d.ctl("saga", "resolve", g, "--retry", "--wait")
        self.d.ctl("wait", r)
        self.assertEqual(["try", "try", "try", "undo-one"], self.read("journal"))
        self.assertEqual([], self.d.json("status")["needs_attention"])

    def test_or_settled_by_an_operator_and_counts(self):
        r, g = self.needy()
        self.d.ctl("saga", "resolve", g, code=64)
        self.d.ctl("saga", "resolve", g, "--resolved", "--wait")
        self.assertEqual(["try", "try", "undo-one"], self.read("journal"))
        self.assertEqual(["compensated", "resolved"], self.steps(g))
        outcome = json.loads(self.d.ctl("--json", "close", r).out)["outcome"]
        self.assertEqual("err", outcome["outcome"])
        self.d.ctl("saga", "resolve", g, "--retry", code=125)

    def test_a_shutdown_does_not_wait_for_an_operator(self):
        d = harness.Daemon()
        try:
            r = d.ctl("open").out.strip()
            g = d.ctl("saga", "begin", r).out.strip()
            d.ctl("saga", "step", g, "one", "--undo", "exit 1", "--attempts", "1")
            other = d.open()
            d.submit(other, "/bin/sleep", "1000")
            began = time.monotonic()
            d.process.send_signal(signal.SIGTERM)
            self.assertEqual(0, d.process.wait(20))
            self.assertLess(time.monotonic() - began, 10)
            self.assertIn(f"{g} is left as it stands", d.said())
        finally:
            d.close()


class Calls(SagaTest):
    """R-SAG-1: actions and compensations that are calls, done by workers."""

    def setUp(self):
        super().setUp()
        self.pool = self.d.open()

    def worker(self, name, line):
        """A task of the pool, which serves its region and what is in it."""
        task = self.d.submit(self.pool, harness.CTL, "worker", "run", name, "--", "/bin/sh", "-c",
                             line)
        harness.eventually(lambda: any(w["holder"] == task for w in self.d.json("workers")["workers"]),
                           "it has offered")
        return task

    def file_of(self, *steps):
        return self.write("saga.yaml", json.dumps({"env": {harness.MARK: self.d.mark},
                                                   "steps": list(steps)}))

    def test_a_saga_of_calls(self):
        self.worker("charge", f"read x; echo charge $x >>{self.file('journal')}")
        self.worker("refund", "read x; echo refund $x $ASUPERSYNC_IDEMPOTENCY_KEY "
                              f">>{self.file('journal')}")
        path = self.file_of({"name": "one", "run": {"call": "charge", "input": "17\n"},
                             "undo": {"call": "refund", "input": "17\n"}},
                            {"name": "two", "run": "exit 3", "undo": self.log("undo-two")})
        saga = json.loads(self.d.ctl("--json", "saga", "run", "--in", self.pool, path,
                                     code=3).out)
        self.assertEqual("compensated", saga["state"])
        self.assertEqual(["charge 17", "undo-two", f"refund 17 {saga['id']}.1"], self.read("journal"))

    def test_the_worker_of_a_compensation_is_killed(self):
        worker = self.worker("refund", f"{self.log('first')}; exec sleep 1000")
        r = self.d.open("--in", self.pool)
        path = self.file_of({"name": "one", "run": "exit 1", "undo": {"call": "refund"},
                             "retry": {"attempts": 2, "backoff": "10ms"}})
        run = self.d.popen("saga", "run", "--in", r, path, stderr=subprocess.DEVNULL)
        harness.eventually(lambda: self.read("journal"), "the first attempt runs")
        undo = self.d.json("ps", r)["tasks"][0]
        self.d.ctl("cancel", undo["id"], code=125)
        os.kill(self.d.task(worker)["pid"], signal.SIGKILL)
        self.worker("refund", f"echo $ASUPERSYNC_IDEMPOTENCY_KEY >>{self.file('journal')}")
        self.assertEqual(1, run.wait(60))
        self.assertEqual("panicked", self.d.task(undo["id"])["outcome"]["outcome"])
        self.assertRegex(self.read("journal")[1], r"^g\d+\.1$")

    def test_the_daemon_dies_while_no_worker_is_there(self):
        r = self.d.open("--in", self.pool)
        path = self.file_of({"name": "one", "run": "exit 1", "undo": {"call": "refund"},
                             "undo-timeout": "60s"})
        run = self.d.popen("saga", "run", "--in", r, path, stderr=subprocess.DEVNULL)
        harness.eventually(lambda: any(t["label"] == "undo one" for t in self.d.json("ps", r)["tasks"]),
                           "it waits for a worker")
        os.kill(self.d.engine_pid(), signal.SIGKILL)
        self.worker("refund", self.log("refunded"))
        self.assertEqual(1, run.wait(60))
        self.assertEqual(["refunded"], self.read("journal"))

    def test_a_compensation_has_no_more_rights_than_its_maker(self):
        r = self.d.open()
        x = self.d.json("cx", "derive", "--in", r, "--rights", "saga,spawn,observe")
        g = self.d.ctl("--cx", x["token"], "saga", "begin", r).out.strip()
        undo = (f"{harness.CTL} cancel --no-wait {r} 2>>{self.file('said')}; {self.log('code-$?')}; "
                f"{harness.CTL} submit --in {r} -- /bin/true 2>>{self.file('said')} >/dev/null; "
                f"{self.log('code-$?')}")
        self.d.ctl("--cx", x["token"], "saga", "step", g, "one", "--undo", undo)
        self.d.ctl("--cx", x["token"], "saga", "step", g, "two", "--undo", undo)
        self.d.ctl("saga", "abort", g, "--wait")
        self.assertEqual(["code-125", "code-0"] * 2, self.read("journal"))
        h = self.d.ctl("--cx", x["token"], "saga", "begin", r).out.strip()
        self.d.ctl("--cx", x["token"], "saga", "step", h, "one", "--undo", undo)
        self.d.ctl("cx", "revoke", x["cx"])
        self.d.ctl("saga", "abort", h, "--wait")
        self.assertEqual(["code-125", "code-125"], self.read("journal")[4:])
        self.assertEqual("compensated", self.saga(h)["state"])


class Crashes(SagaTest):
    """R-SAG-3, R-SAG-4: nothing is forgotten, and nothing recorded done is done again."""

    def setUp(self):
        super().setUp()
        self.own = harness.Daemon()
        self.addCleanup(self.own.close)

    def begun(self, undo):
        d = self.own
        r = d.open()
        g = d.ctl("saga", "begin", r).out.strip()
        for i in range(4):
            d.ctl("saga", "step", g, f"s{i}", "--undo", undo(i), "--wait", "--", "/bin/sh", "-c",
                  self.log(f"do-s{i}"))
        return r, g

    def test_the_engine_dies_while_it_is_undone(self):
        d = self.own
        r, g = self.begun(lambda i: self.undo(f"s{i}", 0.5))
        d.ctl("saga", "abort", g)
        harness.eventually(lambda: "undo-s2" in self.read("journal"), "the second one begins")
        os.kill(d.engine_pid(), signal.SIGKILL)
        self.assertEqual(1, d.ctl("saga", "wait", g, code=None).returncode)
        self.assertEqual([f"do-s{i}" for i in range(4)] + [f"undo-s{i}" for i in (3, 2, 1, 0)],
                         self.read("journal"))
        d.ctl("close", r)

    def test_everything_dies_while_it_is_undone(self):
        d = self.own
        gate = self.file("gate")
        _, g = self.begun(lambda i: f"echo undo-s{i} $ASUPERSYNC_IDEMPOTENCY_KEY "
                                    f">>{self.file('journal')}; "
                                    f"[ {i} != 2 ] || [ -e {gate} ] || sleep 1000")
        d.ctl("saga", "abort", g)
        harness.eventually(lambda: f"undo-s2 {g}.3" in self.read("journal"), "the second one begins")
        for pid in (d.engine_pid(), d.process.pid):
            os.kill(pid, signal.SIGKILL)
        d.process.wait()
        open(gate, "w").close()
        d.start()
        self.assertEqual(1, d.ctl("saga", "wait", g, code=None).returncode)
        self.assertEqual([f"undo-s3 {g}.4", f"undo-s2 {g}.3", f"undo-s2 {g}.3", f"undo-s1 {g}.2",
                          f"undo-s0 {g}.1"], self.read("journal")[4:])

    def test_an_action_of_unknown_end_is_undone(self):
        d = self.own
        r = d.open()
        g = d.ctl("saga", "begin", r).out.strip()
        d.ctl("saga", "step", g, "one", "--undo", self.log("undo-one"), "--", "/bin/sh", "-c",
              self.log("do-one") + "; sleep 1000")
        harness.eventually(lambda: self.read("journal"), "it runs")
        for pid in (d.engine_pid(), d.process.pid):
            os.kill(pid, signal.SIGKILL)
        d.process.wait()
        d.start()
        self.assertEqual(1, d.ctl("saga", "wait", g, code=None).returncode)
        self.assertEqual(["do-one", "undo-one"], self.read("journal"))

    def test_what_needs_attention_is_there_after_a_restart(self):
        d = self.own
        mended = self.file("mended")
        r, g = self.begun(lambda i: f"[ {i} != 1 -o -e {mended} ] || exit 1; {self.undo(f's{i}')}")
        d.ctl("close", r, "--timeout", "10ms", code=None)
        harness.eventually(lambda: g in d.json("status")["needs_attention"], "it needs attention", 60)
        d.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, d.process.wait(20))
        d.start()
        self.assertEqual([g], d.json("status")["needs_attention"])
        self.assertEqual("finalizing", d.state_of(r))
        open(self.file("mended"), "w").close()
        d.ctl("saga", "resolve", g, "--retry", "--wait")
        d.ctl("wait", r, code=None)
        self.assertEqual([f"undo-s{i}" for i in (3, 2, 1, 0)], self.read("journal")[4:])


class FromInside(SagaTest):
    def test_a_script_in_a_task_drives_one_with_nothing_else(self):
        r = self.d.open()
        script = (f"set -e; g=$({harness.CTL} saga begin); "
                  f"{harness.CTL} saga step $g one --undo '{self.log('undo-one')}' --wait -- "
                  f"/bin/sh -c '{self.log('do-one')}' >/dev/null 2>&1; "
                  f"{harness.CTL} saga step $g two --undo '{self.log('undo-two')}'; "
                  f"{self.log('do-two')}; echo $g >{self.file('id')}; "
                  f"until [ -e {self.file('go')} ]; do sleep 0.01; done; exit 4")
        t = self.d.submit(r, "/bin/sh", "-c", script)
        harness.eventually(lambda: self.read("id"), lambda: self.d.ctl("logs", t, code=None).out)
        self.assertEqual(t, self.saga(self.read("id")[0])["driver"])
        self.d.ctl("close", "--finish", "--no-wait", r)
        open(self.file("go"), "w").close()
        self.d.ctl("wait", r, code=None)
        self.assertEqual("err", self.d.outcome(t)["outcome"], self.d.ctl("logs", t, code=None).out)
        self.assertEqual(["do-one", "do-two", "undo-two", "undo-one"], self.read("journal"))


class Files(SagaTest):
    def run_file(self, text, *options, code=0):
        return self.d.ctl("saga", "run", self.write("saga.yaml", text), *options, code=code)

    def test_wrong_ones_are_told_with_line_and_column(self):
        for text, where, what in (
                ("steps:\n  - name: a\n    rum: x\n", "3:5", 'did you mean "run"?'),
                ("steps:\n  - name: a\n    run: x\n", "2:5", "undo"),
                ("steps: []\n", "1:", "at least one"),
                ("name: x\n", "1:1", "steps"),
                ("steps:\n  - name: a\n    run: x\n    undo: y\n    timeout: soon\n", "5:14", "duration"),
                ("steps:\n  - name: a\n    run: x\n    undo: y\n    retry: {attempts: none}\n", "5:23",
                 "attempts"),
                ("steps: [a: b\n", "2:1", "")):
            p = self.run_file(text, code=64)
            self.assertIn(f"saga.yaml:{where}", p.err, text)
            self.assertIn(what, p.err, text)
        self.assertIn("cannot be read", self.d.ctl("saga", "run", self.file("none"), code=64).err)

    def test_json_tells_all(self):
        p = self.run_file(json.dumps({"name": "n", "steps": [
            {"name": "a", "run": ["/bin/true"], "undo": "true"},
            {"name": "b", "run": "exit 9", "undo": self.undo("b"), "retry": {"attempts": 2}}]}),
            "--json", code=9)
        body = json.loads(p.out)
        self.assertEqual(("compensated", 9, "n"), (body["state"], body["exit_code"], body["name"]))
        self.assertEqual(["compensated", "compensated"], [s["state"] for s in body["steps"]])
        self.assertEqual(["undo-b"], self.read("journal"))

    def test_ctrl_c_undoes_in_reverse(self):
        path = self.write("long.yaml", json.dumps({"steps": [
            {"name": "one", "run": self.log("do-one"), "undo": self.undo("one")},
            {"name": "two", "run": self.log("do-two") + "; sleep 1000", "undo": self.undo("two")}]}))
        p = self.d.popen("saga", "run", path, stderr=subprocess.PIPE)
        harness.eventually(lambda: "do-two" in self.read("journal"), "the second step runs")
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=harness.PATIENCE)
        self.assertEqual(130, p.returncode, err)
        self.assertEqual(["do-one", "do-two", "undo-two", "undo-one"], self.read("journal"))
        self.assertLess(err.index("two "), err.index("undone"))

    def test_the_order_of_the_example(self):
        shop = self.file("shop")
        subprocess.run([os.path.join(EXAMPLE, "open-shop"), shop], check=True)
        self.d.ctl("saga", "run", "order.yaml", cwd=shop)
        self.assertEqual(["8"], self.read("shop/stock/lamp"))
        self.assertEqual(["Baker Street 221b"], self.read("shop/shipped/17"))
        os.unlink(self.file("shop/shipped/17"))
        open(self.file("shop/carrier-closed"), "w").close()
        p = self.d.ctl("saga", "run", "order.yaml", cwd=shop, code=1)
        self.assertIn("no carrier comes today", p.err)
        self.assertEqual(["8"], self.read("shop/stock/lamp"))
        self.assertFalse(os.path.exists(self.file("shop/shipped/17")))
        self.assertFalse(os.path.exists(self.file("shop/paid/17")))
        words = [line.split()[0] for line in self.read("shop/journal")]
        self.assertEqual(["reserved", "charged", "shipped", "reserved", "charged", "recalled",
                          "refunded", "released"], words)


if __name__ == "__main__":
    harness.main()
