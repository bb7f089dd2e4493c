# SPDX-License-Identifier: BSD-3-Clause
"""Runs a program on three ranks, of which one kills itself while the others go on."""
import os
import signal
import subprocess


def run(limit_seconds, program, *arguments):
    """(hung, lines of standard output)"""
    command = ["mpirun", "--oversubscribe", "--bind-to", "none", "--enable-recovery", "-n", "3",
               program, *arguments]
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True)
    try:
        output, _ = process.communicate(timeout=limit_seconds)
        return False, output.splitlines()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate()
        return True, output.splitlines()
