// SPDX-License-Identifier: BSD-3-Clause
#include "blocks.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>

#include "ssi/base/assert.hpp"
#include "ssi/base/config.hpp"
#include "ssi/base/log.hpp"

namespace ssi::kddm {
namespace {

constexpr std::uint16_t in_home_arena = 2;  // ObjectHeader::state; bit 0 is `away`
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
      shared_(!simulated && config.text("net.same_host") == "on"),
      home_(options_for(config, sys::Arena::Kind::shared_memory, simulated)),
      cache_(options_for(config, sys::Arena::Kind::private_memory, simulated)) {
    // A descriptor of its own, as a duplicate would let others write. Without /proc nobody reads.
    if (!shared_ || home_.memory_fd() < 0) return;
    const std::string path = fmt::format("/proc/self/fd/{}", home_.memory_fd());
    shown_fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
}

Blocks::~Blocks() {
    if (shown_fd_ >= 0) ::close(shown_fd_);
}

Block* Blocks::allocate(SetId set, ObjectId id, std::uint32_t length, bool at_home) {
    const std::size_t bytes = length ? length : 1;
    auto block = at_home ? home_.allocate(bytes) : cache_.allocate(bytes);
    if (!block && at_home) return nullptr;
    if (!block) {
        SSI_LOG(log_, error, "kddm", "no memory for {} bytes in flight: {}", length,
                block.error().text);
        SSI_ASSERT(false, "memory ran out: run fewer ranks on this host or smaller objects");
    }
    Block* b = *block;
    b->id = id;
    b->set = set;
    b->length = length;
    b->state = at_home ? in_home_arena : 0;
    b->references = 1;
    return b;
}

Block* Blocks::make(SetId set, ObjectId id, std::uint32_t length, bool at_home) {
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
    arena.release(block);
}

void Blocks::warm(std::size_t bytes) {
    home_.touch_ahead(bytes / 2);
    cache_.touch_ahead(bytes - bytes / 2);
}

void* Blocks::take_slab() {
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

Blocks::Offer Blocks::offer() const {
    struct stat status {};
    if (shown_fd_ < 0 || ::fstat(shown_fd_, &status) != 0) return {};
    return {shown_fd_, static_cast<std::uint64_t>(status.st_ino)};
}

std::size_t Blocks::bytes_in_use() const {
    return home_.usage().reserved_bytes + cache_.usage().reserved_bytes;
}

}  // namespace ssi::kddm
