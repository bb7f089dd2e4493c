// SPDX-License-Identifier: BSD-3-Clause
// Places: the stores of a session: where this node saves, what else it can read, and which node
// speaks for a store that several have together. And the global store, which all have.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ssi/ckpt/store.hpp"
#include "ssi/io/directory_lock.hpp"
#include "ssi/node/node.hpp"

namespace ssi::ckpt {

class Places {
public:
    // Collective. `pattern`: a directory, made when its parent is there; %n stands for the node's
    // rank, and a node also reads those of ranks that the session does not have. Failures:
    // invalid_argument (no directory), io, would_block (another
    // session has them); the same everywhere.
    static Result<std::unique_ptr<Places>> open(node::Node& node, const std::string& pattern);

    // Collective. `directory`: the first node's counts; of none nothing is opened. Failures:
    // invalid_argument (not all nodes see the same one, or it is a node's store), and as of open.
    Result<void> open_global(node::Node& node, std::string directory);

    Store& own() { return *stores_.front(); }
    std::span<Store* const> all() const { return stores_; }
    Store* global() const { return global_; }            // null: there is none
    std::span<Store* const> readable() const { return readable_; }   // all of them, it last
    // Of this node's own store: the first rank that has it.
    bool leads() const { return leaders_[static_cast<std::size_t>(rank_)] == rank_; }
    std::span<const int> leaders() const { return leaders_; }   // by rank
    const std::string& device() const { return device_; }       // for MemberInfo

private:
    explicit Places(int rank) : rank_(rank) {}
    Result<void> open_here(node::Node& node, const std::string& pattern);
    Result<Store*> add(node::Node& node, const std::string& directory);
    Result<void> add_own(node::Node& node, const std::string& directory);
    Result<void> lock_all(node::Node& node);
    Result<void> lock(node::Node& node, const std::string& directory);
    Result<void> open_global_here(node::Node& node, const std::string& directory);

    struct Identity;
    int rank_;
    std::vector<std::unique_ptr<io::Disk>> disks_;
    std::vector<std::unique_ptr<Store>> owned_;
    std::vector<Store*> stores_, readable_;
    Store* global_ = nullptr;
    std::vector<int> leaders_;
    std::vector<io::DirectoryLock> locks_;   // of the stores that this node speaks for
    std::string device_;
};

}  // namespace ssi::ckpt
