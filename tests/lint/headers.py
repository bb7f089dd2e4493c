# SPDX-License-Identifier: BSD-3-Clause
"""Every public header compiles alone, seeing only its own layer's include directories and those
below.

A header that passed is not compiled again until it, or a header of ours that it includes, or the
compiler changes: the build directory keeps a list of hashes."""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess

from tree import Violation

# Layer folder -> the include directories on its path, as in the meson files.
STACK = ["runtime/base", "runtime/sys", "runtime/net", "runtime/node", "kddm", "io", "ckpt",
         "capi"]
OURS = re.compile(r'^\s*#\s*include\s*"(ssi/[^"]+)"', re.M)


def public_headers(root):
    for place, layer in enumerate(STACK):
        top = os.path.join(root, layer, "include")
        for folder, _, names in sorted(os.walk(top)):
            for name in sorted(names):
                if name.endswith((".hpp", ".h")):
                    full = os.path.join(folder, name)
                    yield layer, os.path.relpath(full, top), [
                        os.path.join(root, below, "include") for below in STACK[:place + 1]]


def closure(header, include_dirs, seen):
    """The texts of a header and of all headers of ours that it includes."""
    if header in seen:
        return
    for folder in include_dirs:
        try:
            with open(os.path.join(folder, header), encoding="utf-8") as file:
                text = file.read()
        except OSError:
            continue
        seen[header] = text
        for name in OURS.findall(text):
            closure(name, include_dirs, seen)
        return
    seen[header] = "missing"


def compile_alone(compiler, flags, header, include_dirs):
    """What the compiler says, "" when nothing. A C header is C99, and C++ of any age too."""
    if header.endswith(".h"):
        dialects = [["-std=c99", "-pedantic", "-x", "c"], ["-std=c++11", "-pedantic", "-x", "c++"]]
    else:
        dialects = [["-std=c++20", "-x", "c++", *flags]]
    return "".join(compile_as(compiler + dialect, header, include_dirs) for dialect in dialects)


def compile_as(command, header, include_dirs):
    command = command + ["-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    command += [f"-I{folder}" for folder in include_dirs] + ["-"]
    # Twice: it must also guard itself.
    text = f'#include "{header}"\n' * 2
    done = subprocess.run(command, input=text, text=True, stderr=subprocess.PIPE, check=False)
    return "" if done.returncode == 0 else done.stderr


def fingerprint(identity, header, include_dirs):
    seen = {}
    closure(header, include_dirs, seen)
    return hashlib.sha256(json.dumps([identity, header, sorted(seen.items())]).encode()).hexdigest()


def first_error(output):
    lines = [line for line in output.split("\n") if "error:" in line]
    return (lines or output.strip().split("\n"))[0]


def check(root, compiler, cache_path):
    version = subprocess.run(compiler + ["--version"], stdout=subprocess.PIPE, text=True,
                             check=True).stdout.split("\n")[0]
    flags = subprocess.run(["pkg-config", "--cflags", "fmt"], stdout=subprocess.PIPE, text=True,
                           check=False).stdout.split()
    flags.append("-Wno-missing-field-initializers")
    try:
        with open(cache_path, encoding="utf-8") as file:
            passed = set(json.load(file))
    except (OSError, ValueError):
        passed = set()
    wanted = []
    for layer, header, include_dirs in public_headers(root):
        key = fingerprint([version, flags], header, include_dirs)
        wanted.append((layer, header, include_dirs, key))
    to_compile = [item for item in wanted if item[3] not in passed]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        outputs = list(pool.map(lambda i: compile_alone(compiler, flags, i[1], i[2]), to_compile))
    failed = {item[3] for item, output in zip(to_compile, outputs) if output}
    with open(cache_path, "w", encoding="utf-8") as file:
        json.dump(sorted({item[3] for item in wanted} - failed), file)
    for item, output in zip(to_compile, outputs):
        if output:
            yield Violation("headers", f"{item[0]}/include/{item[1]}", 1,
                            f"does not compile alone: {first_error(output)}")
    if not wanted:
        yield Violation("headers", ".", 1, "found no public header")
