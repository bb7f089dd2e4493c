# SPDX-License-Identifier: BSD-3-Clause
"""`ssi checkpoint` on stores that a program of ours wrote."""
import os
import pty
import shutil
import subprocess

from support import ProgramTest, main

WRITER = os.environ["SSI_TEST_CHECKPOINT_WRITER"]
USAGE, NOT_FOUND, EXISTS, WOULD_BLOCK, IO, UNSUPPORTED = 2, 43, 44, 48, 54, 60


class CheckpointTest(ProgramTest):
    def tearDown(self):
        for name in list(self.files):
            shutil.rmtree(os.path.join(self.here, name), ignore_errors=True)
            self.files.discard(name)
        super().tearDown()

    def path(self, *parts):
        return os.path.join(self.here, *parts)

    def stores(self, *names):
        for name in names:
            os.makedirs(self.path(name), exist_ok=True)
            self.files.add(name.split("/")[0])
        return [self.path(name) for name in names]

    def take(self, stores, version, base=0, members=2, how="committed"):
        subprocess.run([WRITER, how, str(version), str(base), str(members), *stores], check=True,
                       timeout=60)

    def checkpoint(self, *arguments, **more):
        return self.run_ssi("checkpoint", *arguments, **more)

    def good(self, *arguments):
        result = self.checkpoint(*arguments)
        self.assertEqual(result.code, 0, result.out + result.err)
        self.assertEqual(result.err, "")
        return result

    def bad(self, code, text, *arguments):
        self.assert_fails(self.checkpoint(*arguments), code, text)

    def versions(self, *stores):
        found = self.good("list", "--json", *stores).json()["versions"]
        return {version["version"]: version["state"] for version in found}

    def flip(self, *path, place):
        with open(self.path(*path), "r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 4]))

    def shot(self, *folders):
        """Every file's bytes and time."""
        found = {}
        for folder in folders:
            for at, _, names in os.walk(folder):
                for name in names:
                    path = os.path.join(at, name)
                    with open(path, "rb") as file:
                        found[path] = (file.read(), os.stat(path).st_mtime_ns)
        return found


class Look(CheckpointTest):
    def test_list_tells_what_there_is(self):
        stores = self.stores("one")
        self.take(stores, 1)
        self.take(stores, 3, base=1)
        lines = self.good("list", *stores).out.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[0].split()[:2], ["version", "state"])
        self.assertRegex(lines[1], r"^ +1  complete  2026-09-21 \d\d:\d\d:\d\d +2 +\d+ [KM]iB  "
                                   r"- +jacobi +step 100$")
        self.assertRegex(lines[2], r"^ +3  complete .*  1 +jacobi +step 300$")
        first, second = self.good("list", "--json", *stores).json()["versions"]
        self.assertEqual((first["version"], first["refers_to"], first["chain"]), (1, [], 0))
        self.assertEqual((second["version"], second["refers_to"], second["chain"]), (3, [1], 1))
        self.assertEqual((second["application"], second["session"], second["number"]),
                         ("jacobi", "run7", 300))
        self.assertEqual((second["ranks"], second["objects"], second["object_bytes"]),
                         (2, 80, 400000))
        self.assertEqual(second["time_ns"], 1_790_000_180_000_000_000)
        self.assertEqual((second["level"], second["present"]), ("local", [0, 1]))
        self.assertLess(second["file_bytes"], first["file_bytes"])

    def test_list_names_why_a_version_is_not_complete(self):
        stores = self.stores("one")
        for version in (1, 2, 3):
            self.take(stores, version)
        self.take(stores, 4, how="newer")
        self.take(stores, 5, how="uncommitted")
        self.flip("one", "v1", "manifest", place=100)
        shutil.rmtree(self.path("one", "v2", "m1"))
        self.assertEqual(self.versions(*stores), {1: "damaged", 2: "incomplete", 3: "complete",
                                                  4: "damaged", 5: "incomplete"})
        out = self.good("list", *stores).out
        self.assertIn(f"version 1: {stores[0]}/v1/manifest: damaged: its hash does not match\n",
                      out)
        self.assertIn("version 2: member 1 of 2 is not there\n", out)
        self.assertIn("version 4: " + stores[0] + "/v4/manifest: format version 2, this program "
                      "reads version 1", out)
        self.assertIn("version 5: it has no manifest: it was not committed\n", out)

    def test_list_tells_what_is_being_written(self):
        stores = self.stores("one")
        with subprocess.Popen([WRITER, "open", "1", "0", "2", *stores], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as writer:
            self.assertEqual(writer.stdout.readline(), "open\n")
            self.assertRegex(self.good("list", *stores).out, r"\n +1  being written")
            found = self.good("list", "--json", *stores).json()["versions"][0]
            self.assertEqual((found["state"], found["writing"]), ("incomplete", True))
            self.bad(WOULD_BLOCK, "is being written", "rm", *stores, "--version", "1")
            writer.stdin.close()
            self.assertEqual(writer.wait(timeout=60), 0)
        self.assertIn("it was not committed", self.good("list", *stores).out)
        self.assertEqual(self.good("rm", *stores, "--version", "1").out, "version 1 removed\n")

    def test_several_directories_are_one_store(self):
        stores = self.stores("run/0", "run/1", "run/2", "run/10")
        self.take(stores, 1, members=4)
        self.assertEqual(self.versions(stores[0]), {1: "incomplete"})
        for named in (stores, [self.path("run")], [self.path("run", "%n")],
                      [self.path("run"), stores[0], stores[1] + "/../1"]):
            found = self.good("list", "--json", *named).json()
            self.assertEqual([version["state"] for version in found["versions"]], ["complete"])
            self.assertEqual(len(found["stores"]), 4)
        self.assertEqual([os.path.basename(store) for store in found["stores"]],
                         ["0", "1", "2", "10"])
        members = self.good("show", "--json", self.path("run")).json()["members"]
        self.assertEqual([member["directory"] for member in members],
                         [f"{self.path('run')}/{node}/v1/m{i}"
                          for i, node in enumerate(("0", "1", "2", "10"))])

    def test_what_an_earlier_attempt_left_elsewhere_is_not_taken_for_a_member(self):
        stores = self.stores("old", "new")
        self.take(stores[:1], 1, how="uncommitted")
        self.take(stores[1:], 1)
        shown = self.good("show", "--json", *stores).json()
        self.assertEqual(shown["state"], "complete")
        self.assertEqual([member["directory"] for member in shown["members"]],
                         [f"{stores[1]}/v1/m{i}" for i in range(2)])
        self.good("verify", *stores)
        self.good("rm", *stores, "--version", "1")
        self.assertEqual(self.versions(*stores), {})

    def test_a_number_in_the_middle_of_a_path(self):
        stores = self.stores("node0/deep/saved0", "node7/deep/saved7")
        self.stores("nodex/deep/savedx", "node3/deep/saved4")
        self.take(stores, 1)
        found = self.good("list", "--json", self.path("node%n/deep/saved%n")).json()
        self.assertEqual(found["stores"], stores)
        self.assertEqual(found["versions"][0]["state"], "complete")
        self.bad(NOT_FOUND, "%n", "list", self.path("other%n"))

    def test_show_is_the_manifest(self):
        stores = self.stores("one")
        self.take(stores, 1)
        self.take(stores, 2, base=1)
        self.take(stores, 4, base=2)
        self.take(stores, 5, how="uncommitted")
        shown = self.good("show", "--json", *stores).json()
        self.assertEqual((shown["version"], shown["state"]), (4, "complete"))
        self.assertEqual((shown["refers_to"], shown["needs"], shown["chain"]), ([2], [1, 2], 2))
        self.assertEqual((shown["number"], shown["user_bytes"], shown["build"]),
                         (400, 3, "build 1"))
        self.assertEqual(shown["dataset"], f"{7:016x}{4:016x}")
        self.assertEqual(shown["items"], [{"kind": "set", "id": 1, "name": "cells", "objects": 80,
                                           "bytes": 400000}])
        member = shown["members"][1]
        self.assertEqual((member["member"], member["rank"], member["host"], member["device"]),
                         (1, 1, "host1", "disk1"))
        self.assertEqual((member["objects"], member["object_bytes"], member["refers_to"]),
                         (40, 200000, [2]))
        self.assertEqual(member["file_bytes"], sum(
            os.path.getsize(os.path.join(member["directory"], name))
            for name in os.listdir(member["directory"]) if name.endswith(".seg")))
        text = self.good("show", *stores, "--version", "2").out
        self.assertIn("version 2: complete\n", text)
        self.assertIn("needs        version 1\n", text)
        self.assertIn("member 0: rank 0, host host0, device disk0, 40 objects", text)
        self.assertIn("set cells (1): 80 objects", text)
        shutil.rmtree(self.path("one", "v2", "m0"))
        text = self.good("show", *stores, "--version", "2").out
        self.assertIn("version 2: incomplete: member 0 of 2 is not there\n", text)
        self.assertRegex(text, r"member 0: .*, not there\n")

    def test_parity_is_shown_verified_and_removed(self):
        stores = self.stores("run/0", "run/1")
        self.take(stores, 1, how="parity")
        shown = self.good("show", "--json", *stores).json()
        self.assertEqual((shown["level"], shown["present"], shown["parity"]),
                         ("parity", [0, 1], [0, 1]))
        first, second = shown["members"]
        self.assertEqual((first["group"], second["group"]), ([0, 1], [0, 1]))
        self.assertEqual(first["parity_directory"], self.path("run/0", "v1", "p0"))
        self.assertEqual(first["parity_bytes"], second["file_bytes"])
        self.assertIn(f" of parity with member 0 in {self.path('run/1', 'v1', 'p1')}\n",
                      self.good("show", *stores).out)
        self.good("verify", *stores)
        show = ("show", "--version", "1", *stores)
        os.rename(self.path("run/1", "v1", "m1"), self.path("run/aside"))
        self.assertIn("incomplete: member 1 of 2 is not there (a restart rebuilds it by parity)",
                      self.good(*show).out)
        os.rename(self.path("run/0", "v1", "p0"), self.path("run/parity"))
        self.assertIn("incomplete: member 1 of 2 is not there\n", self.good(*show).out)
        os.rename(self.path("run/parity"), self.path("run/0", "v1", "p0"))
        os.rename(self.path("run/aside"), self.path("run/1", "v1", "m1"))
        self.flip("run/1", "v1", "p1", "rows", place=5000)
        result = self.checkpoint("verify", *stores)
        self.assert_fails(result, IO, "1 fault found in")
        self.assertIn("fault: " + self.path("run/1", "v1", "p1", "rows") + ": damaged", result.out)
        shutil.rmtree(self.path("run/1", "v1", "p1"))
        result = self.checkpoint("verify", *stores)
        self.assert_fails(result, IO, "1 fault found in")
        self.assertIn("the parity that is kept with member 1 of version 1 is not there",
                      result.out)
        self.assertEqual(self.good("list", "--json", *stores).json()["versions"][0]["parity"], [0])
        self.assertIn("no place: it is not there", self.good("show", *stores).out)
        self.good("rm", "--version", "1", *stores)
        self.assertFalse(os.path.exists(self.path("run/0", "v1")))
        self.assertFalse(os.path.exists(self.path("run/1", "v1")))

    def test_show_of_what_has_no_valid_manifest_fails_with_its_reason(self):
        stores = self.stores("one")
        self.take(stores, 1)
        self.take(stores, 2, how="newer")
        self.take(stores, 3, how="uncommitted")
        self.flip("one", "v1", "manifest", place=100)
        self.bad(IO, "its hash does not match", "show", *stores, "--version", "1")
        self.bad(UNSUPPORTED, "format version 2", "show", *stores, "--version", "2")
        self.bad(IO, "it was not committed", "show", *stores, "--version", "3")
        self.bad(NOT_FOUND, "no complete version in", "show", *stores)

    def test_looking_changes_nothing(self):
        stores = self.stores("run/0", "run/1")
        self.take(stores, 1)
        self.take(stores, 2, base=1)
        self.take(stores, 3, how="uncommitted")
        before = self.shot(*stores)
        self.good("list", *stores)
        self.good("show", *stores)
        self.good("verify", "--all", *stores)
        self.good("prune", "--keep", "1", "--dry-run", *stores)
        self.assertEqual(before, self.shot(*stores))


class Verify(CheckpointTest):
    def test_reads_every_byte_of_a_version_and_of_what_it_needs(self):
        stores = self.stores("run/0", "run/1")
        self.take(stores, 1)
        self.take(stores, 2, base=1)
        self.assertRegex(self.good("verify", *stores).out,
                         r"^version 2: \d+ \wiB read, \d+ records, no fault\n$")
        listed = self.good("list", "--json", *stores).json()["versions"]
        found = self.good("verify", "--json", *stores, "--version", "2").json()["versions"]
        self.assertEqual(found[0]["bytes"], sum(version["file_bytes"] for version in listed))
        self.assertEqual(found[0]["faults"], [])

    def test_all_reads_each_version_once_and_passes_over_what_was_not_committed(self):
        stores = self.stores("one")
        self.take(stores, 1)
        self.take(stores, 2, base=1)
        self.take(stores, 3, base=2)
        self.take(stores, 4)
        self.take(stores, 5, how="uncommitted")
        out = self.good("verify", "--all", *stores).out.splitlines()
        self.assertEqual(out[:2], ["version 1: read with version 3",
                                   "version 2: read with version 3"])
        self.assertIn("no fault", out[2])
        self.assertIn("no fault", out[3])
        self.assertEqual(out[4], "version 5: not read: it has no manifest: it was not committed")
        found = self.good("verify", "--all", "--json", *stores).json()["versions"]
        listed = self.good("list", "--json", *stores).json()["versions"]
        self.assertEqual(sum(version["bytes"] for version in found),
                         sum(version.get("file_bytes", 0) for version in listed))
        self.assertEqual((found[0]["read_with"], found[4]["not_read"]),
                         (3, "it has no manifest: it was not committed"))

    def test_every_faulty_member_is_named(self):
        stores = self.stores("run/0", "run/1")
        self.take(stores, 1)
        self.take(stores, 2, base=1)
        self.take(stores, 3)
        segments = {}
        for store, member in ((0, 0), (1, 1)):
            folder = os.path.join(stores[store], "v1", f"m{member}")
            name = [name for name in os.listdir(folder) if name.endswith(".seg")][0]
            segments[member] = f"v1/m{member}/{name} of {stores[store]}"
            self.flip(folder, name, place=9000)
        result = self.checkpoint("verify", "--version", "2", *stores)
        self.assert_fails(result, IO, "2 faults found in")
        for segment in segments.values():
            self.assertIn(f"fault: {segment}, byte 4096: batch 1, record 0", result.out)
        found = self.checkpoint("verify", "--all", "--json", *stores)
        self.assertEqual(found.code, IO)
        faults = {version["version"]: len(version["faults"])
                  for version in found.json()["versions"]}
        self.assertEqual(faults, {1: 0, 2: 2, 3: 0})
        # The newest is not concerned.
        self.good("verify", *stores)
        # The log's own tool reads a member, too.
        log = self.run_ssi("log", "verify", self.path(stores[0], "v1", "m0"))
        self.assertEqual(log.code, IO, log.out)

    def test_a_version_that_is_damaged_or_incomplete_is_a_fault(self):
        stores = self.stores("one")
        for version in (1, 2):
            self.take(stores, version)
        self.flip("one", "v1", "manifest", place=100)
        os.unlink(self.path("one", "v2", "m1", "member"))
        self.assert_fails(self.checkpoint("verify", "--version", "1", *stores), IO,
                          "its hash does not match")
        self.assert_fails(self.checkpoint("verify", "--all", *stores), IO, "2 faults")

    def test_tells_on_a_terminal_how_far_it_is(self):
        stores = self.stores("one")
        self.take(stores, 1)
        ours, theirs = pty.openpty()
        result = self.checkpoint("verify", *stores, capture_output=False, stdout=subprocess.PIPE,
                                 stderr=theirs)
        os.close(theirs)
        self.assertEqual(result.code, 0)
        said = os.read(ours, 65536).decode()
        os.close(ours)
        self.assertRegex(said, r"ssi: version 1 \[#*\.*\] .* of .* read")


class Remove(CheckpointTest):
    def test_rm_removes_a_version_from_every_directory(self):
        stores = self.stores("run/0", "run/1")
        for version in (1, 2, 3):
            self.take(stores, version)
        self.assertEqual(self.good("rm", self.path("run"), "--version", "2").out,
                         "version 2 removed\n")
        self.assertEqual(self.versions(*stores), {1: "complete", 3: "complete"})
        for store in stores:
            self.assertEqual(sorted(os.listdir(store)), ["v1", "v3"])
        self.assertEqual(self.good("rm", "--json", *stores, "--version", "3").json(),
                         {"removed": [3]})
        self.good("rm", *stores, "--version", "1")
        # A number is never used again, and the directory is still known as a store.
        self.assertEqual(self.versions(*stores), {})

    def test_rm_refuses_what_a_later_version_refers_to(self):
        stores = self.stores("run/0", "run/1")
        self.take(stores, 1)
        self.take(stores, 2, base=1)
        before = self.shot(*stores)
        self.bad(EXISTS, "version 2 refers to version 1: remove 2 first", "rm", *stores,
                 "--version", "1")
        self.flip("run/0", "v2", "manifest", place=100)
        self.flip("run/1", "v2", "manifest", place=100)
        self.flip("run/0", "v2", "m0", "member", place=60)
        self.bad(EXISTS, "version 2 may refer to version 1", "rm", *stores, "--version", "1")
        self.assertEqual(len(before), len(self.shot(*stores)))
        self.good("rm", *stores, "--version", "2")
        self.good("rm", *stores, "--version", "1")

    def test_rm_of_some_members_tells_of_the_others(self):
        stores = self.stores("run/0", "run/1")
        self.take(stores, 1)
        self.assertEqual(self.good("rm", stores[0], "--version", "1").out,
                         "version 1 removed (member 1 of 2 is not there; other directories keep "
                         "what they have)\n")
        self.assertEqual(self.versions(stores[1]), {1: "incomplete"})

    def test_prune_keeps_the_newest_and_what_they_need(self):
        stores = self.stores("run/0", "run/1")
        self.take(stores, 1)
        self.take(stores, 2)
        self.take(stores, 3, base=2)
        self.take(stores, 4)
        self.take(stores, 5, base=3)
        self.take(stores, 6, how="uncommitted")
        dry = self.good("prune", *stores, "--keep", "1", "--dry-run").out
        self.assertEqual(dry, "version 1 would be removed\nversion 4 would be removed\n"
                              "version 2 stays: version 3 refers to it\n"
                              "version 3 stays: version 5 refers to it\n"
                              "version 6 stays: it has no manifest: it was not committed\n")
        self.assertEqual(len(self.versions(*stores)), 6)
        self.assertEqual(self.good("prune", *stores, "--keep", "1").out,
                         dry.replace("would be removed", "removed"))
        self.assertEqual(sorted(self.versions(*stores)), [2, 3, 5, 6])
        self.good("verify", *stores)
        again = self.good("prune", "--json", *stores, "--keep", "1").json()
        self.assertEqual(again["removed"], [])
        self.assertEqual(again["needed"], [{"version": 2, "by": [3]}, {"version": 3, "by": [5]}])
        self.assertEqual([left["version"] for left in again["left"]], [6])

    def test_prune_keeps_what_an_uncommitted_version_refers_to(self):
        stores = self.stores("one")
        self.take(stores, 1)
        self.take(stores, 2)
        self.take(stores, 3, base=1, how="uncommitted")
        self.assertEqual(self.good("prune", *stores, "--keep", "1").out,
                         "version 1 stays: one that was not committed refers to it\n"
                         "version 3 stays: it has no manifest: it was not committed\n"
                         "nothing to remove\n")
        self.good("rm", *stores, "--version", "3")
        self.assertEqual(self.good("prune", *stores, "--keep", "1").out, "version 1 removed\n")

    def test_prune_of_some_directories_leaves_what_it_has_only_in_part(self):
        stores = self.stores("run/0", "run/1")
        for version in (1, 2):
            self.take(stores, version)
        out = self.good("prune", stores[0], "--keep", "1").out
        self.assertIn("version 1 stays: member 1 of 2 is not there\n", out)
        self.assertIn("nothing to remove\n", out)
        self.assertEqual(self.good("prune", *stores, "--keep", "1").out, "version 1 removed\n")

    def test_a_directory_that_cannot_be_written_is_named(self):
        stores = self.stores("one")
        self.take(stores, 1)
        wrapper = ()
        if os.geteuid() == 0:
            if not shutil.which("setpriv"):
                self.skipTest("root may write everywhere, and setpriv is not installed")
            wrapper = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        for folder, _, names in os.walk(self.here):
            os.chmod(folder, 0o555)
            for name in names:
                os.chmod(os.path.join(folder, name), 0o444)
        try:
            for verb in ("list", "show", "verify"):
                result = self.checkpoint(verb, *stores, wrapper=wrapper)
                self.assertEqual(result.code, 0, result.err)
            self.assert_fails(self.checkpoint("rm", *stores, "--version", "1", wrapper=wrapper),
                              IO, stores[0], "EACCES")
            self.assertEqual(self.versions(*stores), {1: "complete"})
        finally:
            for folder, _, _ in os.walk(self.here):
                os.chmod(folder, 0o755)


class Mistakes(CheckpointTest):
    def test_mistakes_are_one_line(self):
        stores = self.stores("one")
        self.take(stores, 1)
        self.bad(USAGE, "a verb of checkpoint")
        self.bad(USAGE, "frobnicate", "frobnicate")
        for verb in (["list"], ["show"], ["verify"], ["rm", "--version", "1"],
                     ["prune", "--keep", "1"]):
            self.bad(USAGE, "DIR is needed", *verb)
            self.bad(NOT_FOUND, "/nonexistent", *verb, "/nonexistent")
        self.bad(USAGE, "--version", "rm", *stores)
        self.bad(USAGE, "--keep", "prune", *stores)
        self.bad(USAGE, "--keep", "prune", *stores, "--keep", "0")
        self.bad(USAGE, "--version", "show", *stores, "--version", "new")
        self.bad(USAGE, "--all", "verify", *stores, "--version", "1", "--all")
        for verb in ("show", "verify", "rm"):
            self.bad(NOT_FOUND, "no version 9 in " + stores[0], verb, *stores, "--version", "9")
        self.assertEqual(self.versions(*stores), {1: "complete"})

    def test_without_a_directory_the_setting_is_meant(self):
        stores = self.stores("run/0", "run/1")
        self.take(stores, 1)
        for settings in ({"SSI_CHECKPOINT_DIRECTORY": self.path("run", "%n")},
                         {"SSI_CHECKPOINT_DIRECTORY": self.path("run")}):
            result = self.checkpoint("list", "--json", env=settings)
            self.assertEqual(result.json()["versions"][0]["state"], "complete", result.err)
        # What is named on the command line comes first.
        self.assert_fails(self.checkpoint("list", "/nonexistent", env=settings), NOT_FOUND,
                          "/nonexistent")

    def test_what_is_no_store_is_refused(self):
        self.stores("empty", "other/v", "other/m0")
        self.bad(NOT_FOUND, "no checkpoint was ever begun in", "list", self.path("empty"))
        self.bad(NOT_FOUND, "no checkpoint was ever begun in", "list", self.path("other"))
        path = self.file("file", "text")
        self.bad(IO, "ENOTDIR", "list", path)
        os.unlink(path)
        self.files.discard("file")

    def test_a_record_of_numbers_that_is_damaged_hides_no_version(self):
        stores = self.stores("one")
        self.take(stores, 1)
        self.take(stores, 2)
        self.good("rm", *stores, "--version", "2")
        self.flip("one", "newest", place=30)
        self.assertEqual(self.versions(*stores), {1: "complete"})

    def test_help_names_every_verb(self):
        out = self.good("--help").out
        for verb in ("list", "show", "verify", "rm", "prune"):
            self.assertIn(f"\n  {verb} ", out)
            self.assertIn("DIR", self.good(verb, "--help").out)
        page = self.run_ssi("man").out
        for text in ('.SH "ssi checkpoint prune"', "\\-\\-keep N", "\\-\\-dry\\-run"):
            self.assertIn(text, page)


if __name__ == "__main__":
    main()
