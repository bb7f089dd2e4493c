# SPDX-License-Identifier: BSD-3-Clause
"""Rules about C++ code: what is banned where, who may include what, function length."""
import re

from tree import Violation

# (what is banned, where it is allowed, what to use instead). tests/ and bench/ drive libssi from
# outside and may use threads and clocks of the machine; the rows that hold for them too say so.
OUTSIDE = ("tests", "bench")
DOORS = [
    (r"\bstd::(recursive_|shared_|timed_)?mutex\b|\bpthread_mutex_\w+", ("runtime/sys", *OUTSIDE),
     "sys::Mutex"),
    (r"\bstd::condition_variable(_any)?\b", ("runtime/sys", *OUTSIDE), "sys::Condition"),
    (r"\bstd::j?thread\b(?!::hardware)|\bstd::async\b|\bpthread_create\b",
     ("runtime/sys", *OUTSIDE), "sys::Tasks::spawn"),
    (r"\bthread_local\b|\b__thread\b|\bpthread_(get|set)specific\b", ("runtime/sys", *OUTSIDE),
     "sys::Task::slot (task-local storage)"),
    (r"\bstd::this_thread::sleep\w*|\b(u|nano|clock_nano)sleep\s*\("
     r"|(?<![\w.>:])(::)?sleep\s*\(\s*\d",
     ("runtime/sys", *OUTSIDE), "sys::Tasks::sleep_for, or wait on a sys::WaitCell"),
    (r"\bstd::this_thread::yield\b|\bsched_yield\s*\(", ("runtime/sys", *OUTSIDE),
     "sys::Tasks::yield or sys::Waiter"),
    (r"\bstd::chrono::\w+_clock\b|\bclock_gettime\s*\(|\bgettimeofday\s*\("
     r"|(?<![\w.>:])time\s*\(\s*(NULL|nullptr|0|&)",
     ("runtime/sys", "runtime/base/clock.cpp", *OUTSIDE), "ssi::Clock"),
    (r"\bstd::random_device\b|(?<![\w.>:])s?rand\s*\(|\bstd::s?rand\b|\bgetrandom\s*\("
     r"|\bstd::default_random_engine\b",
     ("runtime/base/random.cpp",), "ssi::Random"),
    (r"\bstd::mt19937\w*", OUTSIDE, "ssi::Random"),
    (r"\bfprintf\s*\(\s*stderr|\bstd::(cerr|clog|cout)\b|(?<![\w.>:])(printf|perror|puts)\s*\("
     r"|\bstd::(printf|puts|perror)\b|\bfputs\s*\([^;]*\bstderr\b",
     ("runtime/base", "apps", *OUTSIDE), "SSI_LOG"),
    (r"\bnew\s+[\w:<>, ]+\s*\[|\bdelete\s*\[", ("tests",), "std::vector or std::make_unique<T[]>"),
    (r"(?<![\w.>:])(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|strtok)\s*\(", (),
     "std::string, fmt::format or std::from_chars"),
    (r"(?<![\w.>:])assert\s*\(|<cassert>|<assert\.h>", ("tests",),
     "SSI_ASSERT (always on, says what to do)"),
    (r"\busing\s+namespace\s+std\s*;", (), "the names with std::"),
    (r"\bMPI_COMM_WORLD\b", ("runtime/node", *OUTSIDE),
     "the communicator the session was made from"),
    (r"\b(unordered_)?(map|set)<\s*(const\s+)?[\w:]+\s*\*", OUTSIDE,
     "an id as the key: no order may depend on addresses"),
]
DOORS = [(re.compile(pattern), allowed, instead) for pattern, allowed, instead in DOORS]

# A header of a library -> the only folders that may include it.
HOMES = [
    (r"mpi\.h|mpi-ext\.h", ("runtime/node", "tests", "bench", "apps/examples")),
    (r"uc[pstm]/.*", ("runtime/net", "bench", "tests")),
    (r"hwloc\.h|hwloc/.*", ("runtime/sys", "bench")),
    (r"spdlog/.*", ("runtime/base",)),
    (r"toml\+\+/.*|toml\+\+\.h(pp)?", ("runtime/base",)),
    (r"boost/context/.*", ("runtime/sys",)),
    (r"boost/(archive|serialization)/.*", ("kddm", "apps", "bench", "tests")),
    (r"CLI/.*", ("apps", "bench", "tests")),
    (r"libaio\.h", ("io/aio_queue.cpp", "bench/io")),
    (r"fuse.*|liburing\.h", ()),
    (r"(gtest|gmock|rapidcheck|benchmark)(/|\.h).*", ("tests", "bench")),
]
HOMES = [(re.compile("^(" + pattern + ")$"), folders) for pattern, folders in HOMES]

