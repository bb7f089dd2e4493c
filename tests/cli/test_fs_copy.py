# SPDX-License-Identifier: BSD-3-Clause
"""`ssi fs cp`: what is kept, what is compared, what an interruption leaves, what is no success."""
import os
import shutil
import signal
import subprocess
import time

from fs_support import IO, MISMATCH, NOT_FOUND, ROOT, USAGE, FsTest
from support import main


class FsCopy(FsTest):
    def make(self, ranks=0):
        self.good("--create", "mkdir", "/made", ranks=ranks)

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

    # ---- what is kept

    def links(self):
        """Two files of two names each, in different directories, and one of one name."""
        for folder in ("src/d", "src/e"):
            os.makedirs(self.path(folder))
        for name, text in (("src/one", "one\n"), ("src/d/two", "two\n" * 40000),
                           ("src/three", "three\n")):
            with open(self.path(name), "w", encoding="utf-8") as out:
                out.write(text)
        os.link(self.path("src/one"), self.path("src/e/one-again"))
        os.link(self.path("src/d/two"), self.path("src/e/two-again"))
        os.link(self.path("src/d/two"), self.path("src/two-once-more"))

    def same_file(self, *names):
        return len({os.stat(self.path(name)).st_ino for name in names}) == 1

    def test_names_of_one_file_stay_names_of_one(self):
        self.links()
        for ranks in (0, 2):
            first = self.good("--create", "cp", "--json", "-r", "src", "fs:/copy",
                              ranks=ranks).json()
            self.assertEqual((first["files"], first["links"]), (3, 3))
            self.assertEqual(first["bytes"], 4 + 160000 + 6)
            inodes = {entry["path"]: (entry["inode"], entry["links"])
                      for entry in self.good("ls", "--json", "-R", "/copy", ranks=ranks).json()}
            self.assertEqual(inodes["/copy/one"], inodes["/copy/e/one-again"])
            self.assertEqual(inodes["/copy/d/two"], inodes["/copy/two-once-more"])
            self.assertEqual(inodes["/copy/d/two"][1], 3)
            self.assertEqual(inodes["/copy/three"][1], 1)
            again = self.good("cp", "--json", "-r", "src", "fs:/copy", ranks=ranks).json()
            self.assertEqual(again["copied_bytes"], 0)
            self.good("cp", "-r", "fs:/copy", "fs:/inside", ranks=ranks)
            self.good("cp", "-r", "fs:/inside", "out", ranks=ranks)
            self.assert_same(self.path("src"), self.path("out"))
            self.assertTrue(self.same_file("out/one", "out/e/one-again"))
            self.assertTrue(self.same_file("out/d/two", "out/e/two-again", "out/two-once-more"))
            self.assertIn("no fault", self.good("check", ranks=ranks).out)
            for name in ("out", "vol"):
                shutil.rmtree(self.path(name))
            os.mkdir(self.path("vol"))

    def test_copies_that_were_one_file_come_apart_when_the_sources_have(self):
        self.links()
        self.good("--create", "cp", "-r", "src", "fs:/copy")
        for name, text in (("src/e/one-again", "another one\n"), ("src/e/two-again", "short\n")):
            os.unlink(self.path(name))
            with open(self.path(name), "w", encoding="utf-8") as out:
                out.write(text)
        self.good("cp", "-r", "src", "fs:/copy", ranks=2)
        self.good("cp", "-r", "fs:/copy", "out")
        self.assert_same(self.path("src"), self.path("out"))
        self.assertFalse(self.same_file("out/one", "out/e/one-again"))

    def test_an_archive_keeps_owners_times_and_extended_attributes(self):
        source = self.tree(large=100_000)
        try:
            os.setxattr(self.path("src", "a", "one"), "user.colour", b"bl\0ue")
        except OSError as error:
            self.skipTest(f"no extended attributes here: {error}")
        os.setxattr(self.path("src", "a"), "user.of-directory", b"x" * 1000)
        os.utime(self.path("src", "a", "link"), ns=(10**18, 10**18 + 5), follow_symlinks=False)
        if os.geteuid() == 0:
            os.chown(self.path("src", "a", "one"), 1234, 567)
            os.chown(self.path("src", "dangling"), 12, 34, follow_symlinks=False)
        self.good("--create", "cp", "-a", source, "fs:/copy", ranks=2)
        self.good("cp", "-a", "fs:/copy", "fs:/inside")
        self.good("cp", "-a", "fs:/inside", "out", ranks=2)
        self.assert_same(source, self.path("out"))
        self.assertEqual(os.getxattr(self.path("out", "a", "one"), "user.colour"), b"bl\0ue")
        self.assertEqual(os.getxattr(self.path("out", "a"), "user.of-directory"), b"x" * 1000)
        for folder, directories, files in os.walk(source):
            for name in directories + files:
                mine = os.path.join(folder, name)
                theirs = mine.replace(source, self.path("out"), 1)
                for what in ("st_uid", "st_gid", "st_mtime_ns"):
                    self.assertEqual(getattr(os.lstat(mine), what),
                                     getattr(os.lstat(theirs), what), f"{what} of {mine}")
        self.good("cp", "-r", source, "fs:/plain")
        self.good("cp", "-r", "fs:/plain", "plain")
        self.assertEqual(os.listxattr(self.path("plain", "a", "one")), [])

    # ---- what is no success, and who does the work

    def large(self, size):
        os.mkdir(self.path("src"))
        with open(self.path("src", "large"), "wb") as out:
            for at in range(0, size, 1 << 20):
                out.write(bytes([at >> 20 & 255]) * min(1 << 20, size - at))

    def meddled(self, arguments, ranks, meddle):
        """A copy while `meddle` is called again and again: how it ended."""
        with subprocess.Popen(self.command(ranks, *arguments), cwd=self.here, text=True,
                              env=self.environment(ROOT), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as job:
            while job.poll() is None:
                meddle()
                time.sleep(0.001)
            return job.returncode, job.stdout.read() + job.stderr.read()

    def test_a_copy_that_somebody_spoils_is_found_out(self):
        self.large(200_000_000)
        self.good("--create", "cp", "src/large", "fs:/large", ranks=2)

        def spoil():
            if os.path.exists(self.path("out")):
                with open(self.path("out"), "r+b") as file:
                    file.write(b"spoilt")
        code, said = self.meddled(("cp", "fs:/large", "out"), 2, spoil)
        self.assertEqual(code, MISMATCH, said)
        self.assertIn("out: bytes 0 to 67108864 are not what was copied there", said)

    def test_a_source_that_becomes_shorter_is_no_success(self):
        self.large(400_000_000)
        self.make(ranks=2)

        def cut():   # as soon as some of it is there
            found = self.path("vol", "0")
            size = sum(os.stat(os.path.join(folder, name)).st_blocks
                       for folder, _, names in os.walk(found) for name in names
                       if os.path.exists(os.path.join(folder, name)))
            first.append(size) if not first else None
            if size > first[0] + 2048:
                os.truncate(self.path("src", "large"), 1000)
        first = []
        code, said = self.meddled(("cp", "src/large", "fs:/large"), 2, cut)
        self.assertEqual(os.stat(self.path("src", "large")).st_size, 1000)
        self.assertNotEqual(code, 0, said)
        self.assertRegex(said, "became shorter meanwhile|was changed while it was copied")
        self.assertNotIn("verified", said)

    def test_every_rank_copies_and_each_byte_is_counted_once(self):
        self.large(400_000_000)
        for arguments in (("--create", "cp", "--json", "src/large", "fs:/large"),
                          ("cp", "--json", "fs:/large", "out"),
                          ("cp", "--json", "fs:/large", "fs:/again")):
            done = self.good(*arguments, ranks=3).json()
            self.assertEqual(len(done["by_rank"]), 3)
            self.assertGreater(sum(copied > 0 for copied in done["by_rank"]), 1, done)
            self.assertEqual(sum(done["by_rank"]), 400_000_000)
            self.assertEqual((done["copied_bytes"], done["verified_bytes"]),
                             (400_000_000, 400_000_000))
        self.assert_same(self.path("src"), self.moved("out"))

    def moved(self, name):
        os.mkdir(self.path("folder"))
        os.rename(self.path(name), self.path("folder", "large"))
        return self.path("folder")

    def test_progress_is_told_when_it_is_asked_for(self):
        self.large(400_000_000)
        result = self.fs("--create", "cp", "--progress", "src/large", "fs:/large", ranks=2)
        self.assertEqual(result.code, 0, result.err)
        self.assertRegex(result.err, r"ssi: [\d.]+ [KMG]iB of 381 MiB copied")
        result = self.fs("cp", "fs:/large", "out", ranks=2)
        self.assertEqual((result.code, result.err), (0, ""))


if __name__ == "__main__":
    main()
