# SPDX-License-Identifier: MIT
"""The other verbs, against a real daemon and against none."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

from terminal import Terminal, harness
from harness import ACTOR, eventually
import wire


def ctl(*args, **env):
    return subprocess.run([harness.CTL, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=harness.PATIENCE, env={**os.environ, **env})


class WithoutADaemon(unittest.TestCase):
    def test_it_says_where_it_looked_and_how_to_start_one(self):
        with tempfile.TemporaryDirectory() as nowhere:
            p = ctl("status", ASUPERSYNC_SOCKET="", XDG_RUNTIME_DIR=nowhere)
            self.assertEqual(125, p.returncode)
            self.assertIn("not-connected", p.stderr)
            self.assertIn("asupersyncd --user", p.stderr)
            self.assertIn(nowhere, p.stderr)
            p = ctl("--socket", f"ipc://{nowhere}/x.sock", "--json", "tree")
            self.assertEqual(125, p.returncode)
            error = json.loads(p.stdout)["error"]
            self.assertEqual(("not-connected", True, 125), (error["code"], error["retry"], error["exit_code"]))
            self.assertEqual(125, ctl("run", "--", "true", ASUPERSYNC_SOCKET=f"ipc://{nowhere}/x").returncode)

    def test_version_and_help_need_none(self):
        p = ctl("version", ASUPERSYNC_SOCKET="ipc:///nowhere")
        self.assertEqual(0, p.returncode)
        self.assertRegex(p.stdout, r"asupersyncctl \d+\.\d+\.\d+")
        self.assertIsNone(json.loads(ctl("version", "--json", ASUPERSYNC_SOCKET="ipc:///nowhere").stdout)["daemon"])
        for args in (("help",), ("--help",), ("-h",)):
            self.assertIn("asupersyncctl run --timeout", ctl(*args).stdout)
        verbs = re.findall(r"^  (\w+) ", ctl("help").stdout.split("Verbs:")[1].split("Options")[0], re.M)
        self.assertLessEqual({"run", "close", "saga", "channel", "version"}, set(verbs))
        self.assertEqual(verbs, [v["name"] for v in json.loads(ctl("help", "--json").stdout)["verbs"]])
        self.assertIn("complete", json.loads(ctl("--json", "completion", "bash").stdout)["text"])
        for verb in verbs:
            self.assertIn("Example:", ctl(verb, "--help").stdout)

    def test_usage_errors_exit_64(self):
        for args in ((), ("frob",), ("run",), ("run", "--frob", "x"), ("close", "t7"), ("wait", "web"),
                     ("open", "--timeout", "5"), ("run", "--deadline", "soon", "x"),
                     ("run", "--rlimit", "nofile", "x"), ("run", "--env", "=x", "true"),
                     ("run", "--umask", "999", "x"), ("run", "--nice", "20", "x"),
                     ("run", "--cancel-signal", "FOO", "x"), ("open", "--policy", "quorum"),
                     ("submit", "--memory-max", "lots", "x"), ("events", "--since", "x"),
                     ("help", "frob"), ("completion", "csh")):
            p = ctl(*args)
            self.assertEqual(64, p.returncode, args)
            self.assertTrue(p.stderr.startswith("asupersyncctl: "), args)
            p = ctl("--json", *args)
            error = json.loads(p.stderr if args[:1] == ("run",) else p.stdout)["error"]
            self.assertEqual("usage", error["code"], args)

    def test_completions_are_scripts(self):
        bash = ctl("completion", "bash").stdout
        subprocess.run(["bash", "-n"], input=bash, text=True, check=True)
        asked = subprocess.run(["bash", "-c", bash + """
            COMP_WORDS=(asupersyncctl run --mem) COMP_CWORD=2; _asupersyncctl; echo "${COMPREPLY[@]}"
            COMP_WORDS=(asupersyncctl shu) COMP_CWORD=1; _asupersyncctl; echo "${COMPREPLY[@]}"
            COMP_WORDS=(asupersyncctl open --policy ra) COMP_CWORD=3; _asupersyncctl; echo "${COMPREPLY[@]}"
            """], capture_output=True, text=True, check=True).stdout
        self.assertEqual(["--memory-max", "shutdown", "race"], asked.split())
        for shell in ("zsh", "fish"):
            self.assertIn("--memory-max" if shell == "zsh" else "-l memory-max", ctl("completion", shell).stdout)


class MakingAndWaiting(harness.DaemonTest):
    def test_ids_are_printed_bare(self):
        r = self.d.ctl("open", "--name", "bare")
        self.assertRegex(r.out, r"^r\d+\n$")
        self.assertRegex(self.d.ctl("submit", "--in", "/bare", "--", "true").out, r"^t\d+\n$")
        self.assertRegex(self.d.ctl("defer", "/bare", "--", "true").out, r"^t\d+\n$")

    def test_submit_runs_here_with_a_clean_environment(self):
        r = self.d.open()
        with tempfile.TemporaryDirectory() as directory:
            t = self.d.ctl("submit", "--in", r, "--env", f"{harness.MARK}", "--", "sh", "-c", "pwd; env",
                           cwd=directory, env={"SECRET": "x"}).out.strip()
            self.d.ctl("wait", t)
            out = self.d.ctl("logs", t).out
            self.assertEqual(os.path.realpath(directory), out.splitlines()[0])
            self.assertNotIn("SECRET", out)
            self.assertIn("PATH=", out)

    def test_submit_and_wait_in_one(self):
        r = self.d.open()
        p = self.d.ctl("submit", "--wait", "--in", r, "--", "sh", "-c", "exit 7", code=7)
        self.assertRegex(p.out, r"^t\d+\n$")
        self.assertIn("exit code 7", p.err)

    def test_submit_each(self):
        r = self.d.open()
        p = self.d.ctl("submit", "--each", "-", "--in", r, "--wait", input="exit 0\n# not this\n\nexit 4\n", code=4)
        self.assertEqual(2, len(p.out.split()))
        p = self.d.ctl("submit", "--each", "-", "--in", "/none", input="true\n", code=125)
        self.assertIn("not-found", p.err)

    def test_wait_for_several_exits_by_the_worst(self):
        r = self.d.open()
        ids = [self.d.submit(r, "sh", "-c", f"exit {code}") for code in (0, 3, 0)]
        self.d.ctl("wait", *ids, code=3)
        objects = [json.loads(line) for line in self.d.ctl("--json", "wait", *ids, code=3).out.splitlines()]
        self.assertEqual([0, 3, 0], [o["outcome"]["exit_code"] for o in objects])

    def test_wait_until_started_and_ready(self):
        r = self.d.open()
        t = self.d.actor(r, "await", self.d.path("go"), "notify", "READY=1", "forever", options=("--notify",))
        self.d.ctl("wait", "--until", "started", t)
        self.d.ctl("wait", "--until", "ready", "--timeout", "100ms", t, code=75)
        pathlib.Path(self.d.path("go")).touch()
        self.d.ctl("wait", "--until", "ready", t)
        never = self.d.actor(r, "exit", "0", options=("--notify",))
        self.d.ctl("wait", "--until", "ready", never, code=1)

    def test_open_attached_ends_with_its_command(self):
        p = self.d.popen("open", "--attach", "--name", "held", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        r = p.stdout.readline().strip()
        self.d.actor(r, "pid", self.d.path("held"), "forever")
        self.d.await_file("held")
        p.send_signal(signal.SIGTERM)
        self.assertEqual(130, p.wait(harness.PATIENCE))
        p.communicate()
        p = self.d.popen("open", "--attach", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        r = p.stdout.readline().strip()
        t = self.d.actor(r, "forever")
        self.d.ctl("wait", "--until", "started", t)
        p.kill()
        p.communicate()
        self.assertEqual("linked-exit", self.d.outcome(r, code=143)["reason"]["kind"])

    def test_policies_and_limits_arrive(self):
        r = self.d.open("--policy", "quorum:2", "--soft", "--timeout", "1h", "--priority", "200")
        shown = self.d.json("show", r)
        self.assertEqual(("quorum", 2, True), (shown["policy"], shown["quorum"], shown["soft"]))
        self.assertGreater(shown["budget"]["limit_left_ns"], 3590e9)
        self.assertEqual(200, shown["budget"]["priority"])


class Ending(harness.DaemonTest):
    def test_close_waits_and_is_zero_only_when_quiescent(self):
        r = self.d.open("--drain", "1h")
        t = self.d.actor(r, "ignore", "TERM", "pid", self.d.path("s"), "forever")
        self.d.await_file("s")
        p = self.d.ctl("close", "--timeout", "300ms", r, code=75)
        self.assertIn(t, p.err)
        self.assertIn("why", p.err)
        self.d.ctl("cancel", "--drain", "0s", r)
        self.d.ctl("close", r)
        self.assertEqual("closed", self.d.state_of(r))

    def test_finish_lets_it_end(self):
        r = self.d.open()
        t = self.d.actor(r, "await", self.d.path("f"), "exit", "0")
        p = self.d.popen("close", "--finish", r, stderr=subprocess.DEVNULL)
        eventually(lambda: self.d.state_of(r) == "draining", "it drains")
        pathlib.Path(self.d.path("f")).touch()
        self.assertEqual(0, p.wait(harness.PATIENCE))
        self.assertEqual("ok", self.d.outcome(t, code=0)["outcome"])

    def test_cancel_tells_why(self):
        r = self.d.open()
        t = self.d.actor(r, "forever")
        self.d.ctl("cancel", "--message", "wrong input", "--wait", t, code=130)
        self.assertIn("wrong input", self.d.ctl("show", t).out)

    def test_show_takes_every_sort_of_id(self):
        """Each by its own operation; what has none, from its list or by why."""
        with contextlib.closing(wire.connect(self.d)) as w:
            r = w.ok("region.open", {"name": "shown"})["region"]
            task = self.d.actor(r, "forever")
            ids = {
                "channel": w.ok("channel.open", {"region": r, "name": "mail"})["channel"],
                "saga": w.ok("saga.begin", {"region": r})["saga"],
                "obligation": w.ok("lease.acquire", {"region": r, "name": "l", "ttl_ns": 10**12})["obligation"],
                "cx": w.ok("cx.derive", {"region": r, "rights": ["observe"]})["cx"],
            }
            ids["message"] = w.ok("channel.send", {"channel": ids["channel"], "data": b"hello"})["message"]
            ids["session"] = w.ok("worker.offer", {"names": ["job"], "region": r})["worker"]
            for sort, id in [*ids.items(), ("task", task), ("region", r)]:
                shown = self.d.json("show", id)
                self.assertEqual(id, shown.get("id", shown.get("channel")), sort)
                self.assertIn(id, self.d.ctl("show", id).out, sort)
            self.assertIn("hello", self.d.ctl("show", ids["message"]).out)
            self.assertIn("runs 0 calls", self.d.ctl("show", ids["session"]).out)
            w.ok("lease.release", {"obligation": ids["obligation"]})
            self.assertIn("committed", self.d.ctl("show", ids["obligation"]).out)
            self.d.ctl("show", "x999999", "o999999", "c999999", "m999999", "g999999", "s999999", code=125)
            self.assertIn("no id", self.d.ctl("show", "y1", code=64).err)
            w.ok("saga.complete", {"saga": ids["saga"]})
            self.d.ctl("cancel", "--drain", "0s", r)

    def test_close_takes_no_task(self):
        self.assertIn("cancel t7", self.d.ctl("close", "t7", code=64).err)

    def test_live_progress_on_a_terminal(self):
        r = self.d.open("--drain", "700ms")
        t = self.d.actor(r, "ignore", "TERM", "pid", self.d.path("live"), "forever")
        self.d.await_file("live")
        with Terminal(self.d, "close", r) as terminal:
            terminal.expect("waiting for")
            terminal.expect(t)
            terminal.expect("killed in")
            shown = terminal.end(0)
            self.assertIn("\x1b[J", shown)
            self.assertIn("closed", shown)


class Looking(harness.DaemonTest):
    def test_tree_and_ps(self):
        r = self.d.open("--name", "seen")
        t = self.d.actor(r, "forever", options=("--label", "my label"))
        self.d.ctl("wait", "--until", "started", t)
        tree = self.d.ctl("tree", env={"LC_ALL": "C.UTF-8"}).out
        self.assertRegex(tree, rf"(?m)^/ open\n└─ seen {r} open · 1 task\n   └─ {t} running .* pid \d+  my label$")
        self.assertTrue(self.d.ctl("tree", env={"LC_ALL": "C"}).out.isascii())
        self.assertRegex(self.d.ctl("ps").out, rf"(?m)^{t} +/seen +running +\d+ .* my label$")
        self.assertEqual([t], [task["id"] for task in self.d.json("ps", "/seen")["tasks"]])
        self.d.ctl("cancel", "--drain", "0s", "--wait", t, code=130)
        self.assertNotIn(t, self.d.ctl("ps").out)
        self.assertIn(t, self.d.ctl("ps", "--all").out)

    def test_foreign_text_is_made_harmless(self):
        r = self.d.open()
        t = self.d.ctl("submit", "--in", r, "--", "printf", "\033[2J\033[31mred\033[0m\a\n").out.strip()
        self.d.ctl("wait", t)
        self.assertNotIn("\033", self.d.ctl("ps", "--all").out)
        self.assertEqual("\033[2J\033[31mred\033[0m\a\n", self.d.ctl("logs", t).out)
        with Terminal(self.d, "logs", t) as terminal:
            self.assertEqual("\\x1b[2J\033[31mred\033[0m\\x07\r\n", terminal.end(0))

    def test_logs_of_a_region_say_whose(self):
        r = self.d.open()
        a = self.d.actor(r, "print", "from a", "exit", "0")
        b = self.d.actor(r, "print", "from b", "exit", "0")
        self.d.ctl("wait", a, b)
        lines = self.d.ctl("logs", r, env={"LC_ALL": "C"}).out.splitlines()
        self.assertEqual({f"{a} | from a", f"{b} | from b"}, set(lines))

    def test_logs_follow_until_the_end(self):
        for of_region in (False, True):
            r = self.d.open()
            go = self.d.path(f"more-{r}")
            t = self.d.actor(r, "print", "first", "await", go, "print", "second")
            p = self.d.popen("logs", "-f", r if of_region else t, stdout=subprocess.PIPE, env={"LC_ALL": "C"})
            before = f"{t} | " if of_region else ""
            self.assertEqual(f"{before}first\n", p.stdout.readline())
            self.d.ctl("close", "--finish", "--no-wait", r)
            pathlib.Path(go).touch()
            self.assertEqual(f"{before}second\n", p.communicate(timeout=harness.PATIENCE)[0])
            self.assertEqual(0, p.returncode)

    def test_logs_as_json(self):
        r = self.d.open()
        t = self.d.ctl("submit", "--in", r, "--", "printf", "text \\377\\n").out.strip()
        self.d.ctl("wait", t)
        objects = [json.loads(line) for line in self.d.ctl("--json", "logs", t).out.splitlines()]
        self.assertEqual("text \ufffd\n", "".join(o["data"] for o in objects))
        self.assertTrue(objects[-1]["end"])
        self.assertTrue(any("data_base64" in o for o in objects))

    def test_events_are_lossless_from_a_number_on(self):
        p = self.d.popen("--json", "events", "-f", "-n", "3", stdout=subprocess.PIPE)
        self.addCleanup(p.kill)
        # Something happens until the watcher, who began at "now", has its three.
        eventually(lambda: self.d.open() and p.poll() is not None, "three events come")
        followed = [json.loads(line) for line in p.communicate()[0].splitlines()]
        since = followed[0]["seq"]
        again = [json.loads(line) for line in
                 self.d.ctl("--json", "events", "--since", str(since), "-n", "3").out.splitlines()]
        self.assertEqual(followed, again)
        self.assertTrue(followed[0]["seq"] < followed[1]["seq"] < followed[2]["seq"])
        for line in self.d.ctl("events", "--since", str(since)).out.splitlines():
            self.assertRegex(line, r"^\d\d:\d\d:\d\d\.\d{3} +\d+ [a-z-]+")

    def test_status(self):
        shown = self.d.ctl("status").out
        self.assertIn("containment", shown)
        status = self.d.json("status")
        for key in ("version", "containment", "regions", "tasks", "sessions", "limits"):
            self.assertIn(key, status)
        self.assertIn(status["containment"], ("cgroup2", "cgroup2-cooperative", "subreaper"))

    def test_reload(self):
        self.d.ctl("reload")
        self.assertEqual({"format": 1}, self.d.json("reload"))

    def test_why(self):
        r = self.d.open()
        t = self.d.actor(r, "forever")
        self.assertIn(t, self.d.ctl("why", t).out)
        self.assertIn("chain", self.d.json("why", r))

    def test_live_ids_for_completion(self):
        r = self.d.open("--name", "done")
        t = self.d.actor(r, "forever")
        self.assertIn(t, self.d.ctl("completion", "ids").out.split())
        self.assertLessEqual({r, "/done"}, set(self.d.ctl("completion", "regions").out.split()))

    def test_what_is_not_there(self):
        for args in (("show", "t999999"), ("wait", "r999999"), ("close", "/nowhere"), ("logs", "t999999"),
                     ("why", "t999999"), ("cancel", "t999999")):
            self.assertIn("not-found", self.d.ctl(*args, code=125).err)


class Shutdown(unittest.TestCase):
    def test_it_returns_when_the_daemon_is_gone(self):
        d = harness.Daemon()
        r = d.open()
        d.actor(r, "ignore", "TERM", "children", "2", "pid", d.path("deep"), "forever")
        d.await_file("deep")
        pid = d.json("status")["pid"]
        d.ctl("shutdown", "--within", "2s")
        with self.assertRaises(ProcessLookupError):
            # A zombie at most, which its parent, this test, has not yet read.
            if d.process.wait(harness.PATIENCE) == 0:
                os.kill(pid, 0)
        d.close()

    def test_drain_lets_work_end_first(self):
        d = harness.Daemon()
        t_file = d.path("drained")
        r = d.open()
        d.actor(r, "pid", d.path("busy"), "await", d.path("go"), "touch", t_file)
        d.await_file("busy")
        p = d.popen("drain", stderr=subprocess.DEVNULL)
        eventually(lambda: "region-closed" in d.ctl("open", code=None).err, "nothing new is admitted")
        pathlib.Path(d.path("go")).touch()
        self.assertEqual(0, p.wait(harness.PATIENCE))
        self.assertTrue(os.path.exists(t_file))
        d.close()


if __name__ == "__main__":
    harness.main()
