// SPDX-License-Identifier: BSD-3-Clause
// Operations on a file system, drawn by chance from a seed and a number and carried out on any
// FileApi, with an answer in words that can be compared.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fs_api.hpp"

namespace ssi::test {

// What may be drawn.
struct Shape {
    std::string top;            // all paths but some lie below it: "/r000"
    bool xattrs = true;         // the reference has them
    bool zero_range = true;     // and this mode of fallocate
    bool users = false;         // not only user 0
    bool apart = false;         // others are at work elsewhere: nothing outside, no other user
};

struct Verb;

// Depends on seed, number and shape alone, not on what was done before: any part of a sequence can
// be repeated by itself.
struct Operation {
    std::uint64_t seed = 0, number = 0;
    const Verb* verb = nullptr;
    std::string path, other;      // other: target, name of an attribute
    int flags = 0;
    std::uint32_t mode = 0;
    std::uint32_t slot = 0;       // of an open file
    std::uint64_t offset = 0, length = 0;
    fs::Striping striping;
    fs::Credentials who;
};

struct Answer {
    int error = 0;                // errno; 0: success
    std::string text;             // of a success: everything that can be compared
    std::string reason;           // of a failure, for the reader
    bool weak = false;            // a place of SEEK_DATA or SEEK_HOLE: systems may differ
    std::uint64_t place = 0;
};

// One file system as one rank sees it: open files belong to the rank.
struct Side {
    static constexpr std::uint32_t slots = 4;
    struct Slot {
        std::unique_ptr<OpenFile> file;
        std::string path;
        bool is_directory = false;
    };
    std::array<Slot, slots> files;
    std::uint64_t user = 0;
};

Operation operation_of(std::uint64_t seed, std::uint64_t number, const Shape& shape);
std::string describe(const Operation& operation);
std::string describe_verb(const Operation& operation);
// Whether it is meant to change something.
bool changes(const Operation& operation);
Answer carry_out(const Operation& operation, FileApi& api, Side& side);
// Everything below `path`, a line for each entry, in order of names.
Answer walk(FileApi& api, const std::string& path);
// As user 0; throw what fails. The top, all directories above it, and a large one in it.
void make_top(FileApi& api, const std::string& path);
void remove_tree(FileApi& api, const std::string& path);

// Empty when the answers agree, else what differs. `reference`: the file of the operation's slot
// there, which knows whether a place of SEEK_DATA or SEEK_HOLE is one that POSIX allows.
std::string difference(const Operation& operation, const Answer& system, const Answer& expected,
                       OpenFile* reference);
// The file that an operation on open files uses, or null.
OpenFile* file_of(const Operation& operation, Side& side);

// Bytes, printable and not too long.
std::string printable(const std::string& bytes, std::size_t most = 300);

}  // namespace ssi::test
