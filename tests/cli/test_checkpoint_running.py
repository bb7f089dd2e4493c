# SPDX-License-Identifier: BSD-3-Clause
"""`ssi checkpoint take`, `halt`, `freeze` and the like on jacobi, which runs under mpirun."""
import os
import shutil
import subprocess
import time

from support import ProgramTest, main

JACOBI = os.environ["SSI_TEST_JACOBI"]
RANK = os.environ["SSI_TEST_RANK"]
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none",
          "--mca", "pml", "ob1", "--mca", "btl", "self,vader"]
NOT_FOUND, TIMED_OUT, UNSUPPORTED = 43, 52, 60
INVALID = 2
EXIT_AGAIN = 75


class RunningTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.run_directory = os.path.join(self.here, "run")
        self.store = os.path.join(self.here, "store")
        self.job = None
        self.settings = {}

    def tearDown(self):
        self.end_job()
        for name in ("run", "store", "global"):
            shutil.rmtree(os.path.join(self.here, name), ignore_errors=True)
        super().tearDown()

    def start(self, *command):
        self.files.add("log")
        variables = {"SSI_CONTROL_DIRECTORY": self.run_directory, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                     "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **self.settings}
        with open(os.path.join(self.here, "log"), "w", encoding="utf-8") as log:
            self.job = subprocess.Popen([*MPIRUN, "-n", "2", *command], cwd=self.here,
                                        env=self.environment(variables),
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start_jacobi(self, side, *more):
        self.start(JACOBI, "--rows", str(side), "--cols", str(side), "--iterations", "100000000",
                   "--checkpoint", self.store, *more)
        self.wait(lambda: self.checkpoint("status").code == 0, "the session does not start")

    def end_job(self):
        if self.job and self.job.poll() is None:
            self.job.terminate()
            self.job.wait(30)

    def checkpoint(self, *arguments):
        return self.run_ssi("checkpoint", *arguments,
                            env={"SSI_CONTROL_DIRECTORY": self.run_directory})

    def wait(self, condition, text, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, text)
            self.assertIsNone(self.job.poll(), "the program has ended")
            time.sleep(0.05)

    def status(self):
        return self.checkpoint("status", "--json").json()

    def test_a_version_is_copied_to_the_global_store_meanwhile(self):
        shared = os.path.join(self.here, "global")
        self.settings = {"SSI_CHECKPOINT_GLOBAL_DIRECTORY": shared,
                         "SSI_CHECKPOINT_DRAIN_RATE_BYTES": "1000000",
                         "SSI_CHECKPOINT_POLICY": "on_request level=global"}
        self.start_jacobi(1024)
        self.assertIs(self.status()["draining"], False)
        self.assertEqual(self.checkpoint("take").code, 0)
        status = self.status()
        self.assertEqual((status["draining"], status["saving"], status["durable"]),
                         (True, False, False))
        self.wait(lambda: "drain_version" in self.status(), "it does not begin")
        status = self.status()
        self.assertEqual((status["drain_version"], status["drains_waiting"]), (1, 0))
        self.assertLess(status["drained_bytes"], status["drain_bytes"])
        self.assertGreater(status["drain_bytes"], 3 << 20)
        shown = self.checkpoint("status").out
        self.assertIn("version 1 is copied to the global store", shown)
        self.assertIn("in the ranks' stores, and on its way", shown)
        # Nobody removes it while it is copied.
        removed = self.checkpoint("rm", self.store, "--version", "1")
        self.assertNotEqual(removed.code, 0)
        self.assertIn("being written", removed.err)
        self.wait(lambda: self.status()["durable"], "it does not end")
        self.assertIs(self.status()["draining"], False)
        listed = self.checkpoint("list", "--json", shared).json()["versions"]
        self.assertEqual([(v["version"], v["state"], v["level"]) for v in listed],
                         [(1, "complete", "global")])
        self.assertEqual(self.checkpoint("verify", shared).code, 0)

    def test_a_running_program_takes_one_when_asked_and_by_another_interval(self):
        self.start_jacobi(512)
        before = self.status()
        self.assertEqual((before["taken"], before["directory"]), (0, self.store))
        self.assertNotIn("version", before)
        taken = self.checkpoint("take")
        self.assertEqual(taken.code, 0, taken.err)
        self.assertRegex(taken.out, r"(?m)^version 1: durable after [\d.]+ s, stopped for")
        # On the disk, and whole.
        listed = self.checkpoint("list", "--json", self.store).json()["versions"]
        self.assertEqual([(v["version"], v["state"]) for v in listed], [(1, "complete")])
        self.assertEqual(self.checkpoint("take", "--json").json()["version"], 2)
        policy = self.checkpoint("policy", "--interval", "1", "--json").json()
        self.assertEqual(policy["interval_s"], 1)
        self.wait(lambda: self.status()["taken"] >= 4, "the interval does nothing")
        self.assertIn("another one each 1 s", self.checkpoint("status").out)
        self.checkpoint("policy", "--interval", "0")
        self.assertIn("when somebody asks", self.checkpoint("status").out)

    def policy(self, *arguments):
        told = self.checkpoint("policy", *arguments, "--json")
        self.assertEqual(told.code, 0, told.err)
        return told.json()

    def test_policies_are_told_and_replaced_while_the_program_runs(self):
        self.start_jacobi(64, "--checkpoint-policy", "young_daly first_s=1 mtbf_s=86400")
        self.wait(lambda: self.status()["taken"] > 0, "no first one is taken")
        self.wait(lambda: "full" in self.policy()["levels"][0], "its cost is not known")
        self.wait(lambda: self.policy()["decision"]["take"] is False, "it always wants one")
        told = self.policy()
        self.assertEqual(told["policy"], "young_daly first_s=1 mtbf_s=86400")
        self.assertRegex(told["decision"]["why"], r"^young_daly: each [\d.e+]+ s, the best for a "
                                                  r"cost of \S+ s and a failure each 8.64e\+04 s")
        self.assertGreaterEqual(told["next_s"], 0)
        self.assertIn("young_daly: the first one, after 1 s", told["last_why"])
        self.assertEqual([(v["name"], v["possible"]) for v in told["levels"]][:2],
                         [("local", True), ("partner", False)])
        text = self.checkpoint("policy").out
        self.assertRegex(text, r"(?m)^young_daly first_s=1 mtbf_s=86400$")
        self.assertRegex(text, r"(?m)^[\d.]+ s ago: not now: young_daly: each ")
        self.assertRegex(text, r"(?m)^the next one is expected in [\d.]+ s$")
        self.assertRegex(text, r"(?m)^level local, full: the program stood \S+ s, durable after")
        self.assertIn("by policy: young_daly first_s=1", self.checkpoint("status").out)
        # Another one, and what is refused leaves it.
        told = self.checkpoint("policy", "set", "interval every_s=0.05; time_limit", "--json")
        self.assertEqual(told.json()["policy"], "interval every_s=0.05; time_limit")
        before = self.status()["taken"]
        self.wait(lambda: self.status()["taken"] > before + 3, "the new one does nothing")
        refused = self.checkpoint("policy", "set", "levels partner_s=5")
        self.assert_fails(refused, UNSUPPORTED, "cannot have level 2: partner")
        refused = self.checkpoint("policy", "set", "interval every_s=soon")
        self.assert_fails(refused, INVALID, 'every_s="soon" is no number')
        self.assertEqual([one["name"] for one in self.policy()["strategies"]],
                         ["interval", "time_limit"])
        self.policy("--interval", "1000")
        self.wait(lambda: self.policy()["pending"] is False, "it is not taken over")
        self.assertEqual(self.policy()["policy"], "interval every_s=1000; time_limit")

    def test_a_policy_that_cannot_be_had_ends_the_program(self):
        self.start(JACOBI, "--rows", "64", "--cols", "64", "--iterations", "10",
                   "--checkpoint", self.store, "--checkpoint-policy", "dayly")
        self.assertEqual(self.job.wait(60), NOT_FOUND)
        self.assertEqual(self.text("log").count("no checkpoint policy 'dayly'"), 1)
        self.assertFalse(os.path.exists(self.run_directory) and os.listdir(self.run_directory))

    def test_the_program_leaves_before_its_job_ends(self):
        self.start(JACOBI, "--rows", "64", "--cols", "64", "--iterations", "100000000",
                   "--checkpoint", self.store, "--checkpoint-policy", "time_limit exit=true",
                   "--ssi-checkpoint-job-end-s", str(int(time.time()) + 60))
        self.assertEqual(self.job.wait(60), EXIT_AGAIN)
        listed = self.checkpoint("list", "--json", self.store).json()["versions"]
        self.assertEqual([(v["version"], v["state"]) for v in listed], [(1, "complete")])

    def test_a_program_stands_still_and_goes_on(self):
        self.start_jacobi(64)
        frozen = self.checkpoint("freeze")
        self.assertEqual(frozen.code, 0, frozen.err)
        self.assertIn("stands still until", frozen.out)
        # Nothing is taken meanwhile, whoever asks.
        late = self.checkpoint("take", "--timeout", "1")
        self.assert_fails(late, TIMED_OUT, "has not come to a point")
        self.assertEqual((self.status()["taken"], self.status()["frozen"]), (0, True))
        thawed = self.checkpoint("thaw")
        self.assertEqual(thawed.code, 0, thawed.err)
        # The one that was asked for meanwhile.
        self.wait(lambda: self.status()["taken"] == 1, "it does not go on")
        self.assertFalse(self.status()["frozen"])

    def test_a_program_saves_leaves_and_is_gone(self):
        self.start_jacobi(512)
        halted = self.checkpoint("halt")
        self.assertEqual(halted.code, 0, halted.err)
        self.assertRegex(halted.out, r"(?m)^version 1( is in|: durable)")
        self.assertEqual(self.job.wait(30), EXIT_AGAIN)
        listed = self.checkpoint("list", "--json", self.store).json()["versions"]
        self.assertEqual([(v["version"], v["state"]) for v in listed], [(1, "complete")])

    def test_one_that_stands_still_is_told_to_leave(self):
        self.start_jacobi(64)
        self.assertEqual(self.checkpoint("freeze").code, 0)
        self.assertEqual(self.checkpoint("halt").code, 0)
        self.assertEqual(self.job.wait(30), EXIT_AGAIN)

    def test_a_program_without_checkpoints_and_none_at_all_are_told(self):
        os.makedirs(self.run_directory, mode=0o700)
        self.assert_fails(self.checkpoint("take"), NOT_FOUND, "no session")
        self.start(RANK, "lone")
        self.wait(lambda: "ready" in self.text("log"), "the session does not start")
        self.assert_fails(self.checkpoint("take"), NOT_FOUND, "takes no checkpoints")
        self.assert_fails(self.checkpoint("policy"), NOT_FOUND, "takes no checkpoints")
        self.assert_fails(self.checkpoint("policy", "set"), INVALID, "TEXT")

    def text(self, name):
        with open(os.path.join(self.here, name), encoding="utf-8") as file:
            return file.read()


if __name__ == "__main__":
    main()
