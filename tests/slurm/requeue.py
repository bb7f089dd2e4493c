# SPDX-License-Identifier: BSD-3-Clause
"""Jobs of ssi-requeue.sbatch: jacobi on other numbers of ranks from run to run, and small programs
that leave, or do not, in all ways. Slurm's time limits count in minutes: the signal that --signal
sends before the end comes from `scancel --batch` here."""
import json
import os
import re
import time

PLATE = ["--size", "512", "--iterations", "12000"]
SECONDS = 60   # for each thing that is waited for
LEAVES = 'trap "exit 75" TERM; echo ready; while :; do sleep 0.1; done'
RANKS = "$((%s ${SLURM_RESTART_COUNT:-0}))"


class Job:
    def __init__(self, testbed, work, name, *command, options=()):
        self.testbed, self.name = testbed, name
        self.path = os.path.join(work, f"{name}.out")
        code, text = testbed("run", "sbatch", "--parsable", f"--output={self.path}",
                             f"--job-name={name}", f"--chdir={work}", *options,
                             "ssi-requeue.sbatch", *command)
        self.id = text.strip() if code == 0 else "0"
        self.problem = "" if code == 0 else text

    def output(self):
        """What sbatch said when it failed, and what all runs have printed."""
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                return self.problem + file.read()
        except OSError:
            return self.problem

    def wait_for(self, condition):
        end = time.monotonic() + SECONDS
        while not condition():
            if self.problem or time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def says(self, text):
        return self.wait_for(lambda: text in self.output())

    def ask(self, begun):
        """What Slurm does before the time is up, as soon as the program has begun."""
        if self.says(begun):
            self.testbed("run", "scancel", "--batch", "--signal=USR1", self.id)

    def state(self):
        """State, restarts and exit code, such as "COMPLETED 1 0"."""
        found = re.search(r" JobState=(\S+) .* Restarts=(\d+) .* ExitCode=(\d+):",
                          self.testbed("run", "scontrol", "show", "job", "-o", self.id)[1])
        return " ".join(found.groups()) if found else "unknown"

    def ends(self, *states):
        last = []

        def ended():
            last[:] = [self.state()]
            return last[0] in states
        if self.wait_for(ended):
            return True
        self.problem += f"job {self.id} is {last}, not {states}\n"
        return False


def jacobi_jobs(testbed, work, jacobi):
    """By srun on one rank and then on two, by mpirun on two and then on one."""
    for launcher, ranks in (("srun --mpi=pmix", "1 +"), ("mpirun", "2 -")):
        name = launcher.split()[0]
        yield Job(testbed, work, name, "--", "sh", "-c",
                  f'exec {launcher} -n {RANKS % ranks} "$@"', name, jacobi, *PLATE, "--json",
                  "--checkpoint", os.path.join(work, name), "--restart",
                  options=("--nodes=2", "--ntasks-per-node=1"))


def check_jacobi(tap, job, digest):
    name, before = job.name, 1 if job.name == "srun" else 2
    tap.check(job.ends("COMPLETED 1 0"), f"{name}: the job is queued again once and completes",
              job.output())
    text = job.output()
    left = re.search(r"leaves at step (\d+), which is saved", text)
    step = int(left.group(1)) if left else 0
    tap.check(0 < step < int(PLATE[-1]) and "it left after a last checkpoint" in text,
              f"{name}: its first run saves and leaves in the middle", text)
    tap.check(f"step {step}, saved by {before} rank" in text,
              f"{name}: its second run goes on from there", text)
    tap.check(f'"ranks": {3 - before},' in text, f"{name}: on {3 - before} instead of {before}",
              text)
    tap.check(f'"digest": "{digest}"' in text,
              f"{name}: the result is that of a run without interruption, every bit", text)


def small_jobs(testbed, work):
    def job(name, *command):
        return Job(testbed, work, name, *command, options=("--nodes=1", "--ntasks=1"))
    again = '[ -z "$SLURM_RESTART_COUNT" ] || exit '
    return (job("late", "--wait", "1", "--", "bash", "-c",
                f'{again} 0; trap "" TERM; echo ready; exec sleep 100'),
            job("limit", "--limit", "1", "--", "srun", "--mpi=none", "bash", "-c",
                f"{again} 75; {LEAVES}"),
            job("cancel", "--", "srun", "bash", "-c", LEAVES),
            job("fails", "--", "bash", "-c", "exit 9"))


def run(tap, testbed, root, jacobi, work):
    os.environ["PATH"] += f":{root}/scripts"
    code, text = testbed("run", "mpirun", "-n", "1", jacobi, *PLATE, "--json")
    digest = json.loads(text)["digest"] if code == 0 else text
    jobs = list(jacobi_jobs(testbed, work, jacobi))
    late, limit, cancel, fails = small_jobs(testbed, work)
    for job in jobs:
        job.ask("begins at step 0")
    for job in late, limit:
        job.ask("ready")
    if cancel.says("ready"):
        testbed("run", "scancel", cancel.id)
    for job in jobs:
        check_jacobi(tap, job, digest)
    tap.check(late.ends("COMPLETED 1 0") and "not gone after 1 s" in late.output(),
              "a program that does not leave in time is run again", late.output())
    tap.check(limit.ends("FAILED 1 75") and "given up" in limit.output(),
              "no more often than allowed", limit.output())
    tap.check(cancel.says("not queued again") and cancel.ends("CANCELLED 0 0", "CANCELLED 0 75"),
              "a job that was cancelled is not queued again, although it saves", cancel.output())
    tap.check(fails.ends("FAILED 0 9"), "nor one whose program fails", fails.output())
