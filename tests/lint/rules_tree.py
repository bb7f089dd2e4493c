# SPDX-License-Identifier: BSD-3-Clause
"""Rules about scripts and about the tree as a whole: dead sources, one-file libraries, scripts that
explain themselves, Python functions."""
import ast
import os
import re
import subprocess

from rules_code import FUNCTION_LINES, includes
from tree import Violation


def dead_sources(root, sources):
    """A source no meson.build names is dead code."""
    named = {}
    for source in sources:
        if source.name == "meson.build":
            named[source.folder] = source.text
    for source in sources:
        if not source.name.endswith((".cpp", ".c")) or "fixtures" in source.path.split("/"):
            continue
        if source.under("tests/install"):
            continue  # built outside the tree, by the suite
        folder, built = source.folder, False
        while not built:
            text = named.get(folder, "")
            stem = re.escape(source.name.rsplit(".", 1)[0])
            built = re.search(rf"(?<![\w-]){stem}(?![\w-])", text) is not None
            if not folder:
                break
            folder = folder.rsplit("/", 1)[0] if "/" in folder else ""
        if not built:
            yield Violation("dead_sources", source.path, 1, "no meson.build builds it")


# Expensive headers (5 s of compile time each): one file includes them, the others its header.
ONE_FILE = {"spdlog": ("runtime", "kddm", "apps"), "CLI": ("apps", "tests", "bench")}


def one_file(root, sources):
    for library, folders in ONE_FILE.items():
        by_folder = {}
        for source in sources:
            if source.is_cpp and source.under(*folders) and any(
                    name.startswith(library + "/") for _, _, name in includes(source)):
                by_folder.setdefault(source.folder, []).append(source.path)
        for users in by_folder.values():
            for path in users[1:]:
                yield Violation("one_file", path, 1,
                                f"<{library}/...> costs 5 s a file: only {users[0]} includes it")


def scripts(root, sources):
    for source in sources:
        if not source.is_shell:
            continue
        lib = "/lib.sh\""
        if "set -euo pipefail" not in source.text and lib not in source.text:
            yield Violation("scripts", source.path, 1, "no `set -euo pipefail`")
        if source.text.startswith("#!") and not os.access(os.path.join(root, source.path), os.X_OK):
            yield Violation("scripts", source.path, 1, "not executable")
        check = subprocess.run(["bash", "-n"], input=source.text, text=True,
                               stderr=subprocess.PIPE, check=False)
        if check.returncode:
            yield Violation("scripts", source.path, 1, check.stderr.strip().split("\n")[0])


def script_help(root, sources):
    """Every command of ours explains itself, from any directory, without doing anything."""
    for source in sources:
        is_command = source.under("scripts", ".ci") and source.text.startswith("#!")
        if not is_command or source.name.endswith(".sbatch"):
            continue
        path = os.path.join(root, source.path)
        try:
            answer = subprocess.run([path, "--help"], cwd="/", stdout=subprocess.PIPE, timeout=20,
                                    stderr=subprocess.PIPE, text=True, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            yield Violation("script_help", source.path, 1, f"--help: {error}")
            continue
        if answer.returncode != 0 or "usage:" not in answer.stdout:
            yield Violation("script_help", source.path, 1,
                            f"--help: exit code {answer.returncode}, and no `usage:` in its output"
                            if answer.returncode == 0 else
                            f"--help: exit code {answer.returncode}: {answer.stderr.strip()[:80]}")


def python_length(source):
    if not source.is_python:
        return
    try:
        parsed = ast.parse(source.text)
    except SyntaxError as error:
        yield Violation("python", source.path, error.lineno or 1, f"does not parse: {error.msg}")
        return
    for item in ast.walk(parsed):
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = item.end_lineno - item.lineno + 1
            if lines > FUNCTION_LINES:
                yield Violation("python", source.path, item.lineno,
                                f"{item.name} has {lines} lines; at most {FUNCTION_LINES}")


def shell_length(source):
    if not source.is_shell:
        return
    start = None
    for number, line in enumerate(source.lines, 1):
        if re.match(r"^\w+\(\) \{$", line):
            start = number
        elif line == "}" and start:
            if number - start + 1 > FUNCTION_LINES:
                yield Violation("shell", source.path, start,
                                f"{number - start + 1} lines; at most {FUNCTION_LINES}")
            start = None


PER_FILE = {"python": python_length, "shell": shell_length}
PER_TREE = {"dead_sources": dead_sources, "one_file": one_file, "scripts": scripts,
            "script_help": script_help}
