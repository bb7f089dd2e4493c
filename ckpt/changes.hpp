// SPDX-License-Identifier: BSD-3-Clause
// Changes: what of an object is as the last version of this node has it. By the object's version
// where that is the same, else by hashes (xxh3-128) of blocks, 16 bytes for 4 KiB of state, which
// are replaced as they are looked at: a version that is not committed leaves nothing known. For one
// task at a time.
#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "collect.hpp"
#include "ssi/ckpt/dataset.hpp"

namespace ssi::ckpt {

// A part of an object: as the base has it, or anew.
struct Run {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool same = false;
};

struct Changed {
    Part part;
    std::vector<Run> runs;               // without gaps
};

class Changes {
public:
    static constexpr std::size_t grain = 4096;

    // Of a version that is begun; `whole`: everything counts as changed.
    void begin(bool whole);
    // `out` is used again and again. `versioned`: objects of equal versions have equal bytes.
    void look(const Part& part, std::span<const std::byte> bytes, bool versioned, Changed& out);
    // What was looked at since begin() is that version now, or nothing is known any more.
    void committed(VersionNumber version);
    void forget();

    bool has_base() const { return base_ != 0 && !uncommitted_; }
    VersionNumber base() const { return base_; }

private:
    struct Name {
        SetId item;
        ObjectId id;
        friend bool operator==(const Name&, const Name&) = default;
    };
    struct NameHash {
        std::size_t operator()(const Name& name) const { return hash_object(name.item, name.id); }
    };
    struct Hash {
        std::uint64_t low = 0, high = 0;
        friend bool operator==(const Hash&, const Hash&) = default;
    };
    struct Known {
        std::uint64_t version = 0;
        std::uint64_t total = 0;
        std::size_t first = 0;           // of its blocks' hashes
        std::uint64_t round = 0;         // when it was looked at
    };
    Known& find(const Part& part, bool& known);
    static Hash hash(std::span<const std::byte> block);
    void compact();

    VersionNumber base_ = 0;
    bool whole_ = true;
    bool uncommitted_ = false;
    std::uint64_t round_ = 0, base_round_ = 0;
    std::size_t seen_ = 0, seen_blocks_ = 0;   // in this round
    std::unordered_map<Name, Known, NameHash> objects_;
    std::vector<Hash> hashes_;
};

}  // namespace ssi::ckpt
