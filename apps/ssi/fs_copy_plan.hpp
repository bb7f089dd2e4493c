// SPDX-License-Identifier: BSD-3-Clause
// What a copy has to do: found by rank 0, which makes directories and symbolic links on the way,
// and then known to every rank.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fs_run.hpp"
#include "fs_tree.hpp"

namespace ssi::cli {

// "fs:/a" names /a in kDFS, anything else a path of the machine.
struct CopyPath {
    bool in_kdfs = false;
    std::string path;
    static CopyPath parse(const std::string& operand);
    std::string shown() const { return (in_kdfs ? "fs:" : "") + readable(path); }
};

struct CopyItem {
    bool from_kdfs = false, is_directory = false;
    std::string from, to;
    std::uint32_t mode = 0, uid = 0, gid = 0;
    std::uint64_t size = 0;
    std::int64_t access_ns = 0, modify_ns = 0;
};

// Another name of a file that is copied.
struct CopyLink {
    std::string first, to;       // of the copies
};

struct CopyPlan {
    std::vector<CopyItem> files, directories;   // directories: above before below
    std::vector<CopyLink> links;                // of rank 0 alone
    std::uint64_t symlinks = 0;
    bool to_kdfs = false;
    std::string root;            // a directory above all that is written, for sync
    // A path of the machine that every rank which takes part must see, and its inode; "" for none.
    std::string witness;
    std::uint64_t witness_inode = 0;

    std::vector<std::byte> encode() const;
    static CopyPlan decode(std::span<const std::byte> bytes);
};

// What is kept of an item beside its bytes.
fs::AttributeChange attributes_of(const CopyItem& item);

// On rank 0; what cannot be copied is a fault of the run.
CopyPlan make_plan(FsRun& run, Tree& kdfs, Tree& local);

}  // namespace ssi::cli
