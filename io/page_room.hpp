// SPDX-License-Identifier: BSD-3-Clause
// PageRoom: the account by which a full disk is known before data is accepted. A volume's home
// promises room to nodes, never more than it has; a node takes what it is about to write from what
// it was promised, and asks for more when that is used up. What has been written to the log is no
// promise any more.
// Thread-safe; no lock is held across a call.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "ssi/base/ids.hpp"
#include "ssi/base/result.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::fs {

// At a home: what it has promised to whom.
class RoomPromises {
public:
    // Of `free_bytes`, up to `wanted`, all of them or at least `least`, or 0. `returned`: what the
    // node needs no longer. `lost`: who is dead and needs none.
    std::uint64_t grant(std::uint32_t volume, NodeId to, std::uint64_t least, std::uint64_t wanted,
                        std::uint64_t returned, std::uint64_t free_bytes,
                        const std::function<bool(NodeId)>& lost);
    std::uint64_t promised(std::uint32_t volume) const;

private:
    mutable sys::Mutex mutex_;
    std::map<std::uint32_t, std::map<NodeId, std::uint64_t>> promises_;   // by volume
};

// At a node that writes.
class PageRoom {
public:
    // Asks the home of a volume: grants, or returns with `wanted` 0.
    using Ask = std::function<Result<std::uint64_t>(std::uint32_t volume, std::uint64_t least,
                                                    std::uint64_t wanted, std::uint64_t returned)>;
    PageRoom(Ask ask, std::uint64_t chunk_bytes) : ask_(std::move(ask)), chunk_(chunk_bytes) {}

    // False: there is no room. The failure is the call's.
    Result<bool> take(std::uint32_t volume, std::uint64_t bytes);
    void take_anyway(std::uint32_t volume, std::uint64_t bytes);   // where refusing is too late
    // It was written to the log, or will not be: the promise is returned, and what lies idle.
    void give(std::uint32_t volume, std::uint64_t bytes);
    std::uint64_t used(std::uint32_t volume) const;

private:
    struct Account {
        std::uint64_t granted = 0;
        std::uint64_t used = 0;
        std::uint64_t owed = 0;      // given, not yet returned
    };
    const Ask ask_;
    const std::uint64_t chunk_;
    mutable sys::Mutex mutex_;
    std::map<std::uint32_t, Account> accounts_;
};

}  // namespace ssi::fs
