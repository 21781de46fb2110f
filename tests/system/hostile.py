# SPDX-License-Identifier: MIT
"""Users who mean harm: to other users' regions, tasks, streams and time.

Tests of several users need root: the daemon runs in system mode in a private
directory, and its rules let the users 1 and 2 run tasks, who exist everywhere
and whom nobody uses.
"""

import array
import contextlib
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import harness
import wire
from harness import ACTOR, CTL, eventually

EINVALID, ENOTFOUND, EDENIED, EEXPIRED = -4, -5, -6, -12
ALICE, BOB = 1, 2
SECOND = 1_000_000_000


def wire_of(d, uid, hello=True):
    """A connection that the daemon takes for another user's."""
    with acting_as(uid):
        return wire.connect(d, hello=hello)


@contextlib.contextmanager
def acting_as(uid):
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def offer(d, fds, token):
    """Hand over three descriptors under a token."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(os.path.join(d.runtime, "stdio.sock"))
    s.sendmsg([token], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
    return s


@unittest.skipUnless(os.geteuid() == 0, "needs root: several users")
class Users(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rules = "/tmp/asup.rules." + str(os.getpid())
        with open(rules, "w") as f:
            f.write(f"allow {ALICE}-{BOB}\n")
        cls.addClassCleanup(os.unlink, rules)
        cls.d = harness.Daemon(mode=("--engine-user", "nobody", "--run-as", rules))
        cls.addClassCleanup(cls.d.close)
        # Where these users can reach it.
        cls.actor = shutil.copy(ACTOR, cls.d.path("actor"))

    def setUp(self):
        self.alice = wire_of(self.d, ALICE)
        self.bob = wire_of(self.d, BOB)
        self.addCleanup(self.bob.close)
        self.addCleanup(self.alice.close)
        self.region = self.alice.ok("region.open", {"drain_ns": SECOND})["region"]
        self.addCleanup(self.leave)

    def leave(self):
        self.alice.ok("region.close", {"region": self.region})
        self.alice.ok("region.wait", {"region": self.region})
        self.d.assert_quiet()

    def submit(self, who, region, *argv, **fields):
        return who.ok("task.submit", {"region": region, "argv": list(argv), "cwd": "/",
                                      "env": {harness.MARK: self.d.mark}, **fields})["task"]

    def output(self, who, task):
        who.ok("task.wait", {"task": task})
        return who.ok("task.logs", {"task": task, "offset": 0})["data"].decode()

    def test_what_is_anothers_is_not_there(self):
        task = self.submit(self.alice, self.region, self.actor, "forever")
        r, t = {"region": self.region}, {"task": task}
        self.alice.ok("task.wait", {**t, "until": "started"})
        program = {"argv": ["true"]}
        for op, args in (("region.stat", r), ("region.tree", r), ("region.wait", r), ("region.close", r),
                         ("region.open", {"parent": self.region}), ("task.submit", {**r, **program}),
                         ("finalizer.defer", {**r, **program}), ("task.stat", t), ("task.wait", t),
                         ("task.logs", t), ("task.cancel", t), ("task.checkpoint", t),
                         ("task.progress", {**t, "cost": 1}), ("task.list", r),
                         ("why", {"id": self.region}), ("why", {"id": task})):
            self.assertEqual(ENOTFOUND, self.bob.call(op, args)[0], op)
        self.assertEqual([], self.bob.ok("region.tree")["children"])
        self.assertEqual([], self.bob.ok("task.list", {})["tasks"])
        seen = self.bob.ok("events.watch", {"since": 0, "timeout_ns": 0, "limit": 1000})["events"]
        self.assertNotIn(self.region, json.dumps(seen))
        self.assertNotIn(f'"{task}"', json.dumps(seen))
        for op in ("daemon.shutdown", "daemon.drain", "daemon.reload", "daemon.upgrade"):
            self.assertEqual(EDENIED, self.bob.call(op)[0])
        self.assertEqual("running", self.alice.ok("task.stat", t)["state"])

    def test_what_another_holds_is_not_there(self):
        region = {"region": self.region}
        channel = self.alice.ok("channel.open", region)["channel"]
        message = self.alice.ok("channel.send", {"channel": channel, "data": b"private"})["message"]
        ack = self.alice.ok("channel.receive", {"channel": channel})["obligation"]
        lease = self.alice.ok("lease.acquire", {**region, "name": "n", "ttl_ns": 60 * SECOND})["obligation"]
        saga = self.alice.ok("saga.begin", region)["saga"]
        for op, args in (*((op, {"obligation": held}) for held in (ack, lease) for op in (
                              "obligation.commit", "obligation.abort", "channel.ack", "channel.nack",
                              "channel.abort", "channel.extend", "lease.renew", "lease.release")),
                         *((op, {"message": message}) for op in (
                             "channel.message", "channel.retry", "channel.discard")),
                         *((op, {"channel": channel}) for op in (
                             "channel.stat", "channel.receive", "channel.reserve", "channel.seal")),
                         *((op, {"saga": saga}) for op in (
                             "saga.stat", "saga.complete", "saga.abort", "saga.wait")),
                         *(("why", {"id": id}) for id in (ack, lease, channel, saga))):
            self.assertEqual(ENOTFOUND, self.bob.call(op, args)[0], (op, args))
        self.assertEqual(EINVALID, self.bob.call("why", {"id": message})[0])
        self.alice.ok("saga.complete", {"saga": saga})

    def test_anothers_secret_opens_nothing(self):
        thief = wire_of(self.d, BOB, hello=False)
        self.addCleanup(thief.close)
        self.assertEqual(EEXPIRED, thief.call("session.hello", {"secret": self.alice.secret})[0])
        thief.secret = self.alice.secret
        for op in ("region.open", "session.bye", "session.keepalive"):
            self.assertEqual(EEXPIRED, thief.call(op)[0], op)
        self.alice.ok("session.keepalive")

    def test_anothers_capability_is_good_for_nothing(self):
        """R-CAP-1: possession counts, but not another user's."""
        task = self.submit(self.alice, self.region, "/bin/sh", "-c", "echo $ASUPERSYNC_CX; exec sleep 60")
        said = eventually(lambda: self.alice.ok("task.logs", {"task": task, "offset": 0})["data"],
                          "it says its capability")
        token = bytes.fromhex(said.decode().strip())
        self.assertEqual("running", self.alice.ok("task.stat", {"task": task}, cx=token)["state"])
        for op, args in (("task.stat", {"task": task}), ("region.open", {}), ("region.close", {"region": self.region}),
                         ("cx.derive", {"rights": ["observe"]}), ("cx.list", {}), ("daemon.shutdown", {}),
                         ("obligation.reserve", {"region": self.region}), ("region.tree", {})):
            self.assertEqual(EDENIED, self.bob.call(op, args, cx=token)[0], op)
        # And one that she hands out as well.
        derived = self.alice.ok("cx.derive", {"region": self.region, "rights": ["observe", "cancel"]})
        self.assertEqual(EDENIED, self.bob.call("region.tree", {}, cx=derived["token"])[0])
        self.assertEqual(ENOTFOUND, self.bob.call("cx.revoke", {"cx": derived["cx"]})[0])
        self.assertEqual([], self.bob.ok("cx.list", {})["capabilities"])
        self.alice.ok("task.cancel", {"task": task, "drain_ns": 0}, cx=derived["token"])
        self.alice.ok("task.wait", {"task": task})
        self.assertEqual(EEXPIRED, self.alice.call("task.stat", {"task": task}, cx=token)[0])

    def test_a_task_of_roots_region_stays_who_it_is(self):
        """R-CAP-3: what it may by its capability, it does as its own user."""
        root = wire.connect(self.d)
        self.addCleanup(root.close)
        region = root.ok("region.open")["region"]
        task = self.submit(root, region, "/bin/sh", "-c", "echo $ASUPERSYNC_CX; exec sleep 60", user=str(ALICE))
        said = eventually(lambda: root.ok("task.logs", {"task": task, "offset": 0})["data"], "it says its capability")
        token = bytes.fromhex(said.decode().strip())
        made = self.alice.ok("task.submit", {"region": region, "argv": ["id", "-u"], "cwd": "/",
                                             "env": {harness.MARK: self.d.mark}}, cx=token)["task"]
        root.ok("task.wait", {"task": made})
        self.assertEqual(str(ALICE), root.ok("task.logs", {"task": made, "offset": 0})["data"].decode().strip())
        self.assertEqual(EDENIED, self.alice.call("task.submit", {"region": region, "argv": ["id"], "user": "root"},
                                                  cx=token)[0])
        self.assertEqual(ENOTFOUND, self.alice.call("region.stat", {"region": region})[0])
        self.assertEqual(EDENIED, self.bob.call("region.stat", {"region": region}, cx=token)[0])
        root.ok("region.close", {"region": region, "drain_ns": 0})
        root.ok("region.wait", {"region": region})

    def test_nobody_runs_as_another_or_as_root(self):
        mine = self.bob.ok("region.open")["region"]
        # Not even who there is: that may have to be asked of a server far away.
        for user in ("root", "0", str(ALICE), "nobody-of-that-name"):
            self.assertEqual(EDENIED, self.bob.call("task.submit", {"region": mine, "argv": ["id"],
                                                                    "user": user})[0])
        self.bob.ok("region.close", {"region": mine})

    def test_a_task_has_its_users_rights_and_no_descriptor_more(self):
        text = self.output(self.alice, self.submit(
            self.alice, self.region, "/bin/sh", "-c", "cat /proc/self/status; ls -l /proc/self/fd; id -G"))
        status = dict(line.split(":", 1) for line in text.splitlines() if ":\t" in line)
        self.assertEqual([str(ALICE)] * 4, status["Uid"].split())
        for sort in ("CapInh", "CapPrm", "CapEff", "CapAmb", "SigBlk", "SigIgn"):
            self.assertEqual(0, int(status[sort], 16), sort)
        groups = subprocess.run(["id", "-G", str(ALICE)], capture_output=True, text=True, check=True).stdout
        self.assertEqual(sorted(groups.split()), sorted(text.splitlines()[-1].split()))
        # 0, 1, 2, and the directory that ls itself reads.
        self.assertEqual(4, text.count(" -> "), text)

    def test_the_tree_of_control_groups_and_the_daemon_are_out_of_reach(self):
        tree = self.d.json("status")["cgroup"]
        if not tree:
            self.skipTest("no control groups")
        script = (f"for f in {tree}/cgroup.procs {tree}/../cgroup.procs {tree}/cgroup.kill "
                  f"{tree}/{self.region}/$ASUPERSYNC_TASK/cgroup.freeze; do echo $$ >$f && exit 1; done; "
                  f"kill -9 {self.d.process.pid} && exit 2; kill -9 {self.d.engine_pid()} && exit 3; "
                  f"ls {self.d.state}/logs && exit 4; ls {self.d.state}/work && exit 5; exit 0")
        task = self.submit(self.alice, self.region, "/bin/sh", "-c", script)
        self.assertEqual(0, self.alice.ok("task.wait", {"task": task})["outcome"]["exit_code"])

    def test_streams_go_to_their_own_user_only(self):
        token = os.urandom(16)
        r, w = os.pipe()
        with acting_as(ALICE):
            s = offer(self.d, [r, w, w], token)
        os.close(w)
        mine = self.bob.ok("region.open")["region"]
        stolen = self.submit(self.bob, mine, "echo", "stolen", stdio=token)
        outcome = self.bob.ok("task.wait", {"task": stolen})["outcome"]
        self.assertEqual("stdio", outcome["error"]["stage"])
        self.bob.ok("region.close", {"region": mine})
        self.submit(self.alice, self.region, "echo", "mine", stdio=token)
        self.assertEqual(b"mine\n", os.read(r, 100))
        s.close()
        os.close(r)

    def test_many_processes_of_one_do_not_hold_up_another(self):
        """Signalling a task takes time in proportion to its processes."""
        task = self.submit(self.alice, self.region, self.actor, "children", "2000", "forever")
        eventually(lambda: len(self.d.cgroup_processes()) > 2000, "they are there")
        mine = self.bob.ok("region.open")["region"]
        self.alice.ok("task.cancel", {"task": task})
        began = time.monotonic()
        self.bob.ok("task.wait", {"task": self.submit(self.bob, mine, "true")})
        self.assertLess(time.monotonic() - began, 5)
        self.alice.ok("task.wait", {"task": task})
        self.bob.ok("region.close", {"region": mine})


