# SPDX-License-Identifier: BSD-3-Clause
"""`ssi fs` on a session that runs under mpirun, by its control sockets: every verb."""
import os
import subprocess
import time

from fs_support import EXISTS, IO, MPIRUN, NOT_FOUND, ROOT, USAGE, FsTest
from support import main

RANK = os.environ["SSI_TEST_RANK"]
UNSUPPORTED = 60


class FsRunning(FsTest):
    def setUp(self):
        super().setUp()
        self.jobs = []

    def tearDown(self):
        for job, log in self.jobs:
            if job.poll() is None:
                job.terminate()
                job.wait(30)
            log.close()
        super().tearDown()

    def where(self):
        return []

    def start(self, name, *more, ranks=2):
        """A session with a file system on volumes below the directory of that name."""
        os.makedirs(self.path(name), exist_ok=True)
        with open(self.path(name + ".log"), "w", encoding="utf-8") as log:
            job = subprocess.Popen(
                [*MPIRUN, "-n", str(ranks), RANK, self.path(name), *more], cwd=self.path(name),
                env=self.environment(ROOT), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.jobs.append((job, log))
        end = time.monotonic() + 60
        while "ready" not in self.said(name):
            self.assertIsNone(job.poll(), self.said(name))
            self.assertLess(time.monotonic(), end, self.said(name))
            time.sleep(0.02)
        return job

    def said(self, name):
        with open(self.path(name + ".log"), encoding="utf-8") as log:
            return log.read()

    def finish(self, name, job):
        with open(self.path(name, "go"), "w", encoding="utf-8"):
            pass
        self.assertEqual(job.wait(60), 0, self.said(name))
        os.unlink(self.path(name, "go"))
        self.assertIn("checked: 0 problems", self.said(name))

    def sessions(self):
        return self.run_ssi("nodes", "--json").json()["sessions"]

    def test_every_verb_works_on_a_running_session(self):
        job = self.start("vol")
        self.assertEqual(self.good("ls").out, "by-the-program\n")
        self.assertEqual(self.good("cat", "/by-the-program").out, "written by the program\n")
        self.good("mkdir", "-p", "/a/b")
        self.good("mkdir", "--mode", "700", "/private")
        self.assertTrue(self.good("ls", "-l", "/").out.splitlines()[2].startswith("drwx------"))
        self.good("mv", "/private", "/a/b")
        self.assertEqual(self.good("ls", "-R", "/a").out,
                         "/a:\nb\n\n/a/b:\nprivate\n\n/a/b/private:\n")
        self.good("setstripe", "--unit", "64K", "--count", "2", "/a")
        striped, = self.good("getstripe", "--json", "/a").json()
        self.assertEqual((striped["unit_bytes"], striped["count"]), (65536, 2))
        with open(self.path("file"), "wb") as out:
            out.write(bytes(range(256)) * 2048)
        self.good("cp", "file", "fs:/a/file")
        found = self.good("stat", "--json", "/a/file").json()[0]
        self.assertEqual(found["size"], 524288)
        self.assertEqual([part["bytes"] for part in found["volumes"]], [262144, 262144])
        cached = self.good("cache", "--json", "/a/file").json()
        self.assertGreater(sum(node["in_memory"] for node in cached["nodes"]), 0)
        cached = self.good("cache", "--json", "--drop", "/a/file").json()
        self.assertEqual(cached["nodes"], [])
        scrubbed = self.good("scrub", "--json", ranks=2).json()
        self.assertEqual((scrubbed["files"], scrubbed["faults"]), (2, 0))
        self.assertEqual(len(self.good("df", "--json").json()["volumes"]), 2)
        self.good("rm", "-r", "/a")
        self.assertEqual(self.good("ls").out, "by-the-program\n")
        self.assertEqual(self.good("check").out,
                         "1 directories, 1 files, 0 others, 1 entries: no fault\n")
        self.bad(UNSUPPORTED, "end the session, then run ssi fs --volume DIR/%n check --repair",
                 "check", "--repair", ranks=2)
        self.finish("vol", job)
        self.assertEqual(os.listdir(self.path("run")), [])

    def test_a_tree_goes_in_and_comes_out_while_the_session_runs(self):
        job = self.start("vol")
        source = self.tree(large=150_000_000)
        os.link(self.path("src", "large"), self.path("src", "a", "large-again"))
        for ranks in (0, 3):
            done = self.good("cp", "--json", "-a", source, f"fs:/copy{ranks}", ranks=ranks).json()
            self.assertEqual((done["copied_bytes"], done["verified_bytes"], done["links"]),
                             (done["bytes"], done["bytes"], 1))
            again = self.good("cp", "--json", "-a", source, f"fs:/copy{ranks}", ranks=ranks).json()
            self.assertEqual(again["copied_bytes"], 0)
            self.good("cp", "-a", f"fs:/copy{ranks}", f"out{ranks}", ranks=ranks)
            self.assert_same(source, self.path(f"out{ranks}"))
        self.finish("vol", job)
        # And it stays: the volumes have what went in.
        listed = self.good("--volume", self.path("vol", "%n"), "ls", "/").out
        self.assertEqual(listed, "by-the-program\ncopy0\ncopy3\n")

    def test_a_check_sees_no_fault_in_what_the_session_does_meanwhile(self):
        job = self.start("vol", "busy", ranks=3)
        for ranks in (0, 2):
            report = self.good("check", "--json", ranks=ranks).json()
            self.assertEqual((report["problems"], report["directories"]), (0, 3), report)
            self.assertGreater(report["files"], 20)
        self.finish("vol", job)

    def test_a_check_names_what_does_not_fit_while_the_session_runs(self):
        job = self.start("vol", "damaged")
        inode = self.good("stat", "--json", "/by-the-program").json()[0]["inode"]
        result = self.fs("check", "--json", ranks=2)
        self.assertEqual(result.code, IO, result.err)
        self.assertEqual(result.json()["problems"], 1)
        self.assertEqual(
            [line for line in result.err.splitlines() if line.startswith("ssi: ")],
            [f"ssi: inode {inode} has 1 names and counts 7, or another parent",
             "ssi: io: 1 faults; when the session has ended, ssi fs --volume DIR/%n check "
             "--repair mends them"])
        self.finish("vol", job)

    def test_mistakes_are_one_line_however_many_ranks_there_are(self):
        job = self.start("vol")
        for ranks in (0, 2):
            self.bad(NOT_FOUND, "/nowhere", "ls", "/nowhere", ranks=ranks)
            self.bad(EXISTS, "/by-the-program", "mkdir", "/by-the-program", ranks=ranks)
            self.bad(IO, "is no directory", "cp", "vol.log", "vol.log", "fs:/by-the-program",
                     ranks=ranks)
            self.bad(USAGE, "--create", "--create", "ls", ranks=ranks)
            self.bad(NOT_FOUND, "no session zz", "--session", "zz", "ls", ranks=ranks)
        self.finish("vol", job)

    def test_volumes_in_use_are_refused_with_the_session_and_the_way(self):
        job = self.start("vol")
        session, = self.sessions()
        os.symlink("vol", self.path("by-another-name"))
        for place in ("vol", "by-another-name"):
            for ranks in (0, 2):
                result = self.fs("--volume", self.path(place, "%n"), "ls", ranks=ranks)
                self.assertNotEqual(result.code, 0)
                said = [line for line in result.err.splitlines() if line.startswith("ssi: ")]
                self.assertEqual(len(said), 1, result.err)
                name = session["session"]
                self.assertIn(f"is in use by session {name} (fs_session_rank", said[0])
                self.assertIn(f"ssi fs --session {name} ls", said[0])
        self.assertEqual(self.good("--session", session["session"][:6], "ls").out,
                         "by-the-program\n")
        self.finish("vol", job)

    def test_of_several_sessions_the_one_with_a_file_system_is_meant(self):
        without = self.start("bare", "none")
        self.bad(NOT_FOUND, "no file system is mounted by what runs here", "ls")
        job = self.start("vol")
        self.assertEqual(self.good("ls").out, "by-the-program\n")
        other = self.start("more")
        names = [session["session"] for session in self.sessions()]
        self.bad(USAGE, "2 sessions with a file system run here, choose by --session", "ls")
        self.assertEqual(len(names), 3)
        seen = [self.fs("--session", name, "ls").code for name in names]
        self.assertEqual(sorted(seen), [0, 0, NOT_FOUND])
        self.finish("vol", job)
        self.finish("more", other)
        with open(self.path("bare", "go"), "w", encoding="utf-8"):
            pass
        self.assertEqual(without.wait(60), 0)

    def test_a_session_that_ends_under_a_copy_is_a_failure_and_nothing_hangs(self):
        job = self.start("vol")
        with open(self.path("large"), "wb") as out:
            out.truncate(1 << 20)
            for _ in range(600):
                out.write(os.urandom(1 << 20))
        with subprocess.Popen(self.command(2, "cp", "--progress", "large", "fs:/large"),
                              cwd=self.here, env=self.environment(ROOT), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as copy:
            for line in copy.stderr:
                if " copied" in line:
                    break
            self.finish("vol", job)
            rest = copy.stderr.read()
            self.assertEqual(copy.wait(60), IO, rest)
        self.assertIn("the session has closed its file system, or has ended", rest)

    def test_a_client_that_dies_leaves_nothing_open(self):
        job = self.start("vol")
        for _ in range(3):
            with subprocess.Popen(self.command(0, "cat", "/by-the-program"), cwd=self.here,
                                  env=self.environment(ROOT), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE) as cat:
                time.sleep(0.2)
                cat.kill()
        self.assertEqual(self.good("ls").out, "by-the-program\n")
        self.good("rm", "/by-the-program")
        self.finish("vol", job)   # its check finds no file that is open and has no name


if __name__ == "__main__":
    main()
