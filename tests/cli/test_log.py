# SPDX-License-Identifier: BSD-3-Clause
"""`ssi log dump` and `ssi log verify` on logs that a program of ours wrote."""
import json
import os
import shutil
import subprocess

from support import ProgramTest, main

WRITER = os.environ["SSI_TEST_LOG_WRITER"]


class Log(ProgramTest):
    def write(self, how):
        subprocess.run([WRITER, self.here, how], check=True, timeout=60)
        self.files.add("log")
        return os.path.join(self.here, "log")

    def segments(self, log):
        return sorted(name for name in os.listdir(log) if name.endswith(".seg"))

    def flip(self, log, name, place):
        with open(os.path.join(log, name), "r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 4]))

    def tearDown(self):
        super().tearDown()
        shutil.rmtree(os.path.join(self.here, "log"), ignore_errors=True)

    def test_verify_finds_no_fault_in_a_log_that_was_closed_or_killed(self):
        for how in ("closed", "killed"):
            log = self.write(how)
            result = self.run_ssi("log", "verify", log)
            self.assertEqual(result.code, 0, result.err)
            self.assertIn("no fault", result.out)
            shutil.rmtree(log)
            self.files.discard("log")

    def test_verify_as_json_counts_what_is_there(self):
        found = self.run_ssi("log", "verify", "--json", self.write("closed")).json()
        self.assertEqual(found["records"], 101)
        self.assertEqual(found["batches"], 100)
        self.assertEqual(found["faults"], [])
        self.assertEqual(found["volume"], "00000000000000110000000000000022")

    def test_dump_prints_a_line_for_each_record(self):
        log = self.write("closed")
        text = self.run_ssi("log", "dump", log)
        self.assertEqual(text.code, 0, text.err)
        self.assertEqual(text.out.count(" raw set 3 object 7:"), 100)
        self.assertIn(" remove set 3 object 7:1 ", text.out)
        self.assertEqual(text.out.count("segment "), len(self.segments(log)))
        lines = self.run_ssi("log", "dump", "--json", log).out.splitlines()
        records = [json.loads(line) for line in lines]
        self.assertEqual(len(records), 101)
        self.assertEqual(records[0]["kind"], "raw")
        self.assertEqual((records[99]["id_high"], records[99]["value_bytes"]), (7, 1000))

    def test_looking_changes_nothing(self):
        log = self.write("killed")
        before = {n: os.stat(os.path.join(log, n)).st_mtime_ns for n in os.listdir(log)}
        self.run_ssi("log", "verify", log)
        self.run_ssi("log", "dump", log)
        after = {n: os.stat(os.path.join(log, n)).st_mtime_ns for n in os.listdir(log)}
        self.assertEqual(before, after)

    def test_every_fault_is_named_and_the_rest_is_still_read(self):
        log = self.write("closed")
        first, second = self.segments(log)[:2]
        self.flip(log, first, 4096 + 48 + 72 + 10)        # a payload
        self.flip(log, second, 4096 + 3 * 4096 + 20)      # the head of a batch
        self.flip(log, second, os.path.getsize(os.path.join(log, second)) - 1)   # the footer
        result = self.run_ssi("log", "verify", log)
        self.assertEqual(result.code, 54, result.out + result.err)
        self.assertIn(f"fault: {first}, byte 4144: record 0 of batch 1:", result.out)
        self.assertIn(f"fault: {second}, byte 16384: batch", result.out)
        self.assertIn("the hash of the footer does not match", result.out)
        self.assertIn("faults found in the log", result.err)
        found = self.run_ssi("log", "verify", "--json", log).json()
        self.assertGreaterEqual(len(found["faults"]), 3)
        self.assertGreater(found["records"], 95)

    def test_a_missing_segment_is_named(self):
        log = self.write("closed")
        os.unlink(os.path.join(log, self.segments(log)[1]))
        result = self.run_ssi("log", "verify", log)
        self.assertEqual(result.code, 54)
        self.assertIn("its file is not there", result.out)

    def test_a_log_that_is_open_is_refused_to_tools_and_to_others(self):
        with subprocess.Popen([WRITER, self.here, "open"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as holder:
            self.files.add("log")
            self.assertEqual(holder.stdout.readline(), "open\n")
            log = os.path.join(self.here, "log")
            self.assert_fails(self.run_ssi("log", "verify", log), 48, "is open in another process")
            again = subprocess.run([WRITER, self.here, "closed"], capture_output=True, text=True,
                                   timeout=60, check=False)
            self.assertEqual(again.returncode, 4)
            self.assertIn("is open in another process", again.stderr)
            holder.stdin.close()
            self.assertEqual(holder.wait(timeout=60), 0)
        self.assertEqual(self.run_ssi("log", "verify", log).code, 0)

    def test_mistakes_are_one_line(self):
        self.assert_fails(self.run_ssi("log"), 2)
        self.assert_fails(self.run_ssi("log", "repair", self.here), 2, "repair")
        self.assert_fails(self.run_ssi("log", "dump"), 2, "DIR")
        self.assert_fails(self.run_ssi("log", "dump", self.here), 43, "no segment of a log")
        self.assert_fails(self.run_ssi("log", "dump", "/nonexistent"), 43, "ENOENT")
        path = self.file("file", "text")
        self.assert_fails(self.run_ssi("log", "verify", path), 54, "ENOTDIR")


if __name__ == "__main__":
    main()
