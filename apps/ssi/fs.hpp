// SPDX-License-Identifier: BSD-3-Clause
// `ssi fs`: looks at and changes files in kDFS, with the ranks it is started with: alone, or under
// mpirun or srun. They are those of a running session, or on the volumes of a stopped one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssi/base/result.hpp"

namespace ssi::cli {

// What the command line said, of all verbs together.
struct FsOptions {
    std::vector<std::string> volumes;    // as support::volumes_of takes them; none: a running one
    std::string session;                 // the beginning of its id
    std::string verb;
    std::vector<std::string> operands;
    bool create = false, json = false;
    bool with_attributes = false, recursive = false, parents = false, force = false;
    bool archive = false, preserve = false, no_verify = false, progress = false;
    bool repair = false, drop = false;
    std::string mode, unit, count, placement, cache;
};

struct FsFlag {
    const char* names;                   // "-l,--long"
    bool FsOptions::*value;
    const char* text;
};
struct FsValue {
    const char* names;
    const char* type;                    // "SIZE"
    std::string FsOptions::*value;
    const char* text;
};

class FsRun;

// A verb: its command line and what it does, collectively. A failure names the cause; several are
// reported by FsRun::fault, and the first is returned.
struct FsVerb {
    const char* name;
    const char* operands;                // "PATH...", "" for none
    std::size_t least, most;             // operands; most 0: none
    const char* text;
    std::vector<FsFlag> flags;
    std::vector<FsValue> values;
    Result<void> (*run)(FsRun& run);
};
const std::vector<FsVerb>& fs_verbs();

// Makes a session, mounts or finds the file system, runs the verb; the exit code. argc and argv as
// main got them: --ssi-* flags in them are the session's.
int run_fs(const FsOptions& options, int argc, char** argv);

// Whether nobody else of the same launch says the same: a mistake on the command line is told once.
bool speaks_alone();

}  // namespace ssi::cli
