# SPDX-License-Identifier: MIT
"""Leases and obligations with real processes: a lease follows the worker, not
a fixed clock and not a socket; who let it expire is gone before the next one
has it; what was begun outside the daemon is waited for."""

import json
import os
import signal
import time

import msgpack

import harness
import wire
from harness import CTL, RUNS, eventually


def events(d):
    return [json.loads(line) for line in d.ctl("--json", "events").out.splitlines()]


class Ask12ALeaseFollowsTheWorker(harness.DaemonTest):
    def script(self, region, text, options=()):
        return self.d.submit(region, "sh", "-c", text.replace("CTL", CTL), options=options)

    def leases(self):
        return self.d.json("leases")["leases"]

    def test_it_is_held_while_the_command_runs_and_longer_than_its_time(self):
        """A short time to live is renewed for as long as the work takes."""
        d = self.d
        r = d.open("--name", "long")
        p = d.ctl("lease", "run", "--in", r, "--ttl", "300ms", "leader", "--", "sh", "-c",
                  f"echo $ASUPERSYNC_LEASE_TOKEN; sleep 1; {CTL} --json leases")
        token, listing = p.out.split("\n", 1)
        lease, = json.loads(listing)["leases"]
        self.assertEqual(int(token), lease["token"])
        self.assertEqual("held", lease["state"])
        self.assertEqual([], self.leases())
        self.assertEqual(7, d.ctl("lease", "run", "--in", r, "x", "--", "sh", "-c", "exit 7",
                                  code=7).returncode)

    def test_one_at_a_time_with_growing_tokens(self):
        """Several want it at once: no two run at one time, and each token is larger."""
        d = self.d
        r = d.open("--name", "turns")
        log = d.path("turns")
        work = f"echo in $ASUPERSYNC_LEASE_TOKEN >> {log}; sleep 0.05; echo out >> {log}"
        runs = [d.popen("lease", "run", "--in", r, "turn", "--", "sh", "-c", work,
                        stdin=harness.subprocess.DEVNULL, stdout=harness.subprocess.DEVNULL)
                for _ in range(5)]
        self.assertEqual([0] * 5, [p.wait(harness.PATIENCE) for p in runs])
        with open(log) as f:
            lines = f.read().split("\n")[:-1]
        self.assertEqual(["in", "out"] * 5, [line.split()[0] for line in lines])
        tokens = [int(line.split()[1]) for line in lines[::2]]
        self.assertEqual(sorted(set(tokens)), tokens)

    def test_who_is_stopped_past_its_lease_is_gone_before_the_next_has_it(self):
        """R-OBL: stopped (SIGSTOP), it cannot renew; its whole task is ended, then the
        name is granted again. It never comes back beside its successor."""
        d = self.d
        r = d.open("--name", "stopped", "--drain", "300ms")
        first = self.script(r, f"CTL lease run --ttl 400ms leader -- sh -c "
                               f"'echo $$ > {d.path('first')}; exec sleep 1000'")
        eventually(lambda: d.await_file("first"), "its number")
        pid = int(d.await_text("first"))
        for each in d.cgroup_processes():
            os.kill(each, signal.SIGSTOP)
        second = self.script(r, f"CTL lease run --ttl 5s leader -- sh -c "
                                f"'{RUNS} /proc/{pid}/status 2>/dev/null && echo beside || echo alone'")
        self.assertEqual("ok", d.outcome(second)["outcome"])
        self.assertIn("alone", d.ctl("logs", second).out)
        outcome = d.outcome(first, code=None)
        self.assertEqual("cancelled", outcome["outcome"])
        self.assertEqual("resource-unavailable", outcome["reason"]["kind"])
        self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def test_who_dies_lets_it_go_and_says_so(self):
        """R-OBL-3: killed while it holds, the lease leaks, and the next has it at once."""
        d = self.d
        r = d.open("--name", "dies")
        first = self.script(r, "CTL lease acquire --ttl 1h leader; kill -9 $$")
        self.assertEqual("panicked", d.outcome(first, code=None)["outcome"])
        second = self.script(r, "CTL lease acquire --nonblock leader && CTL leases >&2")
        self.assertEqual("ok", d.outcome(second)["outcome"])
        why = d.json("why", r)
        self.assertIn("ObligationLeak", [t["name"] for t in why["trouble"]])

    def test_the_command_that_asked_for_it_is_killed(self):
        """R-SES-1: of lease run itself, killed with SIGKILL outside a task, the session ends; then
        its command ends, whatever it does about that, and only then the next has the lease."""
        d = self.d
        r = d.open("--name", "asked", "--drain", "300ms")
        p = d.popen("lease", "run", "--in", r, "leader", "--", "sh", "-c",
                    f"trap '' TERM; echo $$ >{d.path('asked')}; while :; do sleep 0.02; done",
                    stdin=harness.subprocess.DEVNULL)
        pid = int(d.await_text("asked"))
        waits = d.popen("lease", "run", "--in", r, "leader", "--", "true",
                        stdin=harness.subprocess.DEVNULL)
        eventually(lambda: len(d.json("ps", r)["tasks"]) == 2, "another one waits for it")
        second = self.script(r, f"CTL lease run leader -- sh -c "
                                f"'{RUNS} /proc/{pid}/status 2>/dev/null && echo beside || echo alone'")
        for each in (waits, p):
            each.kill()
            each.wait()
        self.assertEqual("ok", d.outcome(second)["outcome"])
        self.assertIn("alone", d.ctl("logs", second).out)
        eventually(lambda: not d.json("ps", r)["tasks"], "nothing of them is left")
        self.assertEqual([], self.leases())
        self.assertEqual([], d.cgroup_processes())

    def test_who_cannot_have_it_is_told_by_the_exit_code(self):
        d = self.d
        r = d.open("--name", "busy")
        self.script(r, f"CTL lease acquire leader; touch {d.path('held')}; exec sleep 1000")
        d.await_file("held")
        run = ("lease", "run", "--in", r)
        d.ctl(*run, "--nonblock", "leader", "--", "true", code=75)
        d.ctl(*run, "--timeout", "100ms", "leader", "--", "true", code=75)
        d.ctl(*run, "--wait", "100ms", "-E", "3", "leader", "--", "true", code=3)
        d.ctl("lease", "acquire", "--in", r, "other", code=64)  # nobody would hold it


