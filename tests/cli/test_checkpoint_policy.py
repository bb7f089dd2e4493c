# SPDX-License-Identifier: BSD-3-Clause
"""`ssi checkpoint policy list` and `simulate`, which need no session."""
import os
import shutil

from support import ProgramTest, main

USAGE, NOT_FOUND, IO, UNSUPPORTED = 2, 43, 54, 60


class PolicyTest(ProgramTest):
    def simulate(self, text, *more):
        return self.run_ssi("checkpoint", "policy", "simulate", text, "--json", *more)

    def runs(self, text, *more):
        result = self.simulate(text, *more)
        self.assertEqual(result.code, 0, result.err)
        return result.json()["runs"]

    def test_young_and_daly_beat_shorter_and_longer_intervals(self):
        for mtbf, cost in ((86400, 60), (3600, 10), (600, 20)):
            for seed in range(1, 6):
                for order in "young", "daly":
                    first, *fixed = self.runs(f"young_daly order={order}", "--mtbf", str(mtbf),
                                              "--cost", str(cost), "--seed", str(seed),
                                              "--hours", str(mtbf // 40))
                    efficiency = [run["efficiency"] for run in fixed]
                    self.assertEqual(len(efficiency), 5)
                    self.assertGreater(first["efficiency"], efficiency[0] + 0.01, (mtbf, seed))
                    self.assertGreater(first["efficiency"], efficiency[4] + 0.01, (mtbf, seed))
                    self.assertGreater(first["efficiency"], efficiency[2] - 0.02, (mtbf, seed))

    def test_all_time_is_accounted_for_and_a_seed_is_one_run(self):
        arguments = ("--mtbf", "3600", "--cost", "10", "--restart", "100", "--hours", "100")
        runs = self.runs("interval every_s=500", *arguments)
        self.assertEqual(runs, self.runs("interval every_s=500", *arguments))
        self.assertNotEqual(runs, self.runs("interval every_s=500", *arguments, "--seed", "2"))
        for run in runs:
            self.assertEqual(run["total_s"], 360000)
            self.assertAlmostEqual(run["efficiency"] * run["total_s"] + run["lost_s"] +
                                   run["saving_s"] + run["restarting_s"], 360000, 3)
            self.assertGreater(run["failures"], 60)
        self.assertGreater(runs[0]["restarting_s"], 99 * (runs[0]["failures"] - 20))
        # Without any, a failure loses everything.
        none = self.runs("on_request", *arguments)[0]
        self.assertEqual(none["checkpoints"], 0)
        self.assertLess(none["efficiency"], 0.2)
        # Nothing fails: what is lost is what checkpoints cost.
        calm = self.runs("interval every_s=100", "--mtbf", "1e10", "--cost", "10", "--hours", "10")
        self.assertAlmostEqual(calm[0]["efficiency"], 0.9, 2)

    def test_it_is_printed_and_wrong_arguments_are_told(self):
        out = self.run_ssi("checkpoint", "policy", "simulate", "young_daly", "--mtbf", "86400",
                           "--cost", "60").out
        self.assertRegex(out, r"(?m)^strategy +efficiency +checkpoints +failures +lost work$")
        self.assertRegex(out, r"(?m)^young_daly +96\.\d\d % ")
        self.assertEqual(out.count("interval every_s="), 5)
        for text, code, says in (("yung", NOT_FOUND, "no checkpoint policy 'yung'"),
                                 ("interval every=3", USAGE, "unknown parameter every"),
                                 ("interval every_s=0.001", UNSUPPORTED, "fewer --hours")):
            self.assert_fails(self.simulate(text, "--mtbf", "1e9", "--cost", "0.001"), code, says)
        self.assert_fails(self.simulate("young_daly", "--mtbf", "9"), USAGE, "--cost")
        self.assert_fails(self.simulate("young_daly", "--mtbf", "-1", "--cost", "1"), USAGE,
                          "--mtbf")

    def test_all_strategies_are_listed_with_those_of_the_path(self):
        listed = self.run_ssi("checkpoint", "policy", "list", "--json").json()["policies"]
        self.assertEqual([one["name"] for one in listed],
                         ["interval", "young_daly", "levels", "time_limit", "on_request"])
        self.assertTrue(all(one["help"] and one["parameters"] for one in listed))
        self.assertIn("partner_s=S", listed[2]["parameters"])
        os.mkdir(os.path.join(self.here, "plugins"), mode=0o755)
        plugin = os.path.join(self.here, "plugins", "share.so")
        shutil.copy(os.environ["SSI_TEST_POLICY"], plugin)
        os.chmod(plugin, 0o644)
        with open(os.path.join(self.here, "plugins", "bad.so"), "w", encoding="utf-8") as file:
            file.write("no library")
        os.chmod(os.path.join(self.here, "plugins", "bad.so"), 0o644)
        path = ("--ssi-checkpoint-policy-path", os.path.join(self.here, "plugins"))
        listed = self.run_ssi("checkpoint", "policy", "list", "--json", *path).json()["policies"]
        self.assertIn("bad.so cannot be loaded", listed[5]["error"])
        self.assertEqual((listed[6]["name"], listed[6]["file"]), ("share", plugin))
        text = self.run_ssi("checkpoint", "policy", "list", *path).out
        self.assertIn(f"share  ({plugin})\n    As many as fit into a share of the time.", text)
        run = self.runs("share percent=4", "--mtbf", "3600", "--cost", "10", *path)[0]
        self.assertGreater(run["efficiency"], 0.9)
        os.chmod(plugin, 0o666)
        self.assert_fails(self.simulate("share", "--mtbf", "9", "--cost", "1", *path), IO,
                          "chmod go-w")
        shutil.rmtree(os.path.join(self.here, "plugins"))


if __name__ == "__main__":
    main()
