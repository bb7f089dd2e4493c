# SPDX-License-Identifier: BSD-3-Clause
"""Rules about text: licence line, lengths, words that do not belong into the tree, documents."""
import os
import re

from tree import Violation

LICENCE = "SPDX-License-Identifier: BSD-3-Clause"
COLUMNS = 100
SOFT_LINES, HARD_LINES = 400, 800
README_LINES = 40

# Written in pieces, so that this file passes its own rule.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
# Folders of somebody's machine; the standard ones (/usr, /etc, /proc, /tmp ...) are fine.
MACHINE_PATH = re.compile(
    r"(?<![\w./:<>\-*}\])])/(home|root|work|mnt|srv|scratch|Users)(/\w|\b(?!/))")
URL = re.compile(r"https?://([\w.-]+)")
# Where a reader anywhere can go. A mirror or a proxy of the writer's network is none of these.
KNOWN_HOSTS = re.compile(
    r"(^|\.)(github\.com|github\.io|debian\.org|doi\.org|acm\.org|ieee\.org|open-mpi\.org"
    r"|openucx\.org|boost\.org|schedmd\.com|kernel\.org|man7\.org|llvm\.org|gnu\.org"
    r"|mesonbuild\.com|openmetrics\.io|prometheus\.io|unimi\.it|cppreference\.com|spdx\.org"
    r"|wikipedia\.org|arxiv\.org|graph500\.org|keepachangelog\.com|semver\.org|example\.org)$")
ADDRESS = re.compile(r"(?<![\d.])(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?![\d.])")
HARMLESS_ADDRESS = re.compile(r"^(127\.|0\.0\.0\.0$|255\.|10\.0\.0\.|192\.0\.2\.)")


def spdx(source):
    if not source.is_code:
        return
    place = 1 if source.text.startswith("#!") else 0
    if len(source.lines) <= place or LICENCE not in source.lines[place]:
        yield Violation("spdx", source.path, place + 1, f"the line must read `{LICENCE}`")


def line_length(source):
    if not source.is_code:
        return
    for number, line in enumerate(source.lines, 1):
        if len(line) > COLUMNS and not URL.search(line):
            yield Violation("line_length", source.path, number,
                            f"{len(line)} columns; at most {COLUMNS}")


def file_length(source):
    if source.is_code and len(source.lines) > SOFT_LINES:
        hard = len(source.lines) > HARD_LINES
        yield Violation("file_length", source.path, len(source.lines),
                        f"{len(source.lines)} lines; at most {HARD_LINES}, better {SOFT_LINES}",
                        warning=not hard)


def whitespace(source):
    for number, line in enumerate(source.lines, 1):
        if source.is_code and line != line.rstrip():
            yield Violation("whitespace", source.path, number, "blanks at the end of the line")
        if "\t" in line and source.is_code:
            yield Violation("whitespace", source.path, number, "a tab; indent by 4 spaces")


def unfinished(source):
    for number, line in enumerate(source.lines, 1):
        match = UNFINISHED.search(line)
        if match:
            yield Violation("unfinished", source.path, number,
                            f"{match.group(0)}: finish it, or write a docs/decisions entry")


def machine(source):
    for number, line in enumerate(source.lines, 1):
        for match in MACHINE_PATH.finditer(line):
            yield Violation("machine", source.path, number,
                            f"`{match.group(0)}` is a path of one machine")
        for host in URL.findall(line):
            if not KNOWN_HOSTS.search(host):
                yield Violation("machine", source.path, number,
                                f"host {host} is not one every reader can reach "
                                "(if it is, add it to KNOWN_HOSTS in tests/lint/rules_text.py)")
        for address in ADDRESS.findall(line):
            if not HARMLESS_ADDRESS.match(address):
                yield Violation("machine", source.path, number,
                                f"{address} is one machine's address")


COMMENTED_CODE = re.compile(
    r"^\s*//+\s*("
    r"[\w.:>\-]+\([^)]*\);"                                   # f(x);
    r"|(const )?(auto|int|bool|std::\w+)&? \w+ ?=.*;"         # auto x = ...;
    r"|(if|for|while) \(.*\) ?\{?"
    r"|#\s*(include|if|ifdef|define|endif)\b.*"
    r")\s*$")


def commented_code(source):
    if not source.name.endswith((".cpp", ".c")):  # headers may show how they are used
        return
    for number, line in enumerate(source.lines, 1):
        if COMMENTED_CODE.match(line):
            yield Violation("commented_code", source.path, number,
                            "code in a comment: delete it, version control remembers")


def readme_length(source):
    if source.name == "README.md" and source.folder and len(source.lines) > README_LINES:
        yield Violation("readme", source.path, len(source.lines),
                        f"{len(source.lines)} lines; a folder's README has at most {README_LINES}")


# ---- over the whole tree

def needs_readme(folder):
    """Layers, applications, suites, scripts; not the inside of include/ nor data."""
    parts = folder.split("/")
    if not folder or "include" in parts or "fixtures" in parts or parts[0].startswith("."):
        return False
    limit = {"runtime": 2, "apps": 2, "bench": 2, "tests": 2, "docs": 2, "scripts": 2}
    return len(parts) <= limit.get(parts[0], 1)


def readme_exists(root, sources):
    folders = {s.folder for s in sources if s.is_code or s.is_markdown}
    for folder in sorted(folders):
        if needs_readme(folder) and not os.path.isfile(os.path.join(root, folder, "README.md")):
            yield Violation("readme", folder, 1, "no README.md: what it is, what it may include, "
                            "where to start reading, invariants")


LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)]*)?\)")


def links(root, sources):
    for source in sources:
        if not source.is_markdown:
            continue
        for number, line in enumerate(source.lines, 1):
            for target, _ in LINK.findall(line):
                if "://" in target or target.startswith("mailto:"):
                    continue
                if not os.path.exists(os.path.join(root, source.folder, target)):
                    yield Violation("links", source.path, number, f"no such file: {target}")


PER_FILE = {"spdx": spdx, "line_length": line_length, "file_length": file_length,
            "whitespace": whitespace, "unfinished": unfinished, "machine": machine,
            "commented_code": commented_code, "readme_length": readme_length}
PER_TREE = {"readme": readme_exists, "links": links}
