# SPDX-License-Identifier: MIT
"""`asupersyncctl run -- CMD` behaves like running CMD."""

import json
import os
import signal
import subprocess
import tempfile

from terminal import Terminal, harness
from harness import ACTOR, eventually


class AsIfItRanHere(harness.DaemonTest):
    def test_standard_streams_are_handed_over(self):
        p = self.d.ctl("run", "--", "sh", "-c", "cat; echo oops >&2; exit 3", input="in\n", code=3)
        self.assertEqual(("in\n", "oops\n"), (p.out, p.err))

    def test_a_closed_standard_input_is_no_trouble(self):
        p = subprocess.run(["sh", "-c", f"exec {harness.CTL} --socket {self.d.url} run -- cat <&-"],
                           capture_output=True, timeout=harness.PATIENCE)
        self.assertEqual((0, b""), (p.returncode, p.stdout))

    def test_much_goes_through_a_pipe_unchanged(self):
        data = os.urandom(3 << 20)
        p = subprocess.run([harness.CTL, "--socket", self.d.url, "run", "--", "cat"], input=data,
                           capture_output=True, timeout=harness.PATIENCE)
        self.assertEqual(0, p.returncode)
        self.assertEqual(data, p.stdout)

    def test_a_reader_that_goes_away_is_the_commands_own_affair(self):
        p = subprocess.run(["sh", "-c", f"{{ {harness.CTL} --socket {self.d.url} run -- yes; echo $? >&2; }}"
                                        " | head -n 1"], capture_output=True, text=True,
                           timeout=harness.PATIENCE)
        self.assertEqual("y\n", p.stdout)
        self.assertTrue(p.stderr.endswith(f"{128 + signal.SIGPIPE}\n"), p.stderr)

    def test_directory_environment_mask_and_niceness(self):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            p = self.d.ctl("run", "--", "sh", "-c", 'pwd; echo "$FROM_HERE"; umask; nice',
                           cwd=directory, env={"FROM_HERE": "a b"}, umask=0o027,
                           preexec_fn=lambda: os.nice(3))
            self.assertEqual([os.path.realpath(directory), "a b", "0027", str(os.nice(0) + 3)],
                             p.out.splitlines())

    def test_environment_options(self):
        env = self.d.ctl("run", "--env", "A=1", "--env", "HOME=/x", "--", "env").out.splitlines()
        self.assertIn("A=1", env)
        self.assertIn("HOME=/x", env)
        self.assertIn(f"{harness.MARK}={self.d.mark}", env)
        bare = self.d.ctl("run", "--clear-env", "-e", "A=1", "-e", harness.MARK, "--", "/usr/bin/env").out
        names = {line.split("=")[0] for line in bare.splitlines()}
        self.assertEqual({"A", harness.MARK}, {n for n in names if not n.startswith("ASUPERSYNC_")})

    def test_a_task_knows_where_it_belongs(self):
        env = dict(line.split("=", 1) for line in self.d.ctl("run", "--", "env").out.splitlines()
                   if "=" in line)
        self.assertRegex(env["ASUPERSYNC_TASK"], r"^t\d+$")
        self.assertRegex(env["ASUPERSYNC_REGION"], r"^r\d+$")
        self.assertEqual(self.d.url, env["ASUPERSYNC_SOCKET"])

    def test_it_runs_where_it_is_told(self):
        p = self.d.ctl("run", "--cwd", "/usr", "--umask", "077", "--nice", "5", "--rlimit",
                       "nofile=77:88", "--", "sh", "-c", "pwd; umask; nice; ulimit -Sn; ulimit -Hn")
        self.assertEqual(["/usr", "0077", "5", "77", "88"], p.out.splitlines())

    def test_files_for_standard_streams(self):
        with open(self.d.path("in"), "w") as f:
            f.write("from a file\n")
        for _ in range(2):
            self.d.ctl("run", "--stdin", self.d.path("in"), "--stdout", self.d.path("out"), "--append",
                       "--", "cat")
        with open(self.d.path("out")) as f:
            self.assertEqual("from a file\n" * 2, f.read())


