# SPDX-License-Identifier: BSD-3-Clause
"""`ssi fs` on the volumes of stopped sessions, alone and under mpirun."""
import filecmp
import os
import random
import re
import shutil
import subprocess

from fs_support import EXISTS, IO, NOT_FOUND, ROOT, USAGE, FsTest
from support import main


class Fs(FsTest):
    def make(self, ranks=0):
        self.good("--create", "mkdir", "/made", ranks=ranks)

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

    # ---- bytes

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
        places = {name: chance.randrange(len(data) - 16) for name, data in content.items()}
        for folder, _, names in os.walk(self.path("vol")):
            for segment in (os.path.join(folder, name) for name in names):
                with open(segment, "rb") as file:
                    stored = file.read()
                for name, data in content.items():
                    # A page that was written twice lies there twice; the newest counts.
                    place = places[name]
                    copies = [found.start() for found in
                              re.finditer(re.escape(data[place:place + 16]), stored)]
                    if not copies:
                        continue
                    with open(segment, "r+b") as file:
                        for at in copies:
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
        self.assert_fails(self.run_ssi("fs", "ls"), NOT_FOUND, "no session", "--volume")
        self.assert_fails(self.run_ssi("fs", "--session", "ab", "--volume", "vol/0", "ls"), USAGE,
                          "either --session")

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