class Streams(harness.DaemonTest):
    """What `run` passes on, whole, and to whom it belongs."""

    def test_an_offer_ends_with_its_client(self):
        r, w = os.pipe()
        s = offer(self.d, [r, w, w], os.urandom(16))
        os.close(w)
        # Until the engine has seen the token, too.
        self.assertEqual([], select.select([r], [], [], 0.2)[0])
        s.close()
        self.assertEqual([r], select.select([r], [], [], 10)[0], "nobody holds the other end")
        self.assertEqual(b"", os.read(r, 1))
        os.close(r)

    def test_a_flood_of_offers_leaves_room_for_others(self):
        kept = []
        r, w = os.pipe()
        for _ in range(600):
            with contextlib.suppress(OSError):
                kept.append(offer(self.d, [r, w, w], os.urandom(16)))
        self.d.json("status")
        for s in kept:
            s.close()
        os.close(r)
        os.close(w)
        eventually(lambda: self.d.ctl("run", "--", "echo", "on", code=None).out == "on\n",
                   "streams are handed over again")

    def test_much_data_both_ways_is_whole(self):
        env = {**os.environ, "ASUPERSYNC_SOCKET": self.d.url}
        env.pop("ASUPERSYNC_REGION", None)
        p = subprocess.Popen([CTL, "run", "--", "cat"], env=env, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        block = os.urandom(1 << 20)
        sent = hashlib.sha256()

        def feed():
            for _ in range(20):
                p.stdin.write(block)
                sent.update(block)
            p.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        got = hashlib.sha256(p.stdout.read())
        feeder.join()
        self.assertEqual(0, p.wait(harness.PATIENCE))
        self.assertEqual(sent.hexdigest(), got.hexdigest())
        p.stdout.close()


class Runs(harness.DaemonTest):
    def shell(self, script):
        env = {**os.environ, "ASUPERSYNC_SOCKET": self.d.url, harness.MARK: self.d.mark, "RUN": f"{CTL} run"}
        env.pop("ASUPERSYNC_REGION", None)
        return subprocess.run(["/bin/sh", "-c", script], env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=harness.PATIENCE)

    def test_closed_descriptors(self):
        for closed, code in (("<&-", 3), (">&-", 3), ("2>&-", 3), ("<&- >&- 2>&-", 3)):
            self.assertEqual(code, self.shell(f"$RUN -- sh -c 'exit 3' {closed}").returncode, closed)

    def test_nothing_is_written_where_no_output_is(self):
        p = self.shell(f"{CTL} tree >&-")
        self.assertEqual((1, True), (p.returncode, "Bad file descriptor" in p.stderr), p.stderr)

    def test_a_reader_that_leaves(self):
        self.assertEqual("y\n", self.shell("$RUN -- yes | head -1").stdout)

    def test_run_in_run_in_run(self):
        self.assertEqual(7, self.shell("$RUN -- $RUN -- $RUN -- sh -c 'exit 7'").returncode)

    def test_one_wish_in_two_signals_is_no_kill(self):
        """As timeout(1) signals its child and then its group. Here it is stopped
        meanwhile, so that it finds both at once; two of a kind would be one."""
        p = self.d.popen("run", "--drain", "1h", "--", ACTOR, "mark", "TERM", self.d.path("asked"),
                         "pid", self.d.path("up"), "forever", stdin=subprocess.DEVNULL,
                         stderr=subprocess.PIPE)
        self.d.await_file("up")
        p.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, p.pid, os.WSTOPPED)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
            p.send_signal(number)
        _, err = p.communicate(timeout=harness.PATIENCE)
        self.assertEqual(130, p.returncode)
        self.assertNotIn("killed", err.splitlines()[-1])
        self.assertTrue(self.d.await_file("asked"))

    def test_killed_at_any_stage_nothing_is_left(self):
        for pause_ms in range(0, 30, 3):
            p = self.d.popen("run", "--env", f"{harness.MARK}={self.d.mark}", "--", ACTOR, "forever",
                             stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(pause_ms / 1000)
            p.kill()
            p.wait()
        eventually(lambda: not harness.marked(self.d.mark), "all are gone", 20)


if __name__ == "__main__":
    harness.main()
