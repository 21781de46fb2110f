# SPDX-License-Identifier: MIT
"""The examples that need a daemon do what they say."""

import os
import subprocess
import unittest

import harness

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Examples(unittest.TestCase):
    def setUp(self):
        self.d = harness.Daemon()

    def tearDown(self):
        self.d.close()

    def run_example(self, name, *args, **env):
        path = os.path.dirname(os.path.abspath(harness.CTL)) + os.pathsep + os.environ["PATH"]
        p = subprocess.run([os.path.join(TOP, "examples", name), *args], text=True, capture_output=True,
                           timeout=120, env={**os.environ, "PATH": path, "ASUPERSYNC_SOCKET": self.d.url,
                                             harness.MARK: self.d.mark, **env})
        self.assertEqual(p.returncode, 0, p.stderr + self.d.said())
        return p.stdout

    def test_a_pipeline_counts_every_line_once(self):
        text = self.d.path("text")
        with open(text, "w") as f:
            for i in range(60):
                f.write("word " * (i % 7) + f"and {i}\n")
        with open(text) as f:
            words = len(f.read().split())
        self.assertEqual(int(self.run_example("pipeline/run", text)), words)
        self.assertEqual(int(self.run_example("pipeline/run", text, PIPELINE_KILLS="1")), words)

    def test_a_leader_is_followed_by_one_with_a_larger_token(self):
        ledger = self.d.path("ledger")
        said = self.run_example("leader/run", ledger)
        self.assertEqual(said.count("reign"), 3, said)
        with open(ledger) as f:
            lines = [line.split() for line in f]
        tokens = [int(token) for token, _ in lines]
        self.assertEqual(tokens, sorted(tokens))
        self.assertEqual(len(set(tokens)), 3, lines)
        for token in set(tokens):
            self.assertEqual(len({name for t, name in lines if int(t) == token}), 1, lines)


if __name__ == "__main__":
    unittest.main(verbosity=2)