class Ask09EffectsOutside(harness.DaemonTest):
    def script(self, region, text):
        return self.d.submit(region, "sh", "-c", text.replace("CTL", CTL))

    def test_a_region_waits_for_what_is_in_flight(self):
        """R-OBL-5, R-OBL-2: an upload handed on to another task holds the close up until
        that one says it is done, cancelled or not (R-OBL-4)."""
        d = self.d
        helper = d.open("--name", "helper")
        r = d.open("--in", helper, "--name", "upload")
        keeper = self.script(
            helper, f"while [ ! -s {d.path('o')} ]; do sleep 0.02; done; "
                    f"while [ ! -e {d.path('go')} ]; do sleep 0.02; done; "
                    f"CTL obligation commit $(cat {d.path('o')})")
        first = self.script(r, f"o=$(CTL obligation reserve --label photo) && "
                               f"CTL obligation transfer $o {keeper} && echo $o > {d.path('o')}")
        self.assertEqual("ok", d.outcome(first)["outcome"])
        d.ctl("close", "--finish", "--no-wait", r)
        eventually(lambda: d.state_of(r) == "finalizing", "nothing runs there any more")
        owed, = d.json("obligations", r)["obligations"]
        self.assertEqual((keeper, "io-op", "photo"), (owed["holder"], owed["kind"], owed["name"]))
        why = d.json("why", r)
        self.assertEqual([r, owed["id"], keeper], [link["id"] for link in why["chain"][:3]])
        with open(d.path("go"), "w"):
            pass
        self.assertEqual("ok", d.outcome(r)["outcome"])
        self.assertEqual("ok", d.outcome(keeper)["outcome"])
        self.assertEqual("committed", d.json("why", owed["id"])["state"])

    def test_at_the_end_of_the_drain_it_waits_no_longer(self):
        """R-OBL-4: who holds it outside loses it at T, and is told when it comes late."""
        d = self.d
        helper = d.open("--name", "slow")
        r = d.open("--in", helper, "--name", "late", "--drain", "300ms")
        keeper = self.script(
            helper, f"while [ ! -e {d.path('late')} ]; do sleep 0.02; done; "
                    f"CTL obligation commit $(cat {d.path('o2')}) 2>{d.path('said')}; exit 3")
        first = self.script(r, f"o=$(CTL obligation reserve) && "
                               f"CTL obligation transfer $o {keeper} && echo $o > {d.path('o2')}")
        self.assertEqual("ok", d.outcome(first)["outcome"])
        began = time.monotonic()
        d.ctl("close", r)
        self.assertGreaterEqual(time.monotonic() - began, 0.25)
        with open(d.path("late"), "w"):
            pass
        self.assertEqual(3, d.outcome(keeper, code=3)["exit_code"])
        with open(d.path("said")) as f:
            self.assertIn("region-closed", f.read())

    def test_a_task_that_forgets_makes_its_region_fail(self):
        """R-OBL-3, R-OBL-5: it shows in the outcome; strict, it is a panic."""
        d = self.d
        for options, outcome in (((), "err"), (("--strict",), "panicked")):
            r = d.open(*options)
            self.assertEqual("ok", d.outcome(self.script(r, "CTL obligation reserve"))["outcome"])
            d.ctl("close", "--finish", r, code=None)
            self.assertEqual(outcome, d.outcome(r, code=None)["outcome"])


