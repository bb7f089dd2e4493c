// SPDX-License-Identifier: BSD-3-Clause
// OpensHere: how often each inode that is at home here is open, on any node. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "fs_ids.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::fs {

class OpensHere {
public:
    void add(InodeId inode) {
        Shard& shard = shard_of(inode);
        std::lock_guard lock(shard.mutex);
        ++shard.inodes[inode.value].count;
    }
    // One less. True: that was the last, and the file has lost its last name meanwhile.
    bool drop(InodeId inode) {
        Shard& shard = shard_of(inode);
        std::lock_guard lock(shard.mutex);
        const auto found = shard.inodes.find(inode.value);
        if (found == shard.inodes.end() || --found->second.count > 0) return false;
        const bool nameless = found->second.nameless;
        shard.inodes.erase(found);
        return nameless;
    }
    // Whether it is open; if so, the last drop will tell that it has no name any more.
    bool keeps(InodeId inode) {
        Shard& shard = shard_of(inode);
        std::lock_guard lock(shard.mutex);
        const auto found = shard.inodes.find(inode.value);
        if (found == shard.inodes.end()) return false;
        found->second.nameless = true;
        return true;
    }

private:
    struct Opens {
        std::uint32_t count = 0;
        bool nameless = false;
    };
    struct alignas(64) Shard {
        sys::Mutex mutex;
        std::unordered_map<std::uint64_t, Opens> inodes;
    };
    Shard& shard_of(InodeId inode) { return shards_[mix64(inode.value) % shards_.size()]; }
    std::array<Shard, 32> shards_;
};

}  // namespace ssi::fs