class ExitCodes(harness.DaemonTest):
    def test_its_own(self):
        for code in (0, 1, 77, 255):
            self.d.ctl("run", "--", "sh", "-c", f"exit {code}", code=code)

    def test_a_death_by_signal(self):
        p = self.d.ctl("run", "--", "sh", "-c", "kill -SEGV $$", code=128 + signal.SIGSEGV)
        self.assertIn("SIGSEGV", p.err)

    def test_out_of_time(self):
        self.assertIn("timeout", self.d.ctl("run", "--timeout", "100ms", "--", ACTOR, "forever", code=124).err)
        self.assertIn("deadline", self.d.ctl("run", "--deadline", "+100ms", "--", ACTOR, "forever",
                                             code=124).err)

    def test_out_of_processor_time(self):
        self.d.ctl("run", "--cost", "200", "--", ACTOR, "burn", "60000", code=124)

    def test_not_there_and_not_executable(self):
        self.assertIn("No such file", self.d.ctl("run", "--", "/no/such/program", code=127).err)
        self.d.ctl("run", "--", "/etc/passwd", code=126)
        self.d.ctl("run", "--cwd", "/no/such/directory", "--", "true", code=126)

    def test_cancelled_by_somebody(self):
        p = self.d.popen("run", "--name", "job", "--", ACTOR, "pid", self.d.path("cancelled"), "forever",
                         stderr=subprocess.DEVNULL)
        self.d.await_file("cancelled")
        self.d.ctl("cancel", "/job")
        self.assertEqual(130, p.wait(harness.PATIENCE))

    def test_refused(self):
        p = self.d.ctl("run", "--in", "r999999", "--", "true", code=125)
        self.assertIn("not-found", p.err)
        self.d.ctl("run", "--name", "a/b", "--", "true", code=125)

    def test_finalizers_count(self):
        """R-OUT-2, R-FIN-1"""
        p = self.d.ctl("run", "--finalizer", f"echo done > {self.d.path('finalized')}", "--", "true")
        self.assertEqual("", p.err)
        self.assertEqual("done", self.d.await_file("finalized"))
        self.d.ctl("run", "--finalizer", "exit 9", "--", "true", code=9)

    def test_json_goes_to_standard_error(self):
        p = self.d.ctl("--json", "run", "--", "sh", "-c", "echo out; exit 4", code=4)
        self.assertEqual("out\n", p.out)
        result = json.loads(p.err.splitlines()[-1])
        self.assertEqual((1, 4, "err", "closed"), (result["format"], result["outcome"]["exit_code"],
                                                   result["outcome"]["outcome"], result["state"]))
        p = self.d.ctl("--json", "run", "--in", "/no/such", "--", "true", code=125)
        self.assertEqual("not-found", json.loads(p.err.splitlines()[-1])["error"]["code"])
        self.assertEqual("", p.out)


class NothingIsLeft(harness.DaemonTest):
    def test_what_it_started_in_the_background_is_gone_when_it_returns(self):
        """R-TSK-4"""
        p = self.d.popen("run", "--leftover", "50ms", "--", ACTOR, "detach", "forever",
                         stderr=subprocess.DEVNULL)
        self.assertEqual(0, p.wait(harness.PATIENCE))
        self.assertEqual([], harness.marked(self.d.mark))

    def test_a_run_within_a_run_belongs_to_it(self):
        script = f"{harness.CTL} run -- sh -c 'echo $ASUPERSYNC_REGION'; echo $ASUPERSYNC_REGION"
        inner, outer = self.d.ctl("run", "--name", "outer", "--", "sh", "-c", script).out.split()
        self.assertEqual(self.d.json("show", inner)["path"].rsplit("/", 1)[0], "/outer")
        self.assertNotEqual(inner, outer)

    def test_a_region_to_run_in(self):
        r = self.d.open("--name", "place")
        region = self.d.ctl("run", "--in", "/place", "--", "sh", "-c", "echo $ASUPERSYNC_REGION").out.strip()
        self.assertEqual(f"/place/{region}", self.d.json("show", region)["path"])
        region = self.d.ctl("run", "--", "sh", "-c", "echo $ASUPERSYNC_REGION",
                            env={"ASUPERSYNC_REGION": r}).out.strip()
        self.assertEqual(f"/place/{region}", self.d.json("show", region)["path"])

    def test_if_it_is_killed_the_region_is_cancelled(self):
        """R-SES-1"""
        p = self.d.popen("run", "--name", "orphan", "--", ACTOR, "children", "2", "pid", self.d.path("killed"),
                         "forever", stdin=subprocess.DEVNULL)
        self.d.await_file("killed")
        region = self.d.json("show", "/orphan")["id"]
        p.kill()
        p.wait()
        outcome = self.d.outcome(region, code=143)
        self.assertEqual("linked-exit", outcome["reason"]["kind"])
        self.d.assert_quiet()

    def test_an_engine_that_is_started_again_is_ridden_out(self):
        p = self.d.popen("run", "--", ACTOR, "pid", self.d.path("kept"), "forever", stderr=subprocess.PIPE)
        pid = int(self.d.await_file("kept"))
        engine = self.d.engine_pid()
        os.kill(engine, signal.SIGKILL)
        eventually(lambda: self.d.answers() and self.d.engine_pid() != engine, "a new engine answers")
        os.kill(pid, signal.SIGTERM)
        _, err = p.communicate(timeout=harness.PATIENCE)
        self.assertEqual(143, p.returncode, err)


