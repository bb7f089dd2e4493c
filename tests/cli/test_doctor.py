# SPDX-License-Identifier: BSD-3-Clause
"""`ssi doctor`: healthy here, and each thing that can be broken for one process is noticed."""
import os
import resource
import shutil
import subprocess
import unittest

from support import PROGRAM, SANITIZED, ProgramTest, main

CHECKS = ("configuration", "ucx", "messages", "shared memory", "cma", "memory", "cores",
          "oversubscription", "locked memory", "open files", "file size", "address space",
          "scratch", "control socket", "launcher", "mpi", "root", "huge pages", "process handles")
MIB = 1 << 20


def limit(which, value):
    hard = resource.getrlimit(which)[1]
    return lambda: resource.setrlimit(which, (value, hard))


class DoctorTest(ProgramTest):
    def doctor(self, *arguments, **more):
        result = self.run_ssi("doctor", "--json", *arguments, **more)
        self.assertEqual(result.err, "")
        report = result.json()
        checks = {check["name"]: check for check in report["checks"]}
        self.assertEqual(tuple(checks), CHECKS)
        failed = [c for c in checks.values() if c["status"] == "fail"]
        self.assertEqual(result.code, 1 if failed else 0)
        self.assertEqual(report["healthy"], not failed)
        for check in checks.values():
            self.assertIn(check["status"], ("ok", "warn", "fail"))
            self.assertNotEqual(check["measured"], "", check)
            self.assertEqual(check["advice"] == "", check["status"] == "ok", check)
        self.report = report
        return checks

    def assert_check(self, check, status, *texts):
        self.assertEqual(check["status"], status, check)
        for text in texts:
            self.assertIn(text, check["measured"] + "\n" + check["advice"])


class Doctor(DoctorTest):
    def test_this_machine_is_healthy(self):
        result = self.run_ssi("doctor", "--ranks", "1")
        self.assertEqual(result.code, 0, result.out)
        self.assertRegex(result.out, r"\nhealthy: \d+ ok, \d+ warned, 0 failed\n$")
        for name in CHECKS:
            self.assertRegex(result.out, rf"(?m)^(ok|warn) +{name} ")

    def test_a_control_socket_is_really_made_and_leaves_nothing(self):
        self.assert_check(self.doctor("--ranks", "1")["control socket"], "ok", self.here + "/ssi")
        path = self.file("file", "x")
        checks = self.doctor("--ranks", "1", env={"SSI_CONTROL_DIRECTORY": path})
        self.assert_check(checks["control socket"], "warn", path, "ENOTDIR",
                          "SSI_CONTROL_DIRECTORY")

    def test_a_message_really_passes(self):
        self.assert_check(self.doctor("--ranks", "1")["messages"], "ok", "over shared memory ",
                          "over tcp ", " us")

    def test_transports_that_do_not_exist_are_named(self):
        checks = self.doctor("--ranks", "1", env={"UCX_TLS": "bogus"})
        self.assert_check(checks["messages"], "fail", "UCX_TLS bogus", "unset UCX_TLS")
        checks = self.doctor("--ranks", "1", env={"SSI_NET_UCX_TLS": "bogus"})
        self.assert_check(checks["messages"], "fail", "bogus", "SSI_NET_UCX_TLS")

    def test_a_device_that_does_not_exist_is_noticed(self):
        checks = self.doctor("--ranks", "1", env={"UCX_NET_DEVICES": "ib99"})
        self.assert_check(checks["messages"], "warn", "over tcp failed", "UCX_NET_DEVICES")

    def test_a_bad_variable_fails_the_configuration_alone(self):
        checks = self.doctor("--ranks", "1", env={"SSI_ARENA_WARM_BYTE": "1"})
        self.assert_check(checks["configuration"], "fail", "SSI_ARENA_WARM_BYTE", "did you mean")
        self.assertEqual([c["name"] for c in checks.values() if c["status"] == "fail"],
                         ["configuration"])

    def test_settings_that_are_not_defaults_are_listed(self):
        checks = self.doctor("--ranks", "1", env={"SSI_LOG_LEVEL": "info"})
        self.assert_check(checks["configuration"], "ok", "log.level set by SSI_LOG_LEVEL")

    def test_bad_options_are_usage_errors(self):
        self.assert_fails(self.run_ssi("doctor", "--ranks", "0"), 2, "--ranks")
        self.assert_fails(self.run_ssi("doctor", "--ranks", "many"), 2, "--ranks")
        self.assert_fails(self.run_ssi("doctor", "--arena", "4X"), 2, "--arena", "4X")
        self.assert_fails(self.run_ssi("doctor", "--arena"), 2, "--arena")


