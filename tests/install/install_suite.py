#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: install_suite.py SOURCE_ROOT BUILD_DIR CXX... -- CC...

Installs the build to a staging directory and, configured anew, to a prefix without root; then
builds programs outside the tree with pkg-config and with CMake, and runs them. Prints TAP."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

README_SAYS = "sum 499500"  # what the example in README.md prints
C_SAYS = "of 40000 darts inside"  # and 07_c_api


class Tap:
    def __init__(self):
        self.number, self.good = 0, True

    def check(self, condition, name, output=""):
        self.number += 1
        self.good &= bool(condition)
        print(f"{'ok' if condition else 'not ok'} {self.number} - {name}", flush=True)
        if not condition:
            for line in output.strip().split("\n")[-40:]:
                print(line, file=sys.stderr)
        return bool(condition)


def run(command, limit=120, folder=None, **environment):
    """Exit code and everything printed."""
    for name in ("LD_LIBRARY_PATH", "PKG_CONFIG_PATH"):
        environment.setdefault(name, "")
    environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                       OMPI_MCA_rmaps_base_oversubscribe="1")
    try:
        done = subprocess.run(command, env={**os.environ, **environment}, cwd=folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit,
                              stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired as error:
        return 124, str(error)
    return done.returncode, done.stdout


def mpirun(program, ranks, library_path=""):
    return run(["mpirun", "-n", str(ranks), program], limit=60, LD_LIBRARY_PATH=library_path)


def readme_example(root, path):
    """The C++ program that README.md shows, as a file."""
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        blocks = re.findall(r"```cpp\n(.*?)```", file.read(), re.S)
    with open(path, "w", encoding="utf-8") as file:
        file.write(blocks[0] if blocks else "#error README.md shows no C++ program\n")


class Prefix:
    """An installation, asked only through pkg-config."""

    def __init__(self, folder):
        found = glob.glob(f"{folder}/**/ssi.pc", recursive=True)
        self.folder = folder
        self.pc_path = os.path.dirname(found[0]) if found else folder

    def ask(self, *what, package="ssi"):
        code, text = run(["pkg-config", *what, package], PKG_CONFIG_PATH=self.pc_path)
        return text.split() if code == 0 else [f"--pkg-config-says: {text}"]

    @property
    def library_folder(self):
        return os.path.realpath(" ".join(self.ask("--variable=libdir")))

    def build(self, compiler, source, output, *more):
        return run([*compiler, source, "-o", output, *self.ask("--cflags"), *self.ask("--libs"),
                    *more])

    def build_c(self, compiler, source, output, *more):
        return run([*compiler, "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", source, "-o",
                    output, *self.ask("--cflags", package="ssi-c"),
                    *self.ask("--libs", package="ssi-c"), *more])


def check_files(tap, prefix, root):
    libs = prefix.library_folder
    tap.check(os.path.isfile(f"{libs}/libssi.so"), f"pkg-config finds libssi.so in {libs}",
              "\n".join(os.listdir(prefix.folder)))
    code, text = run(["ldd", f"{libs}/libssi.so"])
    tap.check(code == 0 and "not found" not in text, "the library finds its own libraries", text)
    code, text = run(["readelf", "-d", f"{libs}/libssi.so"])
    tap.check(code == 0 and not re.search(r"R(UN)?PATH.*" + re.escape(root), text),
              "the library does not point into the build tree", text)
    code, text = run(["readelf", "-rW", f"{libs}/libssi.so"])
    through_table = re.findall(r"JU?MP_SLOT?.*\b_ZNK?3ssi.*", text)
    tap.check(code == 0 and "JUMP_SLO" in text and not through_table,
              "calls of its own functions do not go through the procedure linkage table",
              "\n".join(through_table))
    for name in ("pkgconfig/ssi.pc", "pkgconfig/ssi-c.pc", "cmake/ssi/ssiConfig.cmake"):
        with open(f"{libs}/{name}", encoding="utf-8") as file:
            text = file.read()
        tap.check(root not in text, f"{name} does not name the source tree", text)


def check_headers(tap, prefix, compiler, work):
    include = " ".join(prefix.ask("--variable=includedir"))
    headers = sorted(os.path.relpath(h, include)
                     for h in glob.glob(f"{include}/ssi/**/*.hpp", recursive=True))
    source = os.path.join(work, "all.cpp")
    with open(source, "w", encoding="utf-8") as file:
        file.writelines(f"#include <{header}>\n" for header in headers)
        file.write("int main() {}\n")
    code, text = prefix.build(compiler, source, os.path.join(work, "all"), "-Wall", "-Wextra",
                              "-Werror", "-Wno-missing-field-initializers")
    tap.check(code == 0 and len(headers) > 10,
              f"{len(headers)} installed headers compile together", text)


def check_programs(tap, prefix, compiler, root, work):
    for name in ("readme", "typed"):
        source = os.path.join(work, name + ".cpp")
        if name == "readme":
            readme_example(root, source)
        else:
            shutil.copy(os.path.join(root, "tests/install/typed.cpp"), source)
        program = os.path.join(work, name)
        code, text = prefix.build(compiler, source, program)
        if not tap.check(code == 0, f"{name}: builds with pkg-config --cflags --libs ssi", text):
            continue
        code, text = mpirun(program, 2, prefix.library_folder)
        wanted = README_SAYS if name == "readme" else "lines 2 of 2"
        tap.check(code == 0 and wanted in text, f"{name}: mpirun -n 2 prints `{wanted}`", text)


def check_c_program(tap, prefix, compiler, root, work):
    """In C99, and the library needs nothing of C++ from the program."""
    program = os.path.join(work, "c_api")
    source = os.path.join(root, "apps/examples/07_c_api.c")
    code, text = prefix.build_c(compiler, source, program)
    if tap.check(code == 0, "a C99 program builds with pkg-config --cflags --libs ssi-c", text):
        code, text = mpirun(program, 2, prefix.library_folder)
        tap.check(code == 0 and C_SAYS in text, f"and prints `{C_SAYS}`", text)


def check_policy_plugin(tap, prefix, compiler, root, work):
    """A strategy of checkpoints in C99: the installed program finds what it is worth."""
    plugin = os.path.join(work, "share.so")
    code, text = prefix.build_c(compiler, os.path.join(root, "apps/examples/12_policy.c"), plugin,
                                "-shared", "-fPIC")
    if tap.check(code == 0, "a policy plugin builds with pkg-config --cflags ssi-c", text):
        os.chmod(plugin, 0o755)
        code, text = run([f"{prefix.folder}/bin/ssi", "checkpoint", "policy", "simulate",
                          plugin + " percent=2", "--mtbf", "86400", "--cost", "60"])
        tap.check(code == 0 and "share.so percent=2" in text, "and ssi simulates it", text)


def check_examples(tap, prefix, compiler, root, work):
    for source in sorted(glob.glob(f"{root}/apps/examples/*.cpp")):
        name = os.path.basename(source)
        code, text = prefix.build(compiler, source, os.path.join(work, name[:-4]), "-Wall",
                                  "-Wextra", "-Werror", "-Wno-missing-field-initializers")
        tap.check(code == 0, f"examples: {name} builds outside the tree", text)


def cmake(project, *arguments, **environment):
    code, text = run(["cmake", "-S", project, "-B", f"{project}/b", *arguments], **environment)
    if code == 0:
        code, text = run(["cmake", "--build", f"{project}/b"], **environment)
    return code, text


def check_cmake(tap, prefix, root, work):
    """find_package with C and C++, in C alone, of a version that is not there; and pkg-config."""
    projects = os.path.join(work, "projects")
    shutil.copytree(os.path.join(root, "tests/install"), projects)
    for folder in ("cmake", "cmake-c", "cmake-pkgconfig"):
        for example in ("01_hello.cpp", "07_c_api.c"):
            shutil.copy(os.path.join(root, "apps/examples", example), f"{projects}/{folder}")
    here = f"-DCMAKE_PREFIX_PATH={prefix.folder}"
    code, text = cmake(f"{projects}/cmake", here)
    if tap.check(code == 0, "a CMake project builds by find_package(ssi)", text):
        code, text = mpirun(f"{projects}/cmake/b/hello", 2)
        tap.check(code == 0 and "hello from node 1 of 2" in text, "its C++ program runs", text)
        code, text = mpirun(f"{projects}/cmake/b/c_api", 2)
        tap.check(code == 0 and C_SAYS in text, "its C program runs", text)
    code, text = cmake(f"{projects}/cmake-c", here)
    tap.check(code == 0, "a CMake project in C alone builds", text)
    with open(f"{projects}/cmake-c/CMakeLists.txt", "r+", encoding="utf-8") as file:
        text = file.read().replace("find_package(ssi ", "find_package(ssi 7.1 ")
        file.seek(0)
        file.write(text)
    code, text = cmake(f"{projects}/cmake-c", here)
    tap.check(code != 0 and "7.1" in text and "version: 0." in text,
              "find_package refuses another version and names the one that is there", text)
    code, text = cmake(f"{projects}/cmake-pkgconfig", PKG_CONFIG_PATH=prefix.pc_path)
    if tap.check(code == 0, "a CMake project builds through PkgConfig::SSI", text):
        code, text = mpirun(f"{projects}/cmake-pkgconfig/b/hello", 2)
        tap.check(code == 0 and "hello from node 1 of 2" in text, "and runs", text)


def check_tools(tap, prefix):
    """Installed programs find the library beside them: no LD_LIBRARY_PATH."""
    programs = sorted(glob.glob(f"{prefix.folder}/bin/*"))
    for program in programs:
        code, text = run([program, "--help"], limit=30)
        tap.check(code == 0, f"{os.path.basename(program)} --help runs where it was installed",
                  text)
    names = {os.path.basename(program) for program in programs}
    missing = {"ssi", "ssi-relaunch", "ssi-requeue.sbatch"} - names
    tap.check(not missing, "programs and job scripts are installed", f"missing: {missing}")


def check_manuals(tap, prefix):
    """Each page is there, says what it is of, and what every function that it shows is for."""
    for page, words in (("man1/ssi.1", ["ssi fs check"]), ("man5/libssi-config.5", ["VARIABLES"]),
                        ("man7/libssi-errors.7", ["ERRORS"]),
                        ("man3/ssi-fs.3", ["int ssi_fs_mount(", "int ssi_fs_flock(", "ENOTEMPTY",
                                           '.SH "FILES"']),
                        ("man3/ssi-checkpoint.3",
                         ["int ssi_checkpoint_take(", "int ssi_ticket_wait(", '.SH "TAKING"']),
                        ("man3/ssi-fs-cpp.3", ["Result<File> open(", "pwritev(", "struct Extent",
                                               "RENAME_NOREPLACE"])):
        found = glob.glob(f"{prefix.folder}/**/man/{page}", recursive=True)
        text = ""
        if found:
            with open(found[0], encoding="utf-8") as file:
                text = file.read()
        missing = [word for word in words if word not in text.replace("\\-", "-")]
        tap.check(text.startswith(".TH ") and not missing, f"manual page {page}",
                  f"{found or 'it is not there'}; missing: {missing}")


def check_uninstalled(tap, root, build, compiler, work):
    """PKG_CONFIG_PATH=<build>/meson-uninstalled: programs against a build directory."""
    prefix = Prefix(work)
    prefix.pc_path = os.path.join(build, "meson-uninstalled")
    source, program = os.path.join(root, "apps/examples/01_hello.cpp"), os.path.join(work, "un")
    code, text = prefix.build(compiler, source, program)
    if tap.check(code == 0, "a program builds against the build directory", text):
        code, text = mpirun(program, 1, build)
        tap.check(code == 0 and "hello from node 0 of 1" in text, "and runs", text)


def check_static(tap, prefix, compiler, root, work):
    """libssi.a with nothing but what pkg-config --static says that it needs."""
    program = os.path.join(work, "static")
    libs = ["-l:libssi.a" if word == "-lssi" else word
            for word in prefix.ask("--static", "--libs", package="ssi-c")]
    code, text = run([*compiler, "-std=c99", os.path.join(root, "apps/examples/07_c_api.c"), "-o",
                      program, *prefix.ask("--cflags", package="ssi-c"), *libs])
    if tap.check(code == 0, "a C program links libssi.a by pkg-config --static", text):
        code, text = run(["ldd", program])
        tap.check(code == 0 and "libssi" not in text, "it does not need libssi.so", text)
        code, text = mpirun(program, 2)
        tap.check(code == 0 and C_SAYS in text, "and runs", text)


def staged(tap, root, build, compiler, c_compiler, work):
    stage = os.path.join(work, "stage")
    code, text = run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", stage])
    if not tap.check(code == 0, "installs to a DESTDIR", text):
        return
    # Somewhere else than it was configured for, as a container or a module tree would have it.
    found = glob.glob(f"{stage}/**/ssi.pc", recursive=True)
    folder = found[0].rsplit("/lib/", 1)[0] if found else stage
    moved = os.path.join(work, "moved")
    shutil.move(folder, moved)
    prefix = Prefix(moved)
    check_files(tap, prefix, root)
    check_headers(tap, prefix, compiler, work)
    check_programs(tap, prefix, compiler, root, work)
    check_examples(tap, prefix, compiler, root, work)
    check_c_program(tap, prefix, c_compiler, root, work)
    check_policy_plugin(tap, prefix, c_compiler, root, work)
    check_cmake(tap, prefix, root, work)
    check_tools(tap, prefix)
    check_manuals(tap, prefix)


def prefixed(tap, root, build, compiler, c_compiler, work):
    """Configured for a prefix of the user's, with the static library too. The build directory
    stays: the next time is quick."""
    target, folder = os.path.join(work, "prefix"), build.rstrip("/") + "-install"
    again = ["--reconfigure"] if os.path.exists(f"{folder}/build.ninja") else []
    code, text = run(["meson", "setup", *again, "-Dtests=disabled", "-Dbench=disabled",
                      "-Ddefault_library=both", f"--prefix={target}", folder, root], limit=200)
    if code == 0:
        code, text = run(["meson", "install", "-C", folder], limit=900)
    if not tap.check(code == 0, "configures and installs to a prefix without root", text):
        return
    prefix = Prefix(target)
    source, program = os.path.join(work, "readme.cpp"), os.path.join(work, "with_rpath")
    code, text = prefix.build(compiler, source, program, f"-Wl,-rpath,{prefix.library_folder}")
    if tap.check(code == 0, "links with the prefix's library directory as rpath", text):
        code, text = mpirun(program, 2)
        tap.check(code == 0 and README_SAYS in text, "and runs without LD_LIBRARY_PATH", text)
    check_static(tap, prefix, c_compiler, root, work)


def main(arguments):
    if len(arguments) < 5 or "--" not in arguments:
        print(__doc__)
        return 2
    end = arguments.index("--")
    root, build, compiler, c_compiler = (*arguments[:2], arguments[2:end], arguments[end + 1:])
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="ssi-install-") as work:
        check_uninstalled(tap, root, build, compiler, work)
        staged(tap, root, build, compiler, c_compiler, work)
        prefixed(tap, root, build, compiler, c_compiler, work)
    print(f"1..{tap.number}")
    return 0 if tap.good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