class Signals(harness.DaemonTest):
    def start(self, name, *steps, options=()):
        p = self.d.popen("run", "--name", name, *options, "--", ACTOR, *steps, "pid", self.d.path(name),
                         "forever", stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.d.await_file(name)
        return p

    def test_the_first_cancels_and_says_what_drains(self):
        p = self.start("polite", "trap", "TERM", "0")
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=harness.PATIENCE)
        self.assertEqual(130, p.returncode, err)

    def test_the_second_kills(self):
        p = self.start("stubborn", "ignore", "TERM", options=("--drain", "1h"))
        region = self.d.json("show", "/stubborn")["id"]
        p.send_signal(signal.SIGINT)
        line = p.stderr.readline()
        self.assertIn("press Ctrl-C again to kill", line)
        self.assertRegex(p.stderr.readline(), r"t\d+ .*killed in (59m|1h)")
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=harness.PATIENCE)
        self.assertEqual(130, p.returncode)
        outcome = self.d.outcome(region, code=130)
        self.assertTrue(outcome["forced"])
        self.assertEqual("user", outcome["reason"]["kind"])

    def test_sigterm_and_sighup_cancel_too(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            p = self.start(number.name)
            p.send_signal(number)
            p.communicate(timeout=harness.PATIENCE)
            self.assertEqual(130, p.returncode)

    def test_sigquit_kills_at_once(self):
        p = self.start("quit", "ignore", "TERM", options=("--drain", "1h"))
        p.send_signal(signal.SIGQUIT)
        p.communicate(timeout=harness.PATIENCE)
        self.assertEqual(130, p.returncode)

    def test_another_cancel_signal(self):
        p = self.start("other", "mark", "USR1", self.d.path("usr1"), options=("--cancel-signal", "USR1"))
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=harness.PATIENCE)
        self.assertEqual("signalled", self.d.await_file("usr1"))

    def test_ctrl_z_without_a_pty_stops_and_continues_both(self):
        p = self.start("stopped")
        pid = int(self.d.await_file("stopped"))

        def state(of):
            with open(f"/proc/{of}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0]

        p.send_signal(signal.SIGTSTP)
        eventually(lambda: state(p.pid) == "T" and state(pid) == "T", "both stop")
        p.send_signal(signal.SIGCONT)
        eventually(lambda: state(p.pid) != "T" and state(pid) != "T", "both go on")
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=harness.PATIENCE)
        self.assertEqual(130, p.returncode)


class TerminalTest(harness.DaemonTest):
    def setUp(self):
        self.terminals = []

    def terminal(self, *args, **options):
        self.terminals.append(Terminal(self.d, *args, **options))
        return self.terminals[-1]

    def tearDown(self):
        for t in self.terminals:
            t.close()
        super().tearDown()