class Memory(DoctorTest):
    def test_what_cannot_fit_is_refused_with_what_would(self):
        checks = self.doctor("--ranks", "8", "--arena", "100T")
        self.assert_check(checks["memory"], "fail", "8 ranks with --arena 100 TiB", "do not fit",
                          "at most 0 ranks", "SSI_ARENA_LIMIT_BYTES")
        self.assertEqual(self.report["budget"]["ranks"], 8)

    def test_the_setting_counts_like_the_option(self):
        checks = self.doctor("--ranks", "2", env={"SSI_ARENA_LIMIT_BYTES": "60T"})
        self.assert_check(checks["memory"], "fail", "arena.limit_bytes 60 TiB")

    def test_too_many_ranks_do_not_fit_even_when_idle(self):
        self.assert_check(self.doctor("--ranks", "1000000")["memory"], "fail", "do not fit")

    def test_ranks_come_from_the_launcher(self):
        checks = self.doctor(env={"OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_LOCAL_SIZE": "3"})
        self.assert_check(checks["memory"], "ok", "3 ranks (by the launcher's variables)")
        self.assert_check(checks["launcher"], "ok", "mpirun", "OMPI_COMM_WORLD_LOCAL_SIZE 3")

    def test_a_control_group_counts(self):
        group = make_control_group(300 * MIB)
        if not group:
            self.skipTest("no control group can be made here")
        self.addCleanup(os.rmdir, group)

        def enter():
            with open(os.path.join(group, "cgroup.procs"), "w", encoding="utf-8") as file:
                file.write("0")

        checks = self.doctor("--ranks", "1", limits=enter)
        self.assert_check(checks["memory"], "ok", "of cgroup", "300 MiB left")
        checks = self.doctor("--ranks", "2", "--arena", "200M", limits=enter)
        self.assert_check(checks["memory"], "fail", "do not fit into memory.",
                          os.path.basename(group))


