#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The lint can fail: every rule must flag each snippet made to break it, and none that only looks
like it. Prints TAP. Snippets carry the path they pretend to have, because rules ask where."""
import os
import re
import sys
import tempfile

import headers
from lint import PER_FILE, PER_TREE
from tree import Source, load

CPP = "// SPDX-License-Identifier: BSD-3-Clause\n"
SHELL = "#!/usr/bin/env bash\n# SPDX-License-Identifier: BSD-3-Clause\n"
LONG_BODY = "    step();\n" * 80

# (rule, pretended path, text)
MUST_FLAG = [
    ("spdx", "kddm/a.cpp", "int x;\n"),
    ("spdx", "scripts/a", "#!/usr/bin/env bash\nset -euo pipefail\n"),
    ("spdx", "kddm/meson.build", "project('x')\n"),
    ("line_length", "kddm/a.cpp", CPP + "//" + "x" * 100 + "\n"),
    ("file_length", "kddm/a.cpp", CPP + "int x;\n" * 801),
    ("whitespace", "kddm/a.cpp", CPP + "int x; \n"),
    ("whitespace", "kddm/a.cpp", CPP + "\tint x;\n"),
    ("unfinished", "kddm/a.cpp", CPP + "// TO" + "DO: later\n"),
    ("unfinished", "docs/a.md", "FIX" + "ME\n"),
    ("machine", "docs/a.md", "see /ho" + "me/somebody/tree\n"),
    ("machine", "scripts/a", "cd /wo" + "rk/main\n"),
    ("machine", "docs/a.md", "http" + "://packages.intern/debian\n"),
    ("machine", "docs/a.md", "the server 134.94" + ".1.7 answered\n"),
    ("commented_code", "kddm/a.cpp", CPP + "    // send(message, to);\n"),
    ("commented_code", "kddm/a.cpp", CPP + "// auto x = lookup(id);\n"),
    ("readme_length", "kddm/README.md", "line\n" * 41),
    ("doors", "kddm/a.cpp", CPP + "std::mutex m;\n"),
    ("doors", "runtime/node/a.cpp", CPP + "std::shared_mutex m;\n"),
    ("doors", "apps/x/a.cpp", CPP + "std::condition_variable c;\n"),
    ("doors", "kddm/a.cpp", CPP + "thread_local int depth;\n"),
    ("doors", "kddm/a.cpp", CPP + "std::thread t(run);\n"),
    ("doors", "runtime/net/a.cpp", CPP + "usleep(10);\n"),
    ("doors", "runtime/net/a.cpp", CPP + "std::this_thread::sleep_for(1ms);\n"),
    ("doors", "kddm/a.cpp", CPP + "auto t = std::chrono::steady_clock::now();\n"),
    ("doors", "runtime/base/log.cpp", CPP + "clock_gettime(CLOCK_REALTIME, &t);\n"),
    ("doors", "runtime/net/a.cpp", CPP + "sleep(1);\n"),
    ("doors", "kddm/a.cpp", CPP + "int x = rand();\n"),
    ("doors", "bench/a.cpp", CPP + "std::random_device entropy;\n"),
    ("doors", "runtime/node/a.cpp", CPP + 'fprintf(stderr, "node lost");\n'),
    ("doors", "kddm/a.cpp", CPP + 'std::cerr << "lost";\n'),
    ("doors", "kddm/a.cpp", CPP + "auto* p = new char[n];\n"),
    ("doors", "bench/a.cpp", CPP + "delete[] p;\n"),
    ("doors", "kddm/a.cpp", CPP + "assert(x > 0);\n"),
    ("doors", "kddm/a.cpp", CPP + "MPI_Barrier(MPI_COMM_WORLD);\n"),
    ("doors", "kddm/a.cpp", CPP + "std::unordered_map<const Entry*, int> waiting;\n"),
    ("homes", "kddm/a.cpp", CPP + "#include <mpi.h>\n"),
    ("homes", "runtime/node/a.cpp", CPP + "#include <ucp/api/ucp.h>\n"),
    ("homes", "runtime/net/a.cpp", CPP + "#include <mpi.h>\n"),
    ("homes", "apps/x/a.cpp", CPP + "#include <libaio.h>\n"),
    ("homes", "apps/x/a.cpp", CPP + "#include <fuse_lowlevel.h>\n"),
    ("homes", "kddm/a.cpp", CPP + "#include <spdlog/spdlog.h>\n"),
    ("homes", "runtime/node/a.cpp", CPP + "#include <boost/archive/binary_oarchive.hpp>\n"),
    ("layers", "runtime/base/a.cpp", CPP + '#include "ssi/sys/task.hpp"\n'),
    ("layers", "runtime/net/a.cpp", CPP + '#include "ssi/node/node.hpp"\n'),
    ("layers", "runtime/node/a.cpp", CPP + '#include "ssi/ssi.hpp"\n'),
    ("layers", "kddm/a.cpp", CPP + '#include "../runtime/node/tree.hpp"\n'),
    ("layers", "kddm/a.cpp", CPP + '#include "node/tree.hpp"\n'),
    ("function_length", "kddm/a.cpp", CPP + "void f(int x) {\n" + LONG_BODY + "}\n"),
    ("function_length", "kddm/a.cpp",
     CPP + "namespace n {\nclass A {\n    A() : a_{1}, b_(2) {\n" + LONG_BODY + "    }\n};\n}\n"),
    ("function_length", "tests/a.cpp", CPP + "TEST(A, does_b) {\n" + LONG_BODY + "}\n"),
    ("test_names", "tests/unit/a.cpp", CPP + "TEST(Arena, Works) {\n}\n"),
    ("test_names", "tests/unit/a.cpp", CPP + "TEST(Arena, works) {\n}\n"),
    ("pragma_once", "kddm/a.hpp", CPP + "int f();\n"),
    ("python", "bench/a.py", "def f():\n" + "    step()\n" * 80),
    ("python", "bench/a.py", "def f(:\n"),
    ("shell", "scripts/a", SHELL + "f() {\n" + "    step\n" * 80 + "}\n"),
]

MUST_PASS = [
    ("spdx", "scripts/a", SHELL),
    ("unfinished", "kddm/a.cpp", CPP + "// a todo list is a set of objects\n"),
    ("machine", "docs/a.md", "https://github.com/x and /usr/share/x and a/home/b and 127.0.0.1\n"),
    ("commented_code", "kddm/a.cpp", CPP + "// the home keeps it (see evict); then it goes on\n"),
    ("doors", "kddm/a.cpp", CPP + "// a std::mutex would block the thread\n"),
    ("doors", "kddm/a.cpp", CPP + 'text = "std::mutex rand( new char[3]";\n'),
    ("commented_code", "tests/a.hpp", CPP + "//     LoopNodes nodes(3);\n"),
    ("doors", "kddm/a.cpp", CPP + "bool Waiter::sleep(Nanoseconds t);\nsleep(cell, 3);\n"),
    ("doors", "kddm/a.cpp", CPP + "tasks.sleep_for(wait); clock->time(0);\n"),
    ("doors", "kddm/a.cpp", CPP + "std::lock_guard<sys::Mutex> hold(mutex_);\n"),
    ("doors", "runtime/sys/a.cpp", CPP + "thread_local Task* current;\nstd::thread t(run);\n"),
    ("doors", "kddm/a.cpp", CPP + "static_assert(sizeof(x) == 8); operand(x); strand(y);\n"),
    ("doors", "kddm/a.cpp", CPP + "auto text = std::make_unique<char[]>(n);\n"),
    ("doors", "tests/unit/a.cpp", CPP + "std::mt19937 random(seed);\n"),
    ("homes", "runtime/node/a.cpp", CPP + "#include <mpi.h>\n"),
    ("homes", "bench/peers/a.cpp", CPP + "#include <mpi.h>\n#include <ucp/api/ucp.h>\n"),
    ("layers", "kddm/a.cpp", CPP + '#include "ssi/node/node.hpp"\n#include "wire.hpp"\n'),
    ("layers", "apps/x/a.cpp", CPP + '#include "ssi/ssi.hpp"\n'),
    ("function_length", "kddm/a.cpp",
     CPP + "namespace n {\n" + "int f() { return 1; }\n" * 90 + "}\n"),
    ("function_length", "kddm/a.cpp",
     CPP + "const Row rows[] = {\n" + '    {f("a"), 1},\n' * 90 + "};\n"),
    ("function_length", "kddm/a.cpp",
     CPP + "template <class T>\nclass A final : public B<T> {\n" + "    int f();\n" * 90 + "};\n"),
    ("function_length", "kddm/a.cpp",
     CPP + "enum class Kind : std::uint8_t {\n" + "    a,\n" * 90 + "};\n"),
    ("function_length", "kddm/a.cpp",
     CPP + "char c = '{';\nint n = 1'000'000;\n" + "int f();\n" * 90 + 'auto s = R"(}})";\n'),
    ("test_names", "tests/unit/a.cpp", CPP + "TEST(Arena, recycles_released_blocks) {\n}\n"),
]

# (rule, the files of a small tree). The first list must be flagged, the second is the same, right.
TREES = [
    ("readme", {"kddm/meson.build": ""}, {"kddm/meson.build": "", "kddm/README.md": "x"}),
    ("links", {"README.md": "[a](docs/none.md)"}, {"README.md": "[a](docs/a.md)", "docs/a.md": ""}),
    ("dead_sources", {"kddm/meson.build": "files('b.cpp')", "kddm/a.cpp": CPP},
     {"kddm/meson.build": "files('a.cpp')", "kddm/a.cpp": CPP}),
    ("one_file", {f"apps/x/{n}.cpp": "#include <CLI/CLI.hpp>\n" for n in "ab"},
     {"apps/x/a.cpp": "#include <CLI/CLI.hpp>\n"}),
    ("scripts", {"scripts/a": SHELL}, {"scripts/a": SHELL + "set -euo pipefail\n"}),
    ("scripts", {"scripts/a": SHELL + "set -euo pipefail\nif true; then\n"},
     {"scripts/a": SHELL + "set -euo pipefail\n"}),
    ("script_help", {"scripts/a": SHELL + "exit 3\n"}, {"scripts/a": SHELL + "echo usage: a\n"}),
]

ALONE = {"runtime/base/include/ssi/base/good.hpp":
         "#pragma once\n#include <string>\nstd::string f();\n"}
NOT_ALONE = [
    {"runtime/base/include/ssi/base/bad.hpp": "#pragma once\nstd::string f();\n"},
    {"runtime/base/include/ssi/base/bad.hpp": '#pragma once\n#include "ssi/sys/up.hpp"\n',
     "runtime/sys/include/ssi/sys/up.hpp": "#pragma once\nint g();\n"},
    {"kddm/include/ssi/kddm/twice.hpp": "inline int f() { return 1; }\n"},
]


class Tap:
    def __init__(self):
        self.number, self.good = 0, True

    def check(self, condition, name):
        self.number += 1
        self.good &= bool(condition)
        print(f"{'ok' if condition else 'not ok'} {self.number} - {name}")


def write_tree(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)
        if text.startswith("#!"):
            os.chmod(full, 0o755)


def on_tree(files, question):
    with tempfile.TemporaryDirectory(prefix="ssi-lint-") as root:
        write_tree(root, files)
        return question(root)


def errors(violations):
    return [v for v in violations if not v.warning]


def label(path, text):
    shown = re.sub(r"\s+", " ", text.replace(CPP, "").replace(SHELL, "")).replace("#", "")
    return f"{path} {shown[:50].strip()}"


def main(compiler):
    tap = Tap()
    for rule, path, text in MUST_FLAG:
        tap.check(errors(PER_FILE[rule](Source(path, text))), f"{rule} flags {label(path, text)}")
    for rule, path, text in MUST_PASS:
        tap.check(not errors(PER_FILE[rule](Source(path, text))),
                  f"{rule} passes {label(path, text)}")
    for rule, wrong, right in TREES:
        tap.check(on_tree(wrong, lambda root: list(PER_TREE[rule](root, load(root)))),
                  f"{rule} flags a tree")
        tap.check(not on_tree(right, lambda root: list(PER_TREE[rule](root, load(root)))),
                  f"{rule} passes a tree")

    def check_headers(root):
        return list(headers.check(root, compiler, os.path.join(root, "cache.json")))
    tap.check(not on_tree(ALONE, check_headers), "headers passes a header that stands alone")
    for files in NOT_ALONE:
        tap.check(on_tree(files, check_headers), f"headers flags {sorted(files)[0]}")
    untested = set(PER_FILE) | set(PER_TREE)
    untested -= {rule for rule, *_ in MUST_FLAG} | {rule for rule, *_ in TREES}
    tap.check(not untested, f"every rule has a snippet that breaks it {sorted(untested) or ''}")
    print(f"1..{tap.number}")
    return 0 if tap.good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["g++"]))
