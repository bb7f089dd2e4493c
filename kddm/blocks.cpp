// SPDX-License-Identifier: BSD-3-Clause
#include "blocks.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "ssi/base/assert.hpp"
#include "ssi/base/config.hpp"
#include "ssi/base/log.hpp"

namespace ssi::kddm {
namespace {

// ObjectHeader::state; bit 0 is `away`.
constexpr std::uint16_t in_home_arena = 2;
constexpr std::uint16_t counted = 4;         // by the node's budget, and by the set's if it has one
constexpr std::uint16_t counted_in_set = 8;
// Smaller blocks share pages with others.
constexpr std::uint32_t discarded_bytes = 32u << 10;
constexpr std::size_t simulated_chunk_bytes = 64u << 10;
constexpr std::size_t page_bytes = 4096;
// Slabs are taken by so many bytes of the home memory; pages of them are touched one by one.
constexpr std::size_t slabs_bytes = 256u << 10;

// 0 in the configuration: no limit but the machine's.
std::size_t limit_of(const Config& config) {
    const auto limit = static_cast<std::size_t>(config.integer("arena.limit_bytes"));
    return limit ? limit : SIZE_MAX;
}

sys::Arena::Options options_for(const Config& config, sys::Arena::Kind kind, bool simulated) {
    sys::Arena::Options o;
    o.kind = simulated ? sys::Arena::Kind::private_memory : kind;
    o.chunk_bytes = simulated ? simulated_chunk_bytes
                              : static_cast<std::size_t>(config.integer("arena.chunk_bytes"));
    if (kind == sys::Arena::Kind::shared_memory)
        o.limit_bytes = limit_of(config);
    o.huge_pages = !simulated && config.boolean("arena.huge_pages");
    return o;
}

}  // namespace

Blocks::Blocks(const Config& config, Log& log, bool simulated)
    : log_(log),
      chunk_bytes_(static_cast<std::size_t>(config.integer("arena.chunk_bytes"))),
      simulated_(simulated),
      mapped_(!simulated && config.text("net.same_host") == "on"),
      shared_(mapped_ || (!simulated && config.text("kddm.read_way") != "message")),
      home_(options_for(config, sys::Arena::Kind::shared_memory, simulated)),
      cache_(options_for(config, sys::Arena::Kind::private_memory, simulated)) {
    use.limit = config.integer("kddm.memory_bytes");
    // A descriptor of its own, as a duplicate would let others write. Without /proc nobody reads.
    if (!mapped_ || home_.memory_fd() < 0) return;
    const std::string path = fmt::format("/proc/self/fd/{}", home_.memory_fd());
    shown_.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (shown_.fd < 0 || ::fstat(shown_.fd, &status) != 0) return;
    shown_.inode = static_cast<std::uint64_t>(status.st_ino);
}

Blocks::~Blocks() {
    for (const std::uintptr_t slab : simulated_slabs_)
        ::operator delete(reinterpret_cast<void*>(slab), std::align_val_t{page_bytes});
    if (shown_.fd >= 0) ::close(shown_.fd);
}

// Memory is recycled, not returned. So, when the budget is all grown to, what is free in the other
// arena comes before more growth.
Block* Blocks::find_room(std::size_t bytes, bool at_home, Result<void>& why) {
    sys::Arena& wanted = at_home ? home_ : cache_;
    sys::Arena& other = at_home ? cache_ : home_;
    const std::size_t reserved = home_.reserved_bytes() + cache_.reserved_bytes();
    const bool all_grown =
        use.limit != 0 && reserved + chunk_bytes_ > static_cast<std::size_t>(use.limit);
    if (all_grown) {
        if (auto block = wanted.allocate(bytes, false)) return *block;
        if (auto block = other.allocate(bytes, false)) {
            (*block)->state = at_home ? 0 : in_home_arena;
            return *block;
        }
    }
    auto block = wanted.allocate(bytes);
    if (!block) {
        why = tl::unexpected<Failure>(std::move(block).error());
        return nullptr;
    }
    (*block)->state = at_home ? in_home_arena : 0;
    return *block;
}

void Blocks::count_in(Block* block, Keeper& keeper) {
    const auto bytes = static_cast<std::int64_t>(block->capacity + sizeof(Block));
    block->state |= counted;
    use.add(bytes);
    bool pressing = use.above(use.high());
    if (MemoryUse* set = keeper.use_of(block->set)) {
        block->state |= counted_in_set;
        set->add(bytes);
        pressing = pressing || set->above(set->high());
    }
    if (pressing) keeper.press();
}

void Blocks::count_out(Block* block) {
    const auto bytes = static_cast<std::int64_t>(block->capacity + sizeof(Block));
    use.add(-bytes);
    if (block->state & counted_in_set)
        keeper_.load(std::memory_order_relaxed)->use_of(block->set)->add(-bytes);
}

Block* Blocks::allocate(SetId set, ObjectId id, std::uint32_t length, bool at_home) {
    const std::size_t bytes = length ? length : 1;
    Result<void> why;
    Block* b = find_room(bytes, at_home, why);
    if (!b && at_home) return nullptr;
    if (!b) {
        SSI_LOG(log_, error, "kddm", "no memory for {} bytes in flight: {}", length,
                why.error().text);
        SSI_ASSERT(false, "memory ran out: run fewer ranks on this host or smaller objects");
    }
    b->id = id;
    b->set = set;
    b->length = length;
    b->references = 1;
    if (Keeper* keeper = keeper_.load(std::memory_order_acquire)) [[unlikely]]
        count_in(b, *keeper);
    return b;
}

Block* Blocks::make(SetId set, ObjectId id, std::uint32_t length, bool at_home) {
    if (at_home && use.above(use.hard())) return nullptr;
    Block* b = allocate(set, id, length, at_home);
    if (b) std::memset(sys::bytes_of(b), 0, length);
    return b;
}

void Blocks::keep(Block* block) {
    std::atomic_ref(block->references).fetch_add(1, std::memory_order_relaxed);
}

void Blocks::release(Block* block) {
    if (std::atomic_ref(block->references).fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    sys::Arena& arena = block->state & in_home_arena ? home_ : cache_;
    bool discard = false;
    if (block->state & counted) [[unlikely]] {
        count_out(block);
        const std::size_t reserved = home_.reserved_bytes() + cache_.reserved_bytes();
        discard = block->capacity >= discarded_bytes && use.limit != 0 &&
                  reserved > static_cast<std::size_t>(use.limit);
    }
    if (!discard || &arena != &home_) return arena.release(block, discard);
    ++discards_;   // and piece_at looks at it after it has set the mark
    arena.release(block, !registered_);
    --discards_;
}

net::Payload::Shared Blocks::shared_place(const Block* block) const {
    if (!(block->state & in_home_arena) || shown_.fd < 0) return {};
    return {shown_.fd, shown_.inode, home_.offset_of(block) + sizeof(Block)};
}

void Blocks::warm(std::size_t bytes) {
    home_.touch_ahead(bytes / 2);
    cache_.touch_ahead(bytes - bytes / 2);
}

void* Blocks::take_slab() {
    if (simulated_) {
        void* slab = ::operator new(slab_bytes, std::align_val_t{page_bytes});
        simulated_slabs_.insert(reinterpret_cast<std::uintptr_t>(slab));
        return slab;
    }
    if (!shared_) return nullptr;
    const std::lock_guard hold(slab_mutex_);
    if (next_slab_ == slabs_end_) {
        auto block = home_.allocate(slabs_bytes);
        if (!block) return nullptr;
        const auto begin = reinterpret_cast<std::uintptr_t>(sys::bytes_of(*block));
        const std::uintptr_t first = (begin + page_bytes - 1) / page_bytes * page_bytes;
        const std::size_t count = (begin + slabs_bytes - first) / slab_bytes;
        next_slab_ = sys::bytes_of(*block) + (first - begin);
        slabs_end_ = next_slab_ + count * slab_bytes;
    }
    return std::exchange(next_slab_, next_slab_ + slab_bytes);
}

// What the network has registered stays: it would go on reading pages that were given back. Pieces
// are small enough for a handler to register, large enough that there are few.
std::span<const std::byte> Blocks::piece_at(std::uint64_t address) const {
    constexpr std::size_t piece_bytes = 4u << 20;
    if (!simulated_) {
        registered_ = true;
        if (discards_ != 0) return {};   // not now
    }
    const auto piece = home_.piece_at(address, piece_bytes);
    if (!simulated_ || !piece.empty()) return piece;
    auto slab = simulated_slabs_.upper_bound(address);
    if (slab == simulated_slabs_.begin()) return {};
    return {reinterpret_cast<const std::byte*>(*--slab), slab_bytes};
}

std::size_t Blocks::bytes_in_use() const {
    return home_.usage().reserved_bytes + cache_.usage().reserved_bytes +
           simulated_slabs_.size() * slab_bytes;
}

}  // namespace ssi::kddm
