# SPDX-License-Identifier: BSD-3-Clause
"""`ssi restart`: what it would go on from, and what it runs. Stores as in test_checkpoint.py."""
import json
import os
import shutil
import stat
import subprocess

from support import SOURCE, ProgramTest, main

WRITER = os.environ["SSI_TEST_CHECKPOINT_WRITER"]
USAGE, NOT_FOUND, IO = 2, 43, 54


class RestartTest(ProgramTest):
    def tearDown(self):
        for name in list(self.files):
            if os.path.isdir(os.path.join(self.here, name)):
                shutil.rmtree(os.path.join(self.here, name))
                self.files.discard(name)
        super().tearDown()

    def stores(self, *names):
        for name in names:
            os.makedirs(os.path.join(self.here, name), exist_ok=True)
            self.files.add(name)
        return [os.path.join(self.here, name) for name in names]

    def take(self, stores, version, base=0, members=2, how="committed"):
        subprocess.run([WRITER, how, str(version), str(base), str(members), *stores], check=True,
                       timeout=60)

    def dry_run(self, *arguments, code=0):
        result = self.run_ssi("restart", "--dry-run", "--json", *arguments)
        self.assertEqual(result.code, code, result.out + result.err)
        return json.loads(result.out) if result.out else result.err

    def flip(self, store, name):
        path = os.path.join(store, name)
        with open(path, "r+b") as file:
            file.seek(5000)
            byte = file.read(1)[0]
            file.seek(5000)
            file.write(bytes([byte ^ 4]))

    def shot(self, *folders):
        return {os.path.join(at, name): os.stat(os.path.join(at, name)).st_mtime_ns
                for folder in folders for at, _, names in os.walk(folder) for name in names}


class DryRun(RestartTest):
    def test_the_newest_is_told_and_every_byte_verified(self):
        stores = self.stores("one", "two")
        self.take(stores, 1)
        self.take(stores, 2, base=1)
        before = self.shot(*stores)
        found = self.dry_run(*stores)
        self.assertEqual((found["version"], found["saved_ranks"], found["any_ranks"]), (2, 2, True))
        self.assertGreater(found["verified_bytes"], 100_000)
        self.assertEqual([member["stores"] for member in found["members"]],
                         [[stores[0]], [stores[1]]])
        self.assertEqual((found["passed_over"], found["warnings"]), ([], []))
        self.assertEqual(before, self.shot(*stores))
        self.assertEqual(self.dry_run("--quick", *stores)["verified_bytes"], 0)
        self.assertEqual(self.dry_run("--version", "1", *stores)["version"], 1)
        text = self.run_ssi("restart", "--dry-run", *stores).out
        self.assertRegex(text, r"version 2 of jacobi, taken .* UTC by 2 ranks: \S+ \S+ verified\n")
        self.assertIn("ranks: any number\n", text)

    def test_memory_is_divided_over_the_ranks(self):
        stores = self.stores("one")
        self.take(stores, 1)
        all_bytes = self.dry_run("--ranks", "1", *stores)["bytes_per_rank"]
        self.assertGreater(all_bytes, 0)
        self.assertEqual(self.dry_run("--ranks", "4", *stores)["bytes_per_rank"],
                         (all_bytes + 3) // 4)

    def test_damage_is_passed_over_as_a_restart_does(self):
        stores = self.stores("one")
        self.take(stores, 1)
        self.take(stores, 2)
        self.flip(stores[0], "v2/m0/0000000000000001.seg")
        found = self.dry_run(*stores)
        self.assertEqual(found["version"], 1)
        self.assertEqual(len(found["passed_over"]), 1)
        self.assertRegex(found["passed_over"][0], r"^version 2: \d+ faults?: .*v2/m0/")
        # Manifests alone do not tell.
        self.assertEqual(self.dry_run("--quick", *stores)["version"], 2)
        self.assertIn("version 2: ", self.dry_run("--version", "2", *stores, code=IO))

    def test_lost_members_and_newer_formats_are_named(self):
        stores = self.stores("one", "two")
        self.take(stores, 1)
        self.take(stores[:1], 2, how="newer")
        found = self.dry_run(*stores)
        self.assertEqual(found["version"], 1)
        self.assertRegex(found["passed_over"][0], r"^version 2: .*format")
        error = self.dry_run(stores[0], code=IO)
        self.assertIn("member 1 of 2 is in no directory that was named", error)

    def test_what_parity_would_rebuild_counts_as_there(self):
        stores = self.stores("one", "two")
        self.take(stores, 1, how="parity")
        self.assertEqual(self.dry_run(*stores)["warnings"], [])
        found = self.dry_run(stores[0])   # the other one was lost
        self.assertEqual(found["version"], 1)
        self.assertIn("member 1 is rebuilt by parity", found["warnings"])
        shutil.rmtree(os.path.join(stores[0], "v1", "p0"))
        self.assertIn("nor what it could be rebuilt of: member 0",
                      self.dry_run(stores[0], code=IO))

    def test_nothing_to_go_on_from(self):
        stores = self.stores("one")
        self.take(stores, 1)
        self.assertIn("no version 7", self.dry_run("--version", "7", *stores, code=NOT_FOUND))
        self.dry_run(os.path.join(self.here, "nowhere"), code=NOT_FOUND)
        self.dry_run(code=USAGE)


class Launch(RestartTest):
    def test_the_program_is_run_again_until_it_ends_well(self):
        stores = self.stores("one")
        self.take(stores, 1)
        program = self.file("program", """#!/bin/sh
echo "$* $SSI_CHECKPOINT_SUBSTITUTE $SSI_CHECKPOINT_FAILURES" >>runs
[ "$(wc -l <runs)" = 2 ]
""")
        self.files |= {"program", "runs"}
        os.chmod(program, os.stat(program).st_mode | stat.S_IXUSR)
        result = self.run_ssi("restart", stores[0], "--substitute", "/a=/b", "--substitute",
                              "/c=/d", "--", program, "--restart", "a b",
                              env={"PATH": f"{SOURCE}/scripts:{os.environ['PATH']}"})
        self.assertEqual(result.code, 0, result.err)
        with open(os.path.join(self.here, "runs"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "--restart a b /a=/b;/c=/d 0\n"
                                          "--restart a b /a=/b;/c=/d 1\n")

    def test_without_a_checkpoint_or_a_program_nothing_is_run(self):
        stores = self.stores("one")
        self.take(stores, 1)
        result = self.run_ssi("restart", stores[0])
        self.assertEqual(result.code, USAGE)
        self.assertIn("how the program is started", result.err)
        result = self.run_ssi("restart", os.path.join(self.here, "nowhere"), "--", "true")
        self.assertEqual(result.code, NOT_FOUND)


if __name__ == "__main__":
    main()
