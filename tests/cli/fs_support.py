# SPDX-License-Identifier: BSD-3-Clause
"""Runs `ssi fs` for tests: on volumes below the test's directory, or on a running session."""
import filecmp
import os
import random
import shutil
import subprocess

from support import PROGRAM, ProgramTest, Result

MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "pml", "ob1",
          "--mca", "btl", "self,vader", "--mca", "btl_base_warn_component_unused", "0"]
ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
USAGE, NOT_FOUND, EXISTS, MISMATCH, IO = 2, 43, 44, 45, 54


class FsTest(ProgramTest):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("vol"))

    def tearDown(self):
        for name in os.listdir(self.here):
            if os.path.isdir(self.path(name)) and not os.path.islink(self.path(name)):
                shutil.rmtree(self.path(name), ignore_errors=True)
            else:
                os.unlink(self.path(name))
        super().tearDown()

    def environment(self, extra):
        """Other sessions of this machine's user are not seen."""
        return super().environment(extra | {"SSI_CONTROL_DIRECTORY": self.path("run")})

    def path(self, *parts):
        return os.path.join(self.here, *parts)

    def command(self, ranks, *arguments):
        launcher = [*MPIRUN, "-n", str(ranks)] if ranks else []
        return [*launcher, PROGRAM, "fs", *self.where(), *arguments]

    def where(self):
        return ["--volume", self.path("vol", "%n")]

    def fs(self, *arguments, ranks=0):
        process = subprocess.run(self.command(ranks, *arguments), cwd=self.here, timeout=120,
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                 env=self.environment(ROOT), check=False)
        return Result(process)

    def good(self, *arguments, ranks=0):
        result = self.fs(*arguments, ranks=ranks)
        self.assertEqual(result.code, 0, result.out + result.err)
        self.assertEqual(result.err, "")
        return result

    def bad(self, code, text, *arguments, ranks=0):
        """Exactly one line of ours, however many ranks there are."""
        result = self.fs(*arguments, ranks=ranks)
        self.assertEqual(result.code, code, result.out + result.err)
        errors = [line for line in result.err.splitlines() if line.startswith("ssi: ")]
        self.assertEqual(len(errors), 1, result.err)
        self.assertIn(text, errors[0])

    def tree(self, name="src", large=3_000_000):
        """Files of many sizes, directories, links, a hole, names that are not UTF-8."""
        chance = random.Random(7)
        for folder in ("", "a", "a/b", "empty"):
            os.makedirs(self.path(name, folder), exist_ok=True)
        sizes = {"nothing": 0, "a/one": 1, "a/inline": 3993, "a/page": 65536, "a/b/odd": 65537,
                 "large": large}
        for file, size in sizes.items():
            with open(self.path(name, file), "wb") as out:
                for at in range(0, size, 1 << 20):
                    out.write(chance.randbytes(min(1 << 20, size - at)))
        with open(self.path(name, "hole"), "wb") as out:
            out.truncate(9_000_000)
            out.seek(5_000_000)
            out.write(b"middle")
        for i in range(100):
            with open(self.path(name, "a/b", f"f{i}"), "w", encoding="utf-8") as out:
                out.write(f"file {i}\n" * i)
        with open(os.path.join(self.path(name).encode(), b"not\xffutf8"), "wb") as out:
            out.write(b"bytes")
        os.symlink("../large", self.path(name, "a", "link"))
        os.symlink("nowhere", self.path(name, "dangling"))
        os.chmod(self.path(name, "a/one"), 0o640)
        os.chmod(self.path(name, "empty"), 0o711)
        os.utime(self.path(name, "a/one"), ns=(10**18, 10**18 + 123456789))
        return self.path(name)

    def assert_same(self, one, other):
        names = [sorted(os.listdir(os.fsencode(tree))) for tree in (one, other)]
        self.assertEqual(*names)
        for name in os.listdir(one):
            mine, theirs = os.path.join(one, name), os.path.join(other, name)
            if os.path.islink(mine):
                self.assertEqual(os.readlink(mine), os.readlink(theirs))
            elif os.path.isdir(mine):
                self.assert_same(mine, theirs)
            else:
                self.assertTrue(filecmp.cmp(mine, theirs, shallow=False), name)
            if not os.path.islink(mine):
                self.assertEqual(os.stat(mine).st_mode, os.stat(theirs).st_mode, name)