class OnATerminal(TerminalTest):

    def test_it_has_a_terminal_of_its_own_with_the_same_window(self):
        t = self.terminal("run", "--", "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size "
                                                   "&& : </dev/tty && echo fine", size=(33, 77))
        shown = t.end(0)
        self.assertIn("33 77", shown)
        self.assertIn("fine", shown)

    def test_the_window_follows(self):
        t = self.terminal("run", "--", "sh", "-c", "trap 'stty size; exit 0' WINCH; echo go; "
                                                   "while :; do read x; done")
        t.expect("go")
        t.resize(44, 55)
        t.expect("44 55")
        t.end(0)

    def test_lines_are_echoed_edited_and_ended(self):
        t = self.terminal("run", "--", "sh", "-c", "echo go; cat; echo ended")
        t.expect("go")
        t.type("helxx\x7f\x7flo\n")
        t.expect("lo\r\n")  # as it is echoed, with its corrections
        t.expect("hello\r\n")
        t.type("\x04")
        t.expect("ended")
        t.end(0)

    def test_all_output_is_shown_before_it_returns(self):
        shown = self.terminal("run", "--", "seq", "1", "40000").end(0)
        self.assertEqual([str(n) for n in range(1, 40001)], shown.split())

    def test_the_terminal_is_given_back_as_it_was(self):
        for command, code in ((["true"], 0), (["stty", "raw", "-echo"], 0), (["/no/such"], 127),
                              (["sh", "-c", "kill -9 $$"], 137)):
            t = self.terminal("run", "--", *command)
            t.end(code)
            self.assertEqual(t.before, t.modes())

    def test_ctrl_c_cancels_in_structure(self):
        t = self.terminal("run", "--", ACTOR, "trap", "TERM", "0", "print", "go", "forever")
        t.expect("go")
        self.assertTrue(t.is_raw())
        t.type("\x03")
        t.end(130)
        self.assertEqual(t.before, t.modes())

    def test_a_second_ctrl_c_kills(self):
        t = self.terminal("run", "--drain", "1h", "--", ACTOR, "ignore", "TERM", "ignore", "INT", "print",
                          "go", "forever")
        t.expect("go")
        t.type("\x03")
        t.expect("press Ctrl-C again to kill\r\n")
        t.type("\x03")
        t.end(130)
        self.assertEqual(t.before, t.modes())

    def test_a_program_that_reads_single_keys_gets_ctrl_c_itself(self):
        for modes in ("raw", "-icanon"):
            script = f"stty {modes}; trap 'echo got; exit 5' INT; echo go; head -c 1 | od -An -tx1; exit 6"
            t = self.terminal("run", "--", "bash", "-c", script)
            t.expect("go")
            t.type("\x03")
            if modes == "raw":
                t.expect("03")
                t.end(6)
            else:
                t.expect("got")
                t.end(5)

    def test_ctrl_z_stops_the_program_and_gives_the_terminal_back(self):
        t = self.terminal("run", "--", ACTOR, "pid", self.d.path("z"), "print", "go", "forever")
        t.expect("go")
        pid = int(self.d.await_file("z"))
        t.type("\x1a")
        t.stopped()
        self.assertEqual("T", t.state(pid))
        self.assertEqual(t.before, t.modes())
        os.kill(t.pid, signal.SIGCONT)
        eventually(lambda: t.is_raw() and t.state(pid) != "T", "both go on")
        t.type("\x03")
        t.end(130)

    def test_output_to_a_file_stays_output_to_a_file(self):
        path = self.d.path("redirected")
        with open(path, "wb") as f:
            t = self.terminal("run", "--", "sh", "-c", "echo line; test -t 0 && test -t 2 && test ! -t 1 "
                                                       "&& echo yes; echo seen >/dev/tty", stdout=f.fileno())
        self.assertIn("seen", t.end(0))
        with open(path, "rb") as f:
            self.assertEqual(b"line\nyes\n", f.read())

    def test_at_the_head_of_a_pipeline_the_terminal_stays_as_it_is(self):
        r, w = os.pipe()
        t = self.terminal("run", "--", "sh", "-c", "test -t 0 && echo yes; read x; echo \"<$x>\"", stdout=w)
        os.close(w)
        with os.fdopen(r, "rb") as f:
            self.assertEqual(b"yes\n", f.readline())
            self.assertFalse(t.is_raw())
            t.type("typed\n")
            self.assertEqual(b"<typed>\n", f.readline())
        t.end(0)

    def test_ctrl_c_at_the_head_of_a_pipeline(self):
        r, w = os.pipe()
        t = self.terminal("run", "--", ACTOR, "print", "go", "forever", stdout=w)
        os.close(w)
        with os.fdopen(r, "rb") as f:
            self.assertEqual(b"go\n", f.readline())
            t.type("\x03")
            t.end(130)

    def test_a_hangup_cancels(self):
        t = self.terminal("run", "--name", "hung", "--", ACTOR, "print", "go", "forever")
        t.expect("go")
        region = self.d.json("show", "/hung")["id"]
        os.close(os.dup(t.fd))
        os.kill(t.pid, signal.SIGHUP)
        t.end(130)
        self.d.outcome(region, code=130)

    def test_an_interactive_shell_does_its_own_job_control(self):
        t = self.terminal("run", "--", "bash", "--norc", "--noprofile", "-i",
                          env={"PS1": "in$ ", "actor": ACTOR})
        t.expect("in$ ")
        t.type("echo half\x03")  # Ctrl-C is bash's at its prompt

        def prompt():
            # The kernel drops what a terminal has in flight when Ctrl-C comes.
            t.type("\n")
            return t.shows("in$ ")

        eventually(prompt, "bash goes on")
        t.type("$actor print job-$((1 + 1)) forever\n")
        t.expect("job-2")
        t.type("\x1a")
        t.expect("Stopped")
        t.expect("in$ ")
        t.type("fg\n")
        t.expect("forever")
        eventually(lambda: t.type("\x03") or t.shows("in$ "), "Ctrl-C ends the job, not the shell")
        t.type("exit 9\n")
        t.end(9)

    def test_quick_answers(self):
        for word in ("one", "two"):
            self.assertEqual(f"{word}\r\n", self.terminal("run", "--", "echo", word).end(0))


