# SPDX-License-Identifier: BSD-3-Clause
"""`ssi fs` on the volumes of stopped sessions, alone and under mpirun."""
import filecmp
import os
import random
import shutil
import signal
import subprocess
import time

from support import PROGRAM, ProgramTest, Result, main

MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "pml", "ob1",
          "--mca", "btl", "self,vader", "--mca", "btl_base_warn_component_unused", "0"]
ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
USAGE, NOT_FOUND, EXISTS, IO = 2, 43, 44, 54


class Fs(ProgramTest):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("vol"))

    def tearDown(self):
        for name in os.listdir(self.here):
            shutil.rmtree(self.path(name), ignore_errors=True)
        super().tearDown()

    def path(self, *parts):
        return os.path.join(self.here, *parts)

    def command(self, ranks, *arguments):
        launcher = [*MPIRUN, "-n", str(ranks)] if ranks else []
        return [*launcher, PROGRAM, "fs", "--volume", self.path("vol", "%n"), *arguments]

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

    def make(self, ranks=0):
        self.good("--create", "mkdir", "/made", ranks=ranks)

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

    # ---- names

    def test_directories_are_made_listed_renamed_and_removed(self):
        self.make()
        self.good("mkdir", "-p", "/x/y/z")
        self.good("mkdir", "-p", "/x/y/z")
        self.good("mkdir", "--mode", "700", "/x/private")
        self.assertEqual(self.good("ls", "/x").out, "private\ny\n")
        self.assertTrue(self.good("ls", "-l", "/x").out.startswith("drwx------ "))
        self.assertEqual(self.good("ls", "-R", "/x").out,
                         "/x:\nprivate\ny\n\n/x/private:\n\n/x/y:\nz\n\n/x/y/z:\n")
        self.good("mv", "/x/private", "/made", "/x/y")
        self.assertEqual(self.good("ls", "/x/y").out, "made\nprivate\nz\n")
        self.bad(IO, "/x: is a directory", "rm", "/x")
        self.good("rm", "-r", "/x")
        self.good("rm", "-f", "/x")
        self.assertEqual(self.good("ls").out, "")

    def test_what_two_ranks_made_one_and_three_find(self):
        self.make(ranks=2)
        self.assertEqual(sorted(os.listdir(self.path("vol"))), ["0", "1"])
        for ranks in (0, 1, 3):
            self.assertEqual(self.good("ls", ranks=ranks).out, "made\n")

    def test_json_has_every_attribute(self):
        self.make()
        source = self.tree(large=100)
        self.good("cp", "-r", "-p", source, "fs:/copy")
        found = {entry["path"]: entry for entry in self.good("ls", "--json", "/copy/a").json()}
        one = found["/copy/a/one"]
        self.assertEqual((one["type"], one["size"], one["mode"], one["links"]),
                         ("file", 1, "0640", 1))
        self.assertEqual(one["modify_ns"], 10**18 + 123456789)
        self.assertEqual(found["/copy/a/b"]["type"], "directory")
        self.assertIn("/copy/not\\xffutf8",
                      [entry["path"] for entry in self.good("ls", "--json", "/copy").json()])
        link = self.good("stat", "--json", "/copy/a/link").json()[0]
        self.assertEqual((link["type"], link["target"]), ("symlink", "../large"))

    def test_stat_shows_which_volume_has_what(self):
        self.make(ranks=2)
        self.good("setstripe", "--unit", "64K", "--count", "2", "/made")
        with open(self.path("file"), "wb") as out:
            out.write(bytes(range(256)) * 2048)   # 512 KiB
        self.good("cp", "file", "fs:/made/file", ranks=2)
        os.unlink(self.path("file"))
        found = self.good("stat", "--json", "/made/file", ranks=2).json()[0]
        self.assertEqual((found["unit_bytes"], found["count"]), (65536, 2))
        self.assertEqual([part["bytes"] for part in found["volumes"]], [262144, 262144])
        text = self.good("stat", "/made/file", ranks=2).out
        self.assertIn("volume 1 of node 1", text)
        striped = self.good("getstripe", "--json", "-R", "/made").json()
        self.assertEqual([entry["path"] for entry in striped], ["/made", "/made/file"])
        cache = self.good("cache", "--json", ranks=2).json()
        self.assertEqual((cache["files"], cache["bytes"]), (1, 524288))

    def test_df_counts_volumes_and_inodes(self):
        self.make(ranks=2)
        found = self.good("df", "--json").json()
        self.assertEqual(len(found["volumes"]), 2)
        self.assertGreaterEqual(found["total_bytes"], found["free_bytes"])
        self.assertIn("volume 1", self.good("df").out)

    # ---- copying

    def test_a_tree_goes_in_and_comes_out_the_same(self):
        source = self.tree()
        for ranks in (0, 2):
            self.good("--create", "cp", "-r", source, "fs:/copy", ranks=ranks)
            self.good("cp", "-r", "-p", "fs:/copy", "out", ranks=ranks)
            self.assert_same(source, self.path("out"))
            self.good("cp", "-r", "fs:/copy", "fs:/again", ranks=ranks)
            self.good("cp", "-r", "fs:/again", "out2", ranks=ranks)
            self.assert_same(source, self.path("out2"))
            self.assertEqual(self.good("check", ranks=ranks).out.count("no fault"), 1)
            self.assertIn("no fault", self.good("scrub", ranks=ranks).out)
            for name in ("out", "out2", "vol"):
                shutil.rmtree(self.path(name))
            os.mkdir(self.path("vol"))

    def test_what_is_there_is_compared_and_not_written_again(self):
        source = self.tree()
        first = self.good("--create", "cp", "--json", "-r", source, "fs:/copy", ranks=2).json()
        self.assertEqual((first["copied_bytes"], first["present_bytes"]), (first["bytes"], 0))
        self.assertEqual(first["verified_bytes"], first["bytes"])
        again = self.good("cp", "--json", "-r", source, "fs:/copy", ranks=2).json()
        self.assertEqual((again["copied_bytes"], again["present_bytes"]), (0, again["bytes"]))
        # One byte differs, at the same size; a file that is longer than its source.
        with open(self.path("src", "large"), "r+b") as file:
            file.seek(1_000_000)
            file.write(b"!")
        os.truncate(self.path("src", "a", "page"), 10)
        third = self.good("cp", "--json", "-r", source, "fs:/copy", ranks=2).json()
        self.assertEqual(third["copied_bytes"], 3_000_000)
        self.good("cp", "-r", "-p", "fs:/copy", "out")
        self.assert_same(source, self.path("out"))

    def test_an_interrupted_copy_goes_on(self):
        source = self.tree(large=300_000_000)
        self.make(ranks=2)
        with subprocess.Popen(self.command(2, "cp", "-r", "--progress", source, "fs:/copy"),
                              cwd=self.here, env=self.environment(ROOT), start_new_session=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as job:
            for line in job.stderr:   # some of it is copied
                if " copied" in line and not line.startswith("ssi: 0 "):
                    break
            os.killpg(job.pid, signal.SIGKILL)
            job.wait(60)
        subprocess.run(["sh", "-c", "sleep 1"], check=True)   # ranks hear of mpirun's death
        self.wait_for_volumes()
        done = self.good("cp", "--json", "-r", source, "fs:/copy", ranks=2).json()
        self.assertEqual(done["copied_bytes"] + done["present_bytes"], done["bytes"])
        self.good("cp", "-r", "-p", "fs:/copy", "out", ranks=2)
        self.assert_same(source, self.path("out"))
        self.assertIn("no fault", self.good("check", ranks=2).out)

    def wait_for_volumes(self):
        end = time.monotonic() + 30
        while self.fs("df", ranks=2).code != 0:
            self.assertLess(time.monotonic(), end, "the volumes stay in use")
            time.sleep(0.5)

    def test_a_copy_that_is_not_whole_is_a_failure(self):
        self.tree(large=5_000_000)
        self.good("--create", "cp", "src/large", "fs:/large")
        for ranks in (0, 2):
            self.bad(IO, "ENOSPC", "cp", "fs:/large", "/dev/full", ranks=ranks)
        self.bad(NOT_FOUND, "/missing", "cp", "fs:/missing", "out")
        result = self.fs("cp", "src/a/one", "src/missing", "fs:/made/", ranks=2)
        self.assertEqual(result.code, NOT_FOUND, result.err)
        self.assertEqual(self.good("ls", "/made").out, "one\n")   # the rest is copied

    def test_copies_that_make_no_sense_are_refused(self):
        self.make()
        self.tree(large=10)
        self.bad(USAGE, "fs:/PATH", "cp", "src/large", "elsewhere", ranks=2)
        self.bad(IO, "-r copies it", "cp", "src", "fs:/x")
        self.bad(USAGE, "into itself", "cp", "-r", "fs:/made", "fs:/made/below")
        self.good("cp", "src/large", "fs:/file")
        self.bad(IO, "is no directory", "cp", "src/large", "src/hole", "fs:/file")
        self.bad(USAGE, "the same file", "cp", "fs:/file", "fs:/made/../file")

    def test_cat_prints_bytes_and_says_when_they_are_lost(self):
        self.tree(large=2_500_000)
        self.good("--create", "cp", "src/large", "src/a/one", "fs:/made/")
        with open(self.path("printed"), "wb") as out:
            done = subprocess.run(self.command(2, "cat", "/made/large"), stdout=out, check=False,
                                  env=self.environment(ROOT), timeout=60)
        self.assertEqual(done.returncode, 0)
        self.assertTrue(filecmp.cmp(self.path("printed"), self.path("src", "large"),
                                    shallow=False))
        os.unlink(self.path("printed"))
        with open("/dev/full", "wb") as full:
            done = subprocess.run(self.command(0, "cat", "/made/large"), stdout=full, check=False,
                                  env=self.environment(ROOT), stderr=subprocess.PIPE, text=True,
                                  timeout=60)
        self.assertEqual(done.returncode, IO)
        self.assertIn("cannot write to standard output", done.stderr)

    # ---- damage

    def test_scrub_names_every_page_that_is_damaged(self):
        chance = random.Random(5)
        os.mkdir(self.path("src"))
        content = {f"f{i}": chance.randbytes(400_000) for i in range(10)}
        for name, data in content.items():
            with open(self.path("src", name), "wb") as out:
                out.write(data)
        self.good("--create", "cp", "-r", "src", "fs:/copy", ranks=2)
        damaged = set()
        for folder, _, names in os.walk(self.path("vol")):
            for segment in (os.path.join(folder, name) for name in names):
                with open(segment, "rb") as file:
                    stored = file.read()
                for name, data in content.items():
                    place = chance.randrange(len(data) - 16)
                    at = stored.find(data[place:place + 16])
                    if at < 0:
                        continue
                    with open(segment, "r+b") as file:
                        file.seek(at)
                        file.write(bytes([stored[at] ^ 4]))
                    damaged.add(f"/copy/{name}, from byte {place // 65536 * 65536}: ")
        self.assertGreaterEqual(len(damaged), 5)
        result = self.fs("scrub", "--json", ranks=2)
        self.assertEqual(result.code, IO, result.err)
        said = [line for line in result.err.splitlines() if line.startswith("ssi: ")]
        for where in damaged:
            self.assertEqual(sum(where in line for line in said), 1, where + result.err)
        self.assertEqual(result.json()["faults"], len(damaged))
        self.assertEqual(result.json()["files"], 10)

    # ---- mistakes

    def test_mistakes_are_one_line_however_many_ranks_there_are(self):
        self.make(ranks=2)
        for ranks in (0, 2):
            self.bad(NOT_FOUND, "/nowhere", "ls", "/nowhere", ranks=ranks)
            self.bad(EXISTS, "/made", "mkdir", "/made", ranks=ranks)
            self.bad(USAGE, "frobnicate", "frobnicate", ranks=ranks)
            self.bad(USAGE, "power of two", "setstripe", "--unit", "3M", "/made", ranks=ranks)
            self.bad(USAGE, "--cache much", "--cache", "much", "ls", ranks=ranks)
        self.bad(NOT_FOUND, "/nowhere", "cat", "/nowhere")
        self.bad(USAGE, "PATH", "rm")
        self.bad(USAGE, "FROM... TO", "mv", "/made")
        self.bad(USAGE, "--mode 9", "mkdir", "--mode", "9", "/x")
        self.bad(USAGE, "--count 0", "setstripe", "--count", "0", "/made")
        self.bad(USAGE, "--placement up", "setstripe", "--placement", "up", "/made")
        self.bad(USAGE, "is needed", "setstripe", "/made")
        self.assert_fails(self.run_ssi("fs"), USAGE, "a verb of fs")
        self.assert_fails(self.run_ssi("fs", "ls"), USAGE, "--volume")

    def test_volumes_that_are_not_there_are_not_made_unasked(self):
        for ranks in (0, 2):
            self.bad(NOT_FOUND, "--create makes it", "ls", ranks=ranks)
        self.assertEqual(os.listdir(self.path("vol")), [])
        self.make(ranks=2)
        shutil.move(self.path("vol", "1"), self.path("away"))
        self.bad(NOT_FOUND, "1 of 2 volumes", "ls")
        shutil.move(self.path("away"), self.path("vol", "1"))
        self.assertEqual(self.good("ls").out, "made\n")


if __name__ == "__main__":
    main()