def make_control_group(limit_bytes):
    """A new group below ours with a limit, for version 1 or 2; None where that is not allowed."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(":", 2) for line in file]
    for _, controllers, path in lines:
        if controllers == "memory":
            base, name = "/sys/fs/cgroup/memory" + path, "memory.limit_in_bytes"
        elif controllers == "":
            base, name = "/sys/fs/cgroup" + path, "memory.max"
        else:
            continue
        group = os.path.join(base, f"ssi-test-{os.getpid()}")
        try:
            os.mkdir(group)
        except OSError:
            continue
        try:
            with open(os.path.join(group, name), "w", encoding="utf-8") as file:
                file.write(str(limit_bytes))
            return group
        except OSError:
            os.rmdir(group)
    return None


class Limits(DoctorTest):
    def test_few_open_files(self):
        checks = self.doctor("--ranks", "1", limits=limit(resource.RLIMIT_NOFILE, 100))
        self.assert_check(checks["open files"], "fail", "RLIMIT_NOFILE (ulimit -n) is 100")

    def test_little_locked_memory(self):
        checks = self.doctor("--ranks", "1", limits=limit(resource.RLIMIT_MEMLOCK, 16384))
        self.assert_check(checks["locked memory"], "warn", "RLIMIT_MEMLOCK (ulimit -l) is 16 KiB")

    def test_small_files_also_limit_shared_memory(self):
        checks = self.doctor("--ranks", "1", limits=limit(resource.RLIMIT_FSIZE, 65536))
        self.assert_check(checks["file size"], "fail", "RLIMIT_FSIZE (ulimit -f) is 64 KiB")
        self.assert_check(checks["shared memory"], "fail", "memfd", "signal 25")

    @unittest.skipIf(SANITIZED, "sanitizers need address space")
    def test_little_address_space(self):
        checks = self.doctor("--ranks", "1", limits=limit(resource.RLIMIT_AS, 2048 * MIB))
        self.assert_check(checks["address space"], "fail", "RLIMIT_AS (ulimit -v) is 2 GiB")

    def test_more_ranks_than_cores(self):
        ranks = str(2 * os.cpu_count())
        checks = self.doctor("--ranks", ranks)
        self.assert_check(checks["oversubscription"], "warn", "--oversubscribe")
        checks = self.doctor("--ranks", ranks, "--ssi-progress", "spin")
        self.assert_check(checks["oversubscription"], "fail", "SSI_PROGRESS=auto")

    def test_affinity_counts_not_the_machine(self):
        one = min(os.sched_getaffinity(0))
        checks = self.doctor("--ranks", "2", limits=lambda: os.sched_setaffinity(0, {one}))
        self.assert_check(checks["cores"], "ok", "1 usable of", f"affinity {one}")
        self.assert_check(checks["oversubscription"], "warn", "2 ranks (by --ranks) on 1 usable")


class Places(DoctorTest):
    def test_unwritable_scratch_is_named_with_its_variable(self):
        path = self.file("a-file", "")
        for folder, why in (("/nonexistent", "No such file"), ("/proc", ""),
                            (path, "no directory")):
            checks = self.doctor("--ranks", "1", env={"TMPDIR": folder})
            self.assert_check(checks["scratch"], "fail", "$TMPDIR " + folder, why, "set TMPDIR")

    def test_scratch_of_slurm_is_taken_when_there_is_no_tmpdir(self):
        checks = self.doctor("--ranks", "1", env={"TMPDIR": "", "SLURM_TMPDIR": "/nonexistent"})
        self.assert_check(checks["scratch"], "fail", "$SLURM_TMPDIR /nonexistent")

    def test_no_launcher_in_path(self):
        checks = self.doctor("--ranks", "1", env={"PATH": self.here})
        self.assert_check(checks["launcher"], "warn", "mpirun: not found", "openmpi-bin")

    @unittest.skipUnless(os.geteuid() == 0, "for root alone")
    def test_root_needs_both_variables_of_open_mpi(self):
        self.assert_check(self.doctor("--ranks", "1")["root"], "warn", "OMPI_ALLOW_RUN_AS_ROOT=1")
        allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        self.assert_check(self.doctor("--ranks", "1", env=allowed)["root"], "ok")

    def in_namespace(self, size, script):
        """Runs a shell script with its own /dev/shm and processes; None where that is refused."""
        unshare = shutil.which("unshare")
        if not unshare:
            return None
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        process = subprocess.run(
            [unshare, "--mount", "--pid", "--fork", "--mount-proc", *user, "sh", "-c",
             f"mount -t tmpfs -o size={size} tmpfs /dev/shm || exit 99; {script}"],
            text=True, capture_output=True, env=self.environment({"SSI": PROGRAM}),
            cwd=self.here, timeout=120, check=False)
        return None if process.returncode in (1, 99) and "nshare" in process.stderr else process

    def test_small_dev_shm_is_noticed(self):
        process = self.in_namespace("2m", '"$SSI" doctor --ranks 8; true')
        if process is None:
            self.skipTest("no mount namespace can be made here")
        self.assertRegex(process.stdout, r"(?m)^fail +shared memory .*/dev/shm: 2 MiB of 2 MiB "
                                         r"free, 8 ranks may need 128 MiB$")
        self.assertIn("--shm-size=128m", process.stdout)

    def test_nothing_stays_in_shared_memory_or_running(self):
        process = self.in_namespace(
            "64m", '"$SSI" doctor --ranks 1 >/dev/null && "$SSI" info >/dev/null && echo ran;'
                   "find /dev/shm -mindepth 1; cat /proc/[0-9]*/comm | grep -x ssi")
        if process is None:
            self.skipTest("no mount namespace can be made here")
        self.assertEqual(process.stdout, "ran\n", "left behind")


if __name__ == "__main__":
    main()