# Layer -> folder, what it may include as "ssi/<layer>/...". Lower never includes upper.
LAYERS = {"runtime/base": ["base"], "runtime/sys": ["base", "sys"],
          "runtime/net": ["base", "sys", "net"], "runtime/node": ["base", "sys", "net", "node"],
          "kddm": ["base", "sys", "net", "node", "kddm"],
          "io": ["base", "sys", "net", "node", "kddm", "io"],
          "ckpt": ["base", "sys", "net", "node", "kddm", "io", "ckpt"],
          "capi": ["base", "sys", "net", "node", "kddm", "io", "ckpt", "capi"]}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
FUNCTION_LINES = 70


def includes(source):
    for number, line in enumerate(source.code_lines, 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def doors(source):
    if not source.is_cpp:
        return
    for pattern, allowed, instead in DOORS:
        if source.under(*allowed):
            continue
        for number, line in enumerate(source.code_lines, 1):
            match = pattern.search(line)
            if match:
                yield Violation("doors", source.path, number,
                                f"`{match.group(0).strip()}` is banned here; use {instead}")


def homes(source):
    if not source.is_cpp:
        return
    for number, _, name in includes(source):
        for pattern, folders in HOMES:
            if pattern.match(name) and not source.under(*folders):
                where = " and ".join(folders) or "nowhere in this release"
                yield Violation("homes", source.path, number,
                                f"<{name}> is included only in {where}")


def layers(source):
    if not source.is_cpp:
        return
    layer = next((folder for folder in LAYERS if source.under(folder)), None)
    for number, kind, name in includes(source):
        if name.startswith("../") or "/../" in name:
            yield Violation("layers", source.path, number, "no ../ in includes")
        elif layer and name.startswith("ssi/"):
            part = name.split("/")[1]
            part = {"ssi.hpp": "kddm", "ssi.h": "capi"}.get(part, part)
            if part not in LAYERS[layer]:
                yield Violation("layers", source.path, number,
                                f"{layer} may not include {name}: it is not below it")
        elif layer and kind == '"' and "/" in name:
            yield Violation("layers", source.path, number,
                            f"{name}: private headers lie beside their users, without a folder")


# ---- function length

OPENS_SCOPE = re.compile(r"^\s*(inline\s+)?(namespace\b|extern\s*\"\")")
OPENS_TYPE = re.compile(r"(^|[\s>;}])(class|struct|union|enum)\b[^()=]*$")


def functions(source):
    """(first line, last line, name) of every function: a brace counter that knows namespaces and
    types from functions by what stands before the brace."""
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: "\n" * m.group(0).count("\n"),
                  source.code, flags=re.M)
    stack, head_start, line = [], 0, 1
    parens = 0
    for place, char in enumerate(code):
        if char == "\n":
            line += 1
        elif char in "([":
            parens += 1
        elif char in ")]":
            parens -= 1
        elif char == "{":
            inside = any(kind == "function" for kind, *_ in stack)
            head = code[head_start:place]
            kind = "block" if inside or parens > 0 else classify(head)
            stack.append((kind, line, name_of(head), parens))
            parens = 0
            if kind != "init":
                head_start = place + 1
        elif char == "}" and stack:
            kind, first, name, parens = stack.pop()
            if kind == "function":
                yield first, line, name
            if kind != "init":
                head_start = place + 1
        elif char == ";" and parens == 0:
            head_start = place + 1


def classify(head):
    text = " ".join(head.split())
    if OPENS_SCOPE.match(text):
        return "scope"
    if OPENS_TYPE.search(re.sub(r"template <[^{]*?> ?(?=class|struct|union)", "", text)):
        return "scope"
    if head and not head[-1].isspace():
        return "init"          # a_{x} of a constructor, Type{...}: a function has a blank there
    if "(" not in text:
        return "init"
    if re.search(r"(?<![=!<>])=\s*$", text) or re.search(r"=\s*[\w:<>]*$", text):
        return "init"          # = { ... }
    return "function"


def name_of(head):
    before = head.split("(")[0].split()
    return before[-1] if before else "?"


def function_length(source):
    if source.is_cpp:
        for first, last, name in functions(source):
            if last - first + 1 > FUNCTION_LINES:
                yield Violation("function_length", source.path, first,
                                f"{name} has {last - first + 1} lines; at most {FUNCTION_LINES}")


TEST = re.compile(r"^\s*(?:TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_PROP)\(\s*(\w+),\s*(\w+)")


def test_names(source):
    if not source.under("tests") or not source.is_cpp:
        return
    for number, line in enumerate(source.code_lines, 1):
        match = TEST.match(line)
        if match and not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", match.group(2)):
            yield Violation("test_names", source.path, number,
                            f"{match.group(2)}: a test's name says behaviour, in words_like_these")


def pragma_once(source):
    if source.name.endswith(".hpp") and "#pragma once" not in source.code:
        yield Violation("pragma_once", source.path, 1, "no #pragma once")


PER_FILE = {"doors": doors, "homes": homes, "layers": layers, "function_length": function_length,
            "test_names": test_names, "pragma_once": pragma_once}