class UnderAShell(TerminalTest):
    """As people use it: a job of an interactive shell."""

    def shell(self):
        t = self.terminal("--norc", "--noprofile", "-i", program="bash",
                          env={"PS1": "$ ", "ctl": harness.CTL, "actor": ACTOR})
        t.expect("$ ")
        return t

    def type(self, t, line):
        """Type a line at the prompt, past its echo."""
        t.type(line + "\n")
        t.expect(line + "\r\n")

    def test_ctrl_z_and_fg(self):
        t = self.shell()
        self.type(t, "$ctl run -- $actor print go-1 forever")
        t.expect("go-1")
        t.type("\x1a")
        t.expect("Stopped")
        t.expect("$ ")
        self.type(t, "echo at the prompt")
        t.expect("at the prompt")
        t.expect("$ ")  # what is typed before it has one the shell may lose
        self.type(t, "fg")
        t.expect("forever")  # the shell names the job: the terminal is its own no more
        eventually(t.is_raw, "the terminal is the program's again")
        t.type("\x03")
        t.expect("cancelled")
        t.expect("$ ")
        self.type(t, "echo code-$?")
        t.expect("code-130")

    def test_in_the_background_and_back(self):
        t = self.shell()
        self.type(t, "$ctl run -- sh -c 'echo go-2; read x; echo \"<$x>\"' &")
        t.expect("go-2")
        t.type("\n")
        t.expect("$ ")
        self.type(t, "fg")
        t.expect("run -- sh")
        eventually(t.is_raw, "it has the terminal")
        t.type("typed\n")
        t.expect("<typed>")
        t.expect("$ ")
        self.type(t, "echo code-$?")
        t.expect("code-0")

    def test_with_a_pager(self):
        t = self.shell()
        self.type(t, "$ctl run -- seq -f line-%g 1 100000 | less")
        t.expect("line-5")
        t.type("q")
        t.expect("$ ")
        self.type(t, "echo codes-${PIPESTATUS[@]}")
        t.expect("codes-141 0")
        self.assertEqual([], [p for p in harness.marked(self.d.mark) if p != t.pid])


if __name__ == "__main__":
    harness.main()
