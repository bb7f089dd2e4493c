// SPDX-License-Identifier: BSD-3-Clause
// Blocks: object bytes in the home arena (shared memory) or the cache arena, reference counted:
// the entry holds one reference, each message in flight another. Thread-safe.
#pragma once

#include <memory>

#include "ssi/sys/arena.hpp"
#include "transition.hpp"

namespace ssi::kddm {

class Blocks final : public BlockSource {
public:
    Blocks(const Config& config, Log& log, bool simulated);

    Block* make(SetId set, ObjectId id, std::uint32_t length, bool at_home) override;
    void keep(Block* block) override;
    void release(Block* block) override;

    // Like make, but the bytes are not zeroed. Cache memory is a must: without it the protocol
    // cannot go on, and the process ends with a clear text.
    Block* allocate(SetId set, ObjectId id, std::uint32_t length, bool at_home);
    // Touches memory ahead of its use; by the executor, because it takes a while.
    void warm(std::size_t bytes);
    std::size_t bytes_in_use() const;

private:
    Log& log_;
    sys::Arena home_;
    sys::Arena cache_;
};

inline Block* block_of(std::byte* bytes) { return reinterpret_cast<Block*>(bytes) - 1; }

}  // namespace ssi::kddm
