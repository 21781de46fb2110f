# SPDX-License-Identifier: MIT
"""asupersyncctl on a terminal of its own: a pty whose other side the test holds."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import harness  # noqa: E402


class Terminal:
    """Runs asupersyncctl, or another program, as the leader of a session with a controlling
    terminal."""

    def __init__(self, daemon, *args, program=None, stdout=None, size=(30, 90), env=None):
        argv = [program or harness.CTL, *map(str, args)]
        environ = {**os.environ, harness.MARK: daemon.mark, "ASUPERSYNC_SOCKET": daemon.url,
                   "TERM": "xterm", "LC_ALL": "C.UTF-8", **(env or {})}
        environ.pop("ASUPERSYNC_REGION", None)
        self.shown = b""
        self.status = None
        go, ready = os.pipe()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.read(go, 1)  # the window has its size
            if stdout is not None:
                os.dup2(stdout, 1)
            os.execvpe(argv[0], argv, environ)
        self.resize(*size)
        self.before = termios.tcgetattr(self.fd)
        os.write(ready, b".")
        os.close(go)
        os.close(ready)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def read_some(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], max(0, seconds))
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side is closed
            return False
        self.shown += data
        return bool(data)

    def expect(self, text, patience=None):
        """Wait until the text has been shown; what came before it is dropped."""
        wanted = text.encode()
        end = time.monotonic() + (patience or harness.PATIENCE)
        while wanted not in self.shown:
            if not self.read_some(end - time.monotonic()) and time.monotonic() >= end:
                raise AssertionError(f"never shown: {text!r}; shown: {self.shown!r}")
            if self.status is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.status = status if pid else None
            elif not self.read_some(0) and wanted not in self.shown:
                raise AssertionError(f"ended before {text!r}; shown: {self.shown!r}")
        before, self.shown = self.shown.split(wanted, 1)
        return before.decode(errors="replace")

    def shows(self, text, patience=0.5):
        """Whether the text is shown soon."""
        with contextlib.suppress(AssertionError):
            self.expect(text, patience)
            return True
        return False

    def modes(self):
        return termios.tcgetattr(self.fd)

    def is_raw(self):
        return not self.modes()[3] & termios.ICANON

    def stopped(self):
        """Wait until asupersyncctl has stopped itself."""
        harness.eventually(lambda: self.state() == "T", "asupersyncctl stops")

    def state(self, pid=None):
        with open(f"/proc/{pid or self.pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0]

    def end(self, code=None):
        """Everything that is shown until the end, after which the exit code must be that."""
        deadline = time.monotonic() + harness.PATIENCE
        while self.status is None:
            self.read_some(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
            elif time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"does not end; shown: {self.shown!r}")
        while self.read_some(0.05):
            pass
        shown = self.shown.decode(errors="replace")
        got = os.waitstatus_to_exitcode(self.status)
        if code is not None and got != code:
            raise AssertionError(f"exit {got}, expected {code}; shown: {shown!r}")
        return shown

    def kill(self):
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, 9)
                _, self.status = os.waitpid(self.pid, 0)

    def close(self):
        self.kill()
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