class Futurelock(harness.DaemonTest):
    config = "obligations: {futurelock: 400ms}\n"

    def test_a_holder_that_does_nothing_is_reported_with_what_it_waits_for(self):
        """R-OBL-6: two tasks, each with what the other wants."""
        d = self.d
        r = d.open()
        tasks = []
        for mine, other in (("a", "b"), ("b", "a")):
            tasks.append(d.submit(r, "sh", "-c",
                                  f"{CTL} lease acquire --ttl 1h {mine}; touch {d.path('has-' + mine)}; "
                                  f"while [ ! -e {d.path('has-' + other)} ]; do sleep 0.02; done; "
                                  f"exec {CTL} lease acquire {other}"))
        eventually(lambda: len([e for e in events(d) if e["event"] == "futurelock"]) == 2,
                   "both are reported")
        why = d.json("why", tasks[0])
        self.assertIn(tasks[1], [link["id"] for link in why["chain"]])
        self.assertIn("FuturelockViolation", [t["name"] for t in why["trouble"]])
        self.assertEqual(2, d.json("status")["stuck"])


class Revoked(harness.DaemonTest):
    def test_R_CAP_4_what_is_held_is_given_back_with_a_revoked_capability(self):
        w = wire.connect(self.d)
        region = w.ok("region.open")["region"]
        cx = w.ok("cx.derive", {"region": region, "rights": ["lease", "io"]})

        def shown(op, args):
            number = next(w.ids)
            w.send_raw(msgpack.packb([1, number, w.secret, cx["token"], op, args]), number)
            return w.reply()[1:]

        lease = shown("lease.acquire", {"region": region, "name": "n", "ttl_ns": 10**12})[1]["obligation"]
        io = shown("obligation.reserve", {"region": region})[1]["obligation"]
        w.ok("cx.revoke", {"cx": cx["cx"]})
        self.assertEqual(-20, shown("lease.renew", {"obligation": lease})[0])
        self.assertEqual(-20, shown("obligation.commit", {"obligation": io})[0])
        self.assertEqual((0, {}), shown("lease.release", {"obligation": lease}))
        self.assertEqual((0, {}), shown("obligation.abort", {"obligation": io}))
        self.assertEqual([], w.ok("obligation.list")["obligations"])
        w.ok("region.close", {"region": region})
        w.close()


if __name__ == "__main__":
    harness.main()
