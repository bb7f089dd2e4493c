#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: manual.py VERSION NAME SECTION "WHAT IT IS" INCLUDE HEADER...

Prints a manual page, in roff for man(7), of public headers: what their comments say, and what they
declare. INCLUDE is what a program includes for them."""
import re
import sys


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def plain(comment):
    """A comment's words, by lines."""
    lines = [re.sub(r"^\s*(/\*|//|\*(?!/)|)\s?", "", line).rstrip() for line in comment]
    lines[-1] = re.sub(r"\s*\*/$", "", lines[-1])
    return lines


def paragraphs(lines):
    """Text as it flows, examples as they stand."""
    out, example = [], False
    for line in lines:
        if line.startswith("   ") != example:
            example = not example
            out.append(".PP\n.nf" if example else ".fi\n.PP")
        out.append(roff(line) if line.strip() else ".sp")
    return out + [".fi"] * example


def pieces(header):
    """(comment lines, code lines), in turn, of what is public; title first."""
    text = re.sub(r"^(#|extern \"C\"|namespace).*\n|^[}].*(namespace|extern).*\n", "", header,
                  flags=re.M)
    text = re.sub(r"(?s)\n *private:.*?(?=\n};)", "", text)
    comment, code, inside = [], [], False
    for line in text.split("\n"):
        word = line.strip()
        beside = len(line) - len(line.lstrip()) > 20   # goes on with a comment beside code
        starts = word.startswith(("//", "/*")) and not (beside and code)
        if inside or starts and not (code and code[-1].rstrip().endswith(("{", ",", "("))):
            if code:
                yield comment, code
                comment, code = [], []
            comment.append(line)
            if word.startswith("// --"):   # a title stands by itself
                yield comment, code
                comment = []
            inside = (inside or word.startswith("/*")) and not word.endswith("*/")
        elif not word:
            if comment or code:
                yield comment, code
            comment, code = [], []
        else:
            code.append(line)
    if comment or code:
        yield comment, code


def page(version, name, section, what, include, headers):
    out = [f'.TH {name} {section} "" "libssi {version}" "libssi"', ".SH NAME",
           f"{roff(name)} \\- {roff(what)}", ".SH SYNOPSIS", f".B #include <{roff(include)}>",
           ".SH DESCRIPTION"]
    for path in headers:
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"SPDX-License-Identifier:.*", "", file.read(), count=1)
        for comment, code in pieces(text):
            words = [line for line in plain(comment) if line.strip() or code or len(comment) > 1] \
                if comment else []
            title = re.fullmatch(r"-* *(\w[^.]*?) *-*", words[0]) if len(words) == 1 else None
            if title and re.match(r"\s*(/\* -|// --)", comment[0]):
                out.append(f'.SH "{roff(title[1].upper())}"')
                words = []
            code = [line for line in code if not re.fullmatch(r"\s*(public:|private:|};?)", line)]
            if code:
                out += [".PP", ".nf", ".ft B", *(roff(line) for line in code), ".ft", ".fi"]
            if any(line.strip() for line in words):
                out += [".RS 4", *paragraphs(words), ".RE"]
    out += ['.SH "SEE ALSO"', ".BR ssi (1),", ".BR libssi\\-errors (7)"]
    print("\n".join(out))


def main(arguments):
    if len(arguments) < 6:
        print(__doc__)
        return 0 if "--help" in arguments else 2
    page(*arguments[:5], arguments[5:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
