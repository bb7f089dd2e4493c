// SPDX-License-Identifier: BSD-3-Clause
#include "fs.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "fs_run.hpp"
#include "fs_where.hpp"

namespace ssi::cli {
namespace {

const FsFlag recursive{"-r,--recursive", &FsOptions::recursive,
                       "Directories, too, with all below."};

std::vector<FsVerb> make_verbs() {
    using O = FsOptions;
    return {
        {"df", "", 0, 0, "Print the space that there is and that is used.", {}, {}, fs_df},
        {"ls", "[PATH...]", 0, 1000, "List directories, and files by themselves.",
         {{"-l,--long", &O::with_attributes, "With attributes."},
          {"-R,--recursive", &O::recursive, "And all directories below."}}, {}, fs_ls},
        {"stat", "PATH...", 1, 1000,
         "Print all attributes; of a file, too, which volumes have it and what is in memory.", {},
         {}, fs_stat},
        {"cat", "PATH...", 1, 1000, "Print the bytes of files.", {}, {}, fs_cat},
        {"cp", "FROM... TO", 2, 1000,
         "Copy files in, out or inside, by all ranks at once. Paths in kDFS are written fs:/PATH, "
         "others are of the machine. Names of one file stay names of one. What is there already "
         "with the same bytes is not written again, so that an interrupted copy goes on. What was "
         "copied is read again and compared by checksum. Exits with 0 only when every byte is "
         "there.",
         {recursive,
          {"-p,--preserve", &O::preserve, "Owner, times and extended attributes (user.*), too."},
          {"-a,--archive", &O::archive, "As -r and -p."},
          {"--no-verify", &O::no_verify, "Do not read again what was copied."},
          {"--progress", &O::progress, "Say how far it is even if standard error is no terminal."}},
         {}, fs_cp},
        {"rm", "PATH...", 1, 1000, "Remove files, and with -r directories.",
         {recursive, {"-f,--force", &O::force, "What is not there is fine."}}, {}, fs_rm},
        {"mkdir", "PATH...", 1, 1000, "Make directories.",
         {{"-p,--parents", &O::parents, "And those above; what is there is fine."}},
         {{"--mode", "MODE", &O::mode, "Permissions, in octal. Default: 755."}}, fs_mkdir},
        {"mv", "FROM... TO", 2, 1000, "Rename, or move into the directory TO.", {}, {}, fs_mv},
        {"setstripe", "PATH...", 1, 1000,
         "How files that are made in a directory lie on volumes. A path that is not there becomes "
         "an empty file of that kind.", {},
         {{"--unit", "SIZE", &O::unit, "Bytes on one volume before the next: a power of two."},
          {"--count", "N", &O::count, "Volumes; 255: all."},
          {"--placement", "HOW", &O::placement, "inherit, spread or local-first."}},
         fs_setstripe},
        {"getstripe", "PATH...", 1, 1000, "Print how files lie on volumes.",
         {{"-R,--recursive", &O::recursive, "And of all that lies below directories."}}, {},
         fs_getstripe},
        {"cache", "[PATH...]", 0, 1000, "Print how much of files is in memory, and of which node.",
         {{"--drop", &O::drop, "Write what is not on disk and forget all of it first."}}, {},
         fs_cache},
        {"check", "", 0, 0,
         "Check that names, inodes and pages fit together; in a running session, too, where what "
         "looks wrong is looked at again before it is told, as somebody may be at it.",
         {{"--repair", &O::repair, "Make them fit. Not in a running session."}}, {}, fs_check},
        {"scrub", "[PATH...]", 0, 1000,
         "Read every byte of files from disk, by all ranks at once, and name each that cannot be "
         "read or whose checksum is wrong.",
         {{"--progress", &O::progress, "Say how far it is even if standard error is no terminal."}},
         {}, fs_scrub},
    };
}

int exit_code_of(Errc code) { return error_info(code).exit_code; }

void print(const Failure& failure) {
    fmt::print(stderr, "ssi: {}\n", failure.to_string());
    std::fflush(stderr);
}

Result<void> run_on(Session& session, Kdfs& system, FsOptions options) {
    options.recursive |= options.archive;
    options.preserve |= options.archive;
    FsRun run(session, system, options);
    Result<void> done;
    for (const FsVerb& verb : fs_verbs())
        if (options.verb == verb.name) done = verb.run(run);
    return done;
}

// The tools act for whoever runs them; who can write the volumes, or is the user of the session,
// can write all there is.
Result<void> run_verb(Session& session, const FsOptions& options) {
    if (options.volumes.empty()) {
        auto running = find_running(session, options);
        if (!running) return tl::unexpected<Failure>(std::move(running).error());
        return run_on(session, **running, options);
    }
    auto system = mount_volumes(session, options);
    if (!system) return tl::unexpected<Failure>(std::move(system).error());
    auto done = run_on(session, *make_mounted_kdfs(**system), options);
    auto closed = (*system)->close();
    return done ? closed : done;
}

}  // namespace

const std::vector<FsVerb>& fs_verbs() {
    static const std::vector<FsVerb> verbs = make_verbs();
    return verbs;
}

bool speaks_alone() {
    for (const char* variable : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
        if (const char* rank = std::getenv(variable)) return std::string_view(rank) == "0";
    return true;
}

int run_fs(const FsOptions& options, int argc, char** argv) {
    int code = 0;
    // Of a session that only talks to another one nobody wants to know.
    if (options.volumes.empty()) ::setenv("SSI_CONTROL_SOCKET", "off", 1);
    try {
        Session session(argc, argv);
        auto done = run_verb(session, options);
        if (done && (std::fflush(stdout) != 0 || std::ferror(stdout) != 0))
            done = fail_errno(Errc::io, errno, "cannot write to standard output");
        if (!done) {
            // A failure without words was said already, or is another rank's.
            if (!done.error().text.empty()) print(done.error());
            code = exit_code_of(done.error().code);
        }
        code = static_cast<int>(session.reduce(static_cast<std::uint64_t>(code), Reduce::max));
        value_or_throw(session.close());
    } catch (const Error& error) {
        print(error.failure());
        std::fflush(nullptr);
        Session::exit(exit_code_of(error.code()));
    }
    std::fflush(nullptr);
    Session::exit(code);
}

void FsRun::fault(const Failure& failure) {
    print(failure);
    if (!first_) first_ = failure;
}

Result<void> FsRun::each(const std::function<void(const std::string& path)>& body) {
    if (is_first())
        for (const std::string& path : options_.operands) body(path);
    return verdict();
}

Result<void> FsRun::verdict() {
    const auto mine = static_cast<std::uint64_t>(first_ ? first_->code : Errc::ok);
    const auto worst = session_.reduce(mine, Reduce::max);
    if (worst == 0) return {};
    return fail(static_cast<Errc>(worst), "");
}

// ---- words

std::string mode_text(std::uint32_t mode) {
    std::string text(1, S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : '-');
    constexpr char letters[] = "rwxrwxrwx";
    for (int bit = 8; bit >= 0; --bit) text += mode & 1u << bit ? letters[8 - bit] : '-';
    const auto special = [&](std::uint32_t bit, std::size_t at, char with, char without) {
        if (mode & bit) text[at] = text[at] == 'x' ? with : without;
    };
    special(S_ISUID, 3, 's', 'S');
    special(S_ISGID, 6, 's', 'S');
    special(S_ISVTX, 9, 't', 'T');
    return text;
}

const char* type_name(std::uint32_t mode) {
    return S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "symlink" : "file";
}

std::string placement_name(fs::Placement placement) {
    return placement == fs::Placement::spread        ? "spread"
           : placement == fs::Placement::local_first ? "local-first"
                                                     : "inherit";
}

std::string join(const std::string& directory, const std::string& name) {
    return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

std::string last_name(const std::string& path) {
    std::string bare = path;
    while (bare.size() > 1 && bare.ends_with('/')) bare.pop_back();
    const auto at = bare.rfind('/');
    return at == std::string::npos ? bare : bare.substr(at + 1);
}

}  // namespace ssi::cli
