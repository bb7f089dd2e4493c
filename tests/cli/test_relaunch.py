# SPDX-License-Identifier: BSD-3-Clause
"""scripts/ssi-relaunch: when a program is run again, and how."""
import os
import signal
import stat
import subprocess
import time

from support import SOURCE, ProgramTest, Result, main

RELAUNCH = os.path.join(SOURCE, "scripts", "ssi-relaunch")
# Notes its arguments and leaves with the next of the codes in the file "codes".
PROGRAM = """#!/usr/bin/env bash
echo "$*" >>runs
echo "$SSI_CHECKPOINT_FAILURES $SSI_CHECKPOINT_RAN_S" >>told
read -r code <codes
sed -i 1d codes
[[ $code != slow ]] || { sleep 2; exit 1; }
[[ $code != wait ]] || { trap 'exit 75' TERM; touch waits; while :; do sleep 0.1; done; }
exit "$code"
"""


class RelaunchTest(ProgramTest):
    def program(self, *codes):
        path = self.file("program", PROGRAM)
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        self.file("codes", "".join(f"{code}\n" for code in codes))
        self.files |= {"program", "codes", "runs", "told"}
        return path

    def relaunch(self, *arguments, env=None):
        return Result(subprocess.run([RELAUNCH, "--delay", "0", *arguments], cwd=self.here,
                                     env=self.environment(env or {}), capture_output=True,
                                     text=True, timeout=60, check=False))

    def runs(self):
        with open(os.path.join(self.here, "runs"), encoding="utf-8") as file:
            return file.read().splitlines()

    def test_failures_are_run_again_until_it_ends_well(self):
        result = self.relaunch("--", self.program(137, 50, 1, 0, 9), "a b", "c")
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual(self.runs(), ["a b c"] * 4)

    def test_but_not_more_often_than_allowed(self):
        result = self.relaunch("--limit", "2", "--", self.program(137, 50, 51, 0))
        self.assertEqual((result.code, len(self.runs())), (51, 3))
        self.assertIn("given up after 3 runs", result.err)

    def test_what_cannot_get_better_is_not_run_again(self):
        for code in 2, 43, 45, 60, 127:
            result = self.relaunch("--", self.program(code, 0))
            self.assertEqual(result.code, code)
            self.assertIn("not run again", result.err)
            self.assertEqual(len(self.runs()), 1)
            os.unlink(os.path.join(self.here, "runs"))
        self.file("runs", "")

    def test_substitutions_of_files_are_told_to_the_program(self):
        path = self.file("tell", "#!/bin/sh\necho \"$SSI_CHECKPOINT_SUBSTITUTE\" >>told\n")
        self.files |= {"tell", "told"}
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        result = self.relaunch("--substitute", "/a=/b", "--substitute", "/c=/d e", "--", path, "x",
                               env={"SSI_CHECKPOINT_SUBSTITUTE": "/1=/2"})
        self.assertEqual(result.code, 0, result.err)
        with open(os.path.join(self.here, "told"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "/1=/2;/a=/b;/c=/d e\n")
        self.assertEqual(self.relaunch("--substitute", "/a", "--", path, "x").code, 2)

    def test_who_left_after_a_last_checkpoint_is_for_the_scheduler(self):
        self.assertEqual(self.relaunch("--", self.program(75, 0)).code, 75)
        self.assertEqual(self.relaunch("--stay", "--", self.program(75, 75, 0)).code, 0)
        self.assertEqual(len(self.runs()), 4)

    def told(self):
        with open(os.path.join(self.here, "told"), encoding="utf-8") as file:
            return [tuple(map(int, line.split())) for line in file]

    def test_a_run_is_told_how_often_those_before_it_failed_and_how_long_they_ran(self):
        result = self.relaunch("--stay", "--", self.program("slow", 75, 9, 0))
        self.assertEqual(result.code, 0, result.err)
        told = self.told()
        self.assertEqual([failures for failures, _ in told], [0, 1, 1, 2], "75 is no failure")
        self.assertEqual(told[0], (0, 0))
        for _, seconds in told[1:]:
            self.assertGreaterEqual(seconds, 1)
            self.assertLess(seconds, 20)
        # Counted on from where another one has ended.
        os.unlink(os.path.join(self.here, "told"))
        before = {"SSI_CHECKPOINT_FAILURES": "5", "SSI_CHECKPOINT_RAN_S": "1000"}
        self.assertEqual(self.relaunch("--", self.program(1, 0), env=before).code, 0)
        self.assertEqual([failures for failures, _ in self.told()], [5, 6])
        self.assertGreaterEqual(self.told()[1][1], 1000)
        wrong = self.relaunch("--", self.program(0), env={"SSI_CHECKPOINT_FAILURES": "many"})
        self.assert_fails(wrong, 2, 'SSI_CHECKPOINT_FAILURES: "many" is no number')

    def test_hosts_that_do_not_answer_are_left_out(self):
        check = self.file("check", "#!/bin/sh\ntest \"$1\" != dead\n")
        os.chmod(check, 0o700)
        self.files.add("check")
        result = self.relaunch("--hosts", "a,dead,b", "--check", check, "--",
                               self.program(1, 0), "--host", "%h", "-n", "%n", "DIR/%%n")
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual(self.runs(), ["--host a,b -n 2 DIR/%n"] * 2)
        self.assertIn("dead does not answer", result.err)
        result = self.relaunch("--hosts", "dead", "--check", check, "--", self.program(0))
        self.assertEqual(result.code, 1)
        self.assertIn("no host answers", result.err)

    def test_sigterm_reaches_the_program_which_is_not_run_again(self):
        program = self.program("wait", 0)
        self.files.add("waits")
        with subprocess.Popen([RELAUNCH, "--stay", "--", program], cwd=self.here,
                              stderr=subprocess.DEVNULL) as process:
            end = time.monotonic() + 30
            while not os.path.exists(os.path.join(self.here, "waits")):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(30), 75)
        self.assertEqual(len(self.runs()), 1)

    def test_bad_arguments_are_told(self):
        for arguments in (), ("--",), ("--limit", "x", "--", "true"), ("--limit",), ("mpirun",):
            result = Result(subprocess.run([RELAUNCH, *arguments], cwd=self.here,
                                           capture_output=True, text=True, timeout=60,
                                           check=False))
            self.assertEqual(result.code, 2, arguments)
            self.assertIn("ssi-relaunch: ", result.err)


if __name__ == "__main__":
    main()
