# SPDX-License-Identifier: BSD-3-Clause
"""Runs the `ssi` program for tests."""
import json
import os
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["SSI_TEST_PROGRAM"]
SOURCE = os.environ["SSI_TEST_SOURCE"]
SANITIZED = os.environ.get("SSI_TEST_SANITIZER", "none") != "none"
FOREIGN = ("SSI_", "UCX_", "SLURM_", "OMPI_", "PMI_", "PMIX_")


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    def json(self):
        return json.loads(self.out)


class ProgramTest(unittest.TestCase):
    """Each test has an empty working directory, `self.here`, and says what it leaves there."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ssi-cli-")
        self.addCleanup(folder.cleanup)
        self.here = folder.name
        self.files = set()

    def tearDown(self):
        self.assertEqual(set(os.listdir(self.here)), self.files, "the program left files behind")

    def file(self, name, text):
        path = os.path.join(self.here, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        self.files.add(name)
        return path

    def environment(self, extra):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        kept.update(TMPDIR=self.here, XDG_RUNTIME_DIR=self.here, HOME=self.here, LC_ALL="C")
        kept.update(extra)
        return kept

    def run_ssi(self, *arguments, env=None, limits=None, wrapper=(), **more):
        """`limits`: called in the child before the program starts."""
        process = subprocess.run([*wrapper, PROGRAM, *arguments], cwd=self.here, text=True,
                                 env=self.environment(env or {}), preexec_fn=limits, timeout=120,
                                 stdin=subprocess.DEVNULL,
                                 **({"capture_output": True} | more))
        return Result(process)

    def assert_fails(self, result, code, *texts):
        self.assertEqual(result.code, code, result.out + result.err)
        for text in texts:
            self.assertIn(text, result.err)
        self.assertEqual(result.err.count("\n"), 1, "one error, one line:\n" + result.err)


def main():
    unittest.main(verbosity=2)
