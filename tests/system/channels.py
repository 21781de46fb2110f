# SPDX-License-Identifier: MIT
"""Channels between real processes: nothing is lost, whoever dies."""

import base64
import json
import os
import signal
import subprocess

import harness
from harness import DaemonTest, eventually


class Channels(DaemonTest):
    config = "sessions:\n  ttl: 1s\n"

    def channel(self, *options):
        """A fresh region with one channel: its path."""
        region = self.d.open()
        path = f"/{region}/mail"
        self.d.ctl("channel", "open", *options, path)
        return path

    def send(self, channel, *texts):
        return [self.d.ctl("send", channel, text).out.strip() for text in texts]

    def stat(self, channel):
        return self.d.json("channel", "stat", channel)

    def receive(self, channel, *args, **options):
        return self.d.ctl("receive", "--timeout", "10s", channel, *args, **options)

    def close(self, channel, code=0):
        self.d.ctl("close", channel.split("/")[1], code=code)

    def test_two_senders_three_receivers_one_killed(self):
        channel = self.channel("--capacity", "20")
        log = self.d.path("received")
        os.mkdir(log)
        # Each message becomes a file of its own name: mkdir would fail the second time.
        done = f'm=$(cat); mkdir "{log}/$m" || exit 1'
        stuck = f'touch "{log}.stuck"; exec sleep 1000'
        victim = self.d.popen("receive", "--count", "0", channel, "--", "sh", "-c", stuck,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        senders = []
        for name in "ab":
            p = self.d.popen("send", "--lines", channel, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
            senders.append((name, p))
        for name, p in senders:
            p.stdin.write("".join(f"{name}{i}\n" for i in range(60)))
            p.stdin.close()
        self.d.await_file("received.stuck")
        receivers = [self.d.popen("receive", "--count", "0", channel, "--", "sh", "-c", done,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                     for _ in range(2)]
        command = harness.children(victim.pid)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        for pid in command:
            os.kill(pid, signal.SIGKILL)
        for _, p in senders:
            p.stdout.read()
            self.assertEqual(0, p.wait())
            p.stdout.close()
        self.d.ctl("channel", "seal", channel)
        for p in receivers:
            _, err = p.communicate(timeout=harness.PATIENCE)
            self.assertEqual((0, ""), (p.returncode, err))
        wanted = sorted(f"{name}{i}" for name in "ab" for i in range(60))
        self.assertEqual(wanted, sorted(os.listdir(log)))
        stat = self.stat(channel)
        self.assertEqual((120, 120, 0, 0), (stat["sent"], stat["consumed"], stat["queued"], stat["dead"]))
        self.close(channel)

    def test_poison_kills_its_receivers_and_is_put_aside(self):
        channel = self.channel("--nacks-max", "3")
        poison, good = self.send(channel, "poison", "good")
        for i in range(3):
            victim = self.d.popen("receive", channel, "--", "sh", "-c",
                                       f'cat; touch "{self.d.path("eaten")}{i}"; exec sleep 1000',
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.d.await_file(f"eaten{i}")
            command = harness.children(victim.pid)
            victim.kill()
            victim.wait()
            for pid in command:
                os.kill(pid, signal.SIGKILL)
            eventually(lambda n=i: self.d.json("dead", "show", poison)["deaths"] == n + 1,
                       "the death of a receiver is counted")
        dead = self.d.json("dead", "list", "--channel", channel)["messages"]
        self.assertEqual([poison], [m["id"] for m in dead])
        self.assertEqual(("death", 3), (dead[0]["dead_why"], len(dead[0]["history"])))
        self.assertEqual("good", self.receive(channel).out)
        self.assertEqual("poison", self.d.ctl("dead", "show", "--raw", poison).out)
        self.d.ctl("dead", "retry", poison)
        self.assertEqual("poison", self.receive(channel).out)
        self.close(channel)

    def test_a_task_needs_nothing_but_the_command_line(self):
        """Acks are the task's: one command of its script receives, another acks."""
        channel = self.channel()
        region = channel.split("/")[1]
        self.send(channel, "one", "two")
        out = self.d.path("script")
        ctl = harness.CTL
        script = (f'set -e; a=$("{ctl}" receive --no-ack --json {channel} | sed "s/.*\\(o[0-9]*\\).*text.*/\\1/"); '
                  f'"{ctl}" ack $a; "{ctl}" receive --no-ack {channel} > "{out}.tmp"; mv "{out}.tmp" "{out}"; '
                  'exec sleep 1000')
        task = self.d.submit(region, "sh", "-c", script)
        self.d.await_file("script")
        stat = self.stat(channel)
        self.assertEqual((1, 1, 0), (stat["consumed"], stat["unacked"], stat["queued"]))
        # The task ends while it holds the second ack: leaked, and back in its place.
        self.d.ctl("cancel", "--drain", "0s", task)
        eventually(lambda: self.stat(channel)["queued"] == 1, "the ack of an ended task is given back")
        got = self.d.json("receive", "--timeout", "5s", channel)
        self.assertEqual(("two", 2), (got["text"], got["deliveries"]))
        self.close(channel)

    def test_what_was_not_consumed_is_kept_when_the_region_closes(self):
        channel = self.channel()
        region = channel.split("/")[1]
        ids = self.send(channel, "left 1", "left 2")
        waiter = self.d.popen("wait", region, "--json", stdout=subprocess.PIPE)
        self.d.ctl("close", region)
        outcome = json.loads(waiter.communicate(timeout=harness.PATIENCE)[0])["outcome"]
        self.assertEqual(("err", "unconsumed"), (outcome["outcome"], outcome["error"]["stage"]))
        self.assertEqual(2, self.d.json("show", region)["unconsumed"])
        dead = self.d.json("dead", "list", "--in", region)["messages"]
        self.assertEqual([(i, "closed") for i in ids], [(m["id"], m["dead_why"]) for m in dead])
        told = [json.loads(line) for line in self.d.ctl("--json", "events", "--since", "0").out.splitlines()]
        self.assertEqual([("message-dead", i, "closed") for i in ids],
                         [(e["event"], e["message"], e["kind"]) for e in told if e["event"] == "message-dead"
                          and e["message"] in ids])
        self.assertLessEqual(2, self.d.json("status")["dead_letters"])
        other = self.channel()
        self.d.ctl("dead", "retry", "--to", other, *ids)
        self.assertEqual("left 1left 2", self.receive(other).out + self.receive(other).out)
        self.close(other)

    def test_why_a_sender_waits(self):
        channel = self.channel("--capacity", "1")
        env = {"ASUPERSYNC_SESSION": self.d.ctl("session", "--ttl", "1m").out.strip()}
        self.send(channel, "x")
        ack = self.receive(channel, "--no-ack", env=env).out.split("\n")[0]
        sender = self.d.popen("send", channel, "y", stdout=subprocess.DEVNULL)
        eventually(lambda: self.stat(channel)["senders"] == 1, "the sender waits")
        for name in (channel, self.stat(channel)["id"]):
            why = self.d.json("why", name)
            self.assertEqual(["channel", "obligation", "session"], [link["kind"] for link in why["chain"]])
            self.assertIn("1 wait for room", why["chain"][0]["note"])
            self.assertEqual(ack, why["chain"][1]["id"])
        self.d.ctl("ack", ack, env=env)
        self.assertEqual(0, sender.wait())
        self.close(channel)

    def test_bytes_of_any_kind(self):
        channel = self.channel()
        whole = bytes(range(256)) * 100
        path = self.d.path("blob")
        with open(path, "wb") as f:
            f.write(whole)
        self.d.ctl("send", "--input", path, channel)
        got = self.d.json("receive", channel)
        self.assertEqual(whole, base64.b64decode(got["data"]))
        self.assertNotIn("text", got)
        self.d.ctl("send", channel, "", code=0)
        self.assertEqual("", self.receive(channel).out)
        big = self.d.ctl("send", channel, input="x" * (2 << 20), code=125)
        self.assertIn("too-large", big.err)
        self.close(channel)

    def test_exit_codes_and_sessions(self):
        channel = self.channel("--capacity", "1", "--ack-timeout", "300ms")
        self.d.ctl("receive", "--timeout", "0s", channel, code=75)
        self.send(channel, "x")
        full = self.d.ctl("send", "--timeout", "0s", channel, "y", code=125)
        self.assertIn("channel-capacity", full.err)
        self.d.ctl("send", "--timeout", "50ms", channel, "y", code=75)
        self.assertEqual(3, self.receive(channel, "--", "sh", "-c", "exit 3", code=3).returncode)
        self.assertEqual(137, self.receive(channel, "--", "sh", "-c", "kill -9 $$", code=137).returncode)
        # A command may take longer than the ack's time: it is extended.
        self.receive(channel, "--", "sh", "-c", "sleep 1")
        self.assertEqual(1, self.stat(channel)["consumed"])
        self.send(channel, "y")
        env = {"ASUPERSYNC_SESSION": self.d.ctl("session", "--ttl", "1m").out.strip()}
        ack, data = self.receive(channel, "--no-ack", env=env).out.split("\n")
        self.assertEqual("y", data)
        self.assertIn("denied", self.d.ctl("ack", ack, code=125).err)
        self.d.ctl("ack", "--extend", "1m", ack, env=env)
        self.d.ctl("ack", ack, env=env)
        self.assertIn("resolved", self.d.ctl("ack", ack, env=env, code=125).err)
        self.send(channel, "z")
        ack = self.receive(channel, "--no-ack", env=env).out.split("\n")[0]
        eventually(lambda: self.stat(channel)["queued"] == 1, "an ack runs out of time")
        self.assertIn("expired", self.d.ctl("ack", ack, env=env, code=125).err)
        self.d.ctl("channel", "seal", channel)
        self.assertEqual("z\n", self.receive(channel, "--count", "0").out)
        self.d.ctl("receive", channel, code=1)
        for wrong in (["receive"], ["send"], ["channel", "frob"], ["dead", "retry"], ["ack"],
                      ["receive", "--no-ack", channel, "--", "cat"]):
            self.d.ctl(*wrong, code=64)
        self.close(channel)


if __name__ == "__main__":
    harness.main()
