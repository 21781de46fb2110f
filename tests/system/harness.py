# SPDX-License-Identifier: MIT
"""A real daemon for a test, and exact accounting of the processes it caused.

Every test class gets a private daemon (`asupersyncd --user`) in a directory of
its own. Everything started through it carries a mark in its environment, so
that at the end of each test the harness can prove that no process which the
test caused exists any more, however it forked, and that the daemon's control
group subtree holds nothing.

The programs are found through the environment: ASUPERSYNCD, ASUPERSYNCCTL,
ASUP_ACTOR (set by ctest).
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

DAEMON = os.environ.get("ASUPERSYNCD", "asupersyncd")
CTL = os.environ.get("ASUPERSYNCCTL", "asupersyncctl")
ACTOR = os.environ.get("ASUP_ACTOR", "actor")
PATIENCE = float(os.environ.get("ASUP_TEST_PATIENCE", "30"))
# In a shell, before /proc/PID/status: it runs. Who has ended and is only not reaped yet (Z, X) can
# still be found by kill -0, and does nothing any more.
RUNS = 'grep -q "^State:.[^ZX]"'
MARK = "ASUP_TEST_MARK"


def eventually(check, what, patience=None):
    """Poll until check() gives something true, and return it."""
    end = time.monotonic() + (patience or PATIENCE)
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("never happened: " + (what() if callable(what) else what))
        time.sleep(0.005)


def marked(mark):
    """Pids of all processes, zombies excepted, whose environment holds the mark."""
    needle = f"{MARK}={mark}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as f:
                if needle in f.read().split(b"\0"):
                    found.append(int(entry))
        except OSError:
            continue
    return found


def children(pid):
    """Pids of the living children of a process."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(p) for p in f.read().split()]
    return []


class Daemon:
    """One private daemon; ends with close(), which insists on a clean end."""

    def __init__(self, config="", options=(), env=None, mode=("--user",)):
        self.dir = tempfile.mkdtemp(prefix="asup.")
        os.chmod(self.dir, 0o711)
        self.runtime = os.path.join(self.dir, "run")
        self.state = os.path.join(self.dir, "state")
        self.config = os.path.join(self.dir, "config.yaml")
        self.mark = uuid.uuid4().hex
        with open(self.config, "w") as f:
            f.write(config)
        self.argv = [DAEMON, *mode, "--runtime-dir", self.runtime, "--state-dir", self.state,
                     "--config", self.config, "--foreground", *options]
        self.env = {**os.environ, **(env or {})}
        self.env.pop("NOTIFY_SOCKET", None)
        self.url = f"ipc://{self.runtime}/asupersyncd.sock"
        self.log = os.path.join(self.dir, "daemon.log")
        self.process = None
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        # Asked only once there is a socket: a client waits long for one that never comes.
        there = os.path.join(self.runtime, "asupersyncd.sock")
        eventually(lambda: self.process.poll() is not None or (os.path.exists(there) and self.answers()),
                   "the daemon is ready")
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.said()}")

    def answers(self):
        return subprocess.run([CTL, "--socket", self.url, "--json", "status"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def said(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def engine_pid(self):
        return self.json("status")["engine_pid"]

    def popen(self, *args, **options):
        env = {**os.environ, MARK: self.mark, "ASUPERSYNC_SOCKET": self.url}
        env.pop("ASUPERSYNC_REGION", None)
        env.update(options.pop("env", {}))
        return subprocess.Popen([CTL, *map(str, args)], env=env, text=True, **options)

    def ctl(self, *args, code=0, input=None, timeout=None, **options):
        """Run asupersyncctl; insists on the exit code (None: any)."""
        p = self.popen(*args, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        try:
            out, err = p.communicate(input, timeout=timeout or PATIENCE)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            raise AssertionError(f"asupersyncctl {' '.join(map(str, args))} hangs\n{out}\n{err}\n"
                                 f"{self.said()}") from None
        if code is not None and p.returncode != code:
            raise AssertionError(f"asupersyncctl {' '.join(map(str, args))}: exit {p.returncode}, "
                                 f"expected {code}\nstdout: {out}\nstderr: {err}")
        p.out, p.err = out, err
        return p

    def json(self, *args, code=0, **options):
        return json.loads(self.ctl("--json", *args, code=code, **options).out)

    def open(self, *args):
        return self.ctl("open", *args).out.strip()

    def submit(self, region, *command, options=()):
        return self.ctl("submit", "--in", region, "--env", f"{MARK}={self.mark}", *options, "--",
                        *command).out.strip()

    def actor(self, region, *steps, options=()):
        return self.submit(region, ACTOR, *steps, options=options)

    def task(self, task):
        return self.json("show", task)

    def state_of(self, id):
        return self.json("show", id)["state"]

    def outcome(self, id, code=None):
        """Wait for the end and give the outcome object."""
        p = self.ctl("--json", "wait", id, code=code)
        return json.loads(p.out)["outcome"]

    def path(self, name):
        return os.path.join(self.dir, name)

    def await_file(self, name):
        path = self.path(name)
        eventually(lambda: os.path.exists(path), f"{name} appears")
        with open(path) as f:
            return f.read().strip()

    def await_text(self, name):
        """What stands in the file, once something does: it exists before it is written."""
        path = self.path(name)

        def text():
            with contextlib.suppress(FileNotFoundError), open(path) as f:
                return f.read().strip()

        return eventually(text, f"{name} is written")

    def cgroup_processes(self):
        """Every pid below the daemon's tree."""
        tree = self.json("status").get("cgroup")
        found = []
        for at, _, _ in os.walk(tree) if tree else ():
            with contextlib.suppress(OSError):
                with open(os.path.join(at, "cgroup.procs")) as f:
                    found += [int(p) for p in f.read().split()]
        return found

    def assert_quiet(self):
        """No process that the test caused exists: R-REG-4."""
        eventually(lambda: not marked(self.mark),
                   lambda: f"processes left: {[(p, cmdline(p)) for p in marked(self.mark)]}", 5)

    def close(self):
        """Structured shutdown; nothing may be left of anything."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                try:
                    code = self.process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    raise AssertionError("the daemon does not end:\n" + self.said()) from None
                if code != 0:
                    raise AssertionError(f"the daemon ended with {code}:\n{self.said()}")
            self.assert_quiet()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            for pid in marked(self.mark):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.dir, ignore_errors=True)


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "gone"


class DaemonTest(unittest.TestCase):
    """A daemon for the class; each test closes what it opened and leaves nothing."""

    config = ""
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.d = Daemon(cls.config, cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.d.close()

    def tearDown(self):
        """Exact process accounting after every test."""
        tree = self.d.json("tree")
        for child in tree["children"]:
            self.d.ctl("cancel", child["id"], "--drain", "0s", code=None)
            self.d.ctl("wait", child["id"], code=None)
        self.assertEqual([], self.d.cgroup_processes())
        self.d.assert_quiet()


def main():
    """Runs the module's tests; ends with one plain line for whoever reads the log."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    sys.exit(0 if program.result.wasSuccessful() else 1)
