# SPDX-License-Identifier: BSD-3-Clause
"""The tree as the rules see it: its files, and C++ text without comments and strings."""
import os
import re

SKIPPED_FOLDERS = re.compile(r"^(\.git|build.*|__pycache__|\.ccache)$")
CPP = (".cpp", ".hpp", ".h", ".c")


class Violation:
    def __init__(self, rule, path, line, text, warning=False):
        self.rule, self.path, self.line, self.text, self.warning = rule, path, line, text, warning

    def __str__(self):
        kind = "warning: " if self.warning else ""
        return f"{self.path}:{self.line}: {kind}{self.text}"


class Source:
    """One file. `path` is relative to the tree's root, with forward slashes."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.lines = text.split("\n")
        if self.lines and not self.lines[-1]:
            self.lines.pop()
        self.name = path.rsplit("/", 1)[-1]
        self.folder = path.rsplit("/", 1)[0] if "/" in path else ""
        self._code = None

    @property
    def is_cpp(self):
        return self.name.endswith(CPP)

    @property
    def is_python(self):
        return self.name.endswith(".py") or self.text.startswith("#!/usr/bin/env python3")

    @property
    def is_shell(self):
        return (self.name.endswith((".sh", ".sbatch"))
                or re.match(r"#!\S*(/env )?\S*bash", self.text) is not None)

    @property
    def is_meson(self):
        return self.name in ("meson.build", "meson_options.txt")

    @property
    def is_markdown(self):
        return self.name.endswith(".md")

    @property
    def is_code(self):
        return self.is_cpp or self.is_python or self.is_shell or self.is_meson

    @property
    def code(self):
        """C++ without comments and with empty string literals; the lines stay where they are."""
        if self._code is None:
            self._code = strip_cpp(self.text)
        return self._code

    @property
    def code_lines(self):
        return self.code.split("\n")

    def under(self, *prefixes):
        return any(self.path == p or self.path.startswith(p.rstrip("/") + "/") for p in prefixes)


TOKEN = re.compile(
    r'//(?:[^\n\\]|\\.|\\\n)*'              # line comment
    r'|/\*.*?\*/'                           # block comment
    r'|R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"'
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|(?<![0-9a-fA-FxX])'(?:[^'\\\n]|\\.)+'",  # not the separator of 1'000'000
    re.S)


def strip_cpp(text):
    def blank(match):
        token = match.group(0)
        newlines = "\n" * token.count("\n")
        if token.startswith("/"):
            return " " + newlines
        # An include's file name is needed by the rules about includes.
        start = text.rfind("\n", 0, match.start()) + 1
        if re.match(r"\s*#\s*include\s*$", text[start:match.start()]):
            return token
        return ('""' if token[0] in 'R"' else "' '") + newlines
    return TOKEN.sub(blank, text)


def load(root):
    """All text files of the tree, by path. Build directories and Git's own files are left out."""
    sources = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not SKIPPED_FOLDERS.match(f))
        for name in sorted(names):
            full = os.path.join(folder, name)
            if os.path.islink(full) or name.endswith(".pyc"):
                continue
            try:
                with open(full, encoding="utf-8") as file:
                    text = file.read()
            except (UnicodeDecodeError, OSError):
                continue
            if "\0" not in text:
                sources.append(Source(os.path.relpath(full, root).replace(os.sep, "/"), text))
    return sources
