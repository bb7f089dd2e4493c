// SPDX-License-Identifier: BSD-3-Clause
// Blocks: object bytes in the home arena (shared memory) or the cache arena, reference counted:
// the entry holds one reference, each message in flight another. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <span>

#include "memory_use.hpp"
#include "ssi/net/transport.hpp"
#include "ssi/sys/arena.hpp"
#include "ssi/sys/task.hpp"
#include "transition.hpp"

namespace ssi::kddm {

class Blocks final : public BlockSource, public net::ShownMemory {
public:
    Blocks(const Config& config, Log& log, bool simulated);
    ~Blocks() override;
    Blocks(const Blocks&) = delete;
    Blocks& operator=(const Blocks&) = delete;

    Block* make(SetId set, ObjectId id, std::uint32_t length, bool at_home) override;
    void keep(Block* block) override;
    void release(Block* block) override;

    // Like make, but the bytes are not zeroed. Cache memory is a must: without it the protocol
    // cannot go on, and the process ends with a clear text.
    Block* allocate(SetId set, ObjectId id, std::uint32_t length, bool at_home);
    // Where the block's bytes are in memory that other processes of the host may map.
    net::Payload::Shared shared_place(const Block* block) const;
    // Touches memory ahead of its use; by the executor, because it takes a while.
    void warm(std::size_t bytes);
    std::size_t bytes_in_use() const;

    // Room for entries and what stands beside them (slab.hpp), at a page, in memory that peers may
    // map. It stays taken. Null: nobody maps it, or it is at its limit; then any memory will do.
    static constexpr std::size_t slab_bytes = 8192;
    void* take_slab();
    // What a peer of the host needs to map the home memory; fd -1: it cannot.
    struct Offer {
        int fd = -1;
        std::uint64_t inode = 0;
    };
    Offer offer() const { return shown_; }
    // The same for peers that read by the network.
    std::span<const std::byte> piece_at(std::uint64_t address) const override;

    // Who knows the budgets of sets, and hears when one is nearly used up (under any lock).
    class Keeper {
    public:
        virtual ~Keeper() = default;
        virtual MemoryUse* use_of(SetId set) = 0;   // null: not known, or without a budget
        virtual void press() = 0;
    };
    // From now on what is allocated counts. When the first budget is known; not undone.
    void count(Keeper& keeper) { keeper_.store(&keeper, std::memory_order_release); }

    MemoryUse use;   // of the node; its limit is set before anything is allocated

private:
    Block* find_room(std::size_t bytes, bool at_home, Result<void>& why);
    void count_in(Block* block, Keeper& keeper);
    void count_out(Block* block);

    Log& log_;
    const std::size_t chunk_bytes_;
    const bool simulated_;
    const bool mapped_;         // peers may map home_
    const bool shared_;         // peers may map it, or read it by the network
    Offer shown_;               // of home_, read-only
    mutable std::atomic<bool> registered_{false};   // a network may have pages of home_
    std::atomic<int> discards_{0};                  // of home_, under way
    std::atomic<Keeper*> keeper_{nullptr};
    sys::Arena home_;
    sys::Arena cache_;
    sys::Mutex slab_mutex_;     // of the next two
    std::byte* next_slab_ = nullptr;
    std::byte* slabs_end_ = nullptr;
    std::set<std::uintptr_t> simulated_slabs_;   // one thread runs them: no lock
};

inline Block* block_of(std::byte* bytes) { return reinterpret_cast<Block*>(bytes) - 1; }

}  // namespace ssi::kddm
