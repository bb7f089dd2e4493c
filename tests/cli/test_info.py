# SPDX-License-Identifier: BSD-3-Clause
"""`ssi info`."""
import os

from support import ProgramTest, main


class Info(ProgramTest):
    def test_json_tells_of_this_machine(self):
        result = self.run_ssi("info", "--json")
        self.assertEqual(result.code, 0, result.err)
        info = result.json()
        self.assertEqual(info["host"]["name"], os.uname().nodename)
        self.assertLessEqual(1, info["cores"]["usable"])
        self.assertLessEqual(info["cores"]["usable"], len(os.sched_getaffinity(0)))
        self.assertEqual(info["memory"][0]["name"], "memory of the machine")
        self.assertGreater(info["memory"][0]["left_bytes"], 0)
        self.assertRegex(info["ucx"]["version"], r"^\d+\.\d+\.\d+$")
        self.assertIn("tcp", {t["transport"] for t in info["ucx"]["transports"]})
        self.assertEqual(info["launcher"]["name"], "none")
        self.assertEqual(info["settings"], {})
        self.assertEqual(result.err, "")

    def test_text_names_what_json_does(self):
        result = self.run_ssi("info", env={"SSI_PROGRESS": "yield"})
        self.assertEqual(result.code, 0)
        for name in ("libssi", "host", "cores", "memory", "ucx", "mpi", "launcher"):
            self.assertRegex(result.out, rf"(?m)^{name} ")
        self.assertIn("progress set by SSI_PROGRESS", result.out)

    def test_launchers_are_known_by_their_variables(self):
        def launcher(**variables):
            return self.run_ssi("info", "--json", env=variables).json()["launcher"]

        slurm = launcher(SLURM_JOB_ID="7", SLURM_TASKS_PER_NODE="4(x2)")
        self.assertEqual((slurm["name"], slurm["local_ranks"]), ("slurm", 4))
        mpirun = launcher(OMPI_COMM_WORLD_SIZE="8", OMPI_COMM_WORLD_LOCAL_SIZE="2")
        self.assertEqual((mpirun["name"], mpirun["local_ranks"]), ("mpirun", 2))
        both = launcher(SLURM_JOB_ID="7", OMPI_COMM_WORLD_SIZE="8")
        self.assertEqual(both["name"], "slurm and mpirun")

    def test_noise_of_ucx_stays_out_of_json(self):
        result = self.run_ssi("info", "--json",
                              env={"UCX_LOG_LEVEL": "info", "UCX_NONSENSE_VARIABLE": "1"})
        self.assertEqual(result.code, 0)
        result.json()

    def test_bad_settings_end_it(self):
        self.assert_fails(self.run_ssi("info", env={"SSI_NONSENSE": "1"}), 2, "SSI_NONSENSE")


if __name__ == "__main__":
    main()
