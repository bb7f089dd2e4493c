// SPDX-License-Identifier: BSD-3-Clause
#include "arena_space.hpp"

#include <fmt/core.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "ssi/base/assert.hpp"
#include "ssi/sys/memory_limits.hpp"

namespace ssi::sys {
namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t smallest_chunk_bytes = 64u << 10;
constexpr std::size_t huge_page_bytes = 2u << 20;
constexpr std::size_t first_region_chunks = 32;
// An arena grows this far before it asks for the limits of the machine, so that thousands of small
// ones (the simulator's) do not read files; the rest is left to others when a limit is close.
constexpr std::size_t unchecked_bytes = 4u << 20;
constexpr std::size_t spare_bytes = 16u << 20;

std::size_t round_up(std::size_t value, std::size_t step) {
    return (value + step - 1) / step * step;
}

Arena::Options normalized(Arena::Options options) {
    options.chunk_bytes =
        round_up(std::max(options.chunk_bytes, smallest_chunk_bytes), smallest_chunk_bytes);
    options.huge_pages = options.huge_pages && options.kind == Arena::Kind::private_memory &&
                         options.chunk_bytes >= huge_page_bytes;
    return options;
}

std::size_t resource_limit(decltype(RLIMIT_AS) which) {
    rlimit limit{};
    if (getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
    return limit.rlim_cur;
}

std::string mib(std::size_t bytes) {
    return fmt::format("{} MiB", (bytes + (1u << 20) - 1) >> 20);
}

tl::unexpected<Failure> out_of_memory(int error, std::string text) {
    return fail_errno(Errc::out_of_memory, error, std::move(text));
}

}  // namespace

ArenaSpace::ArenaSpace(const Arena::Options& options)
    : options_(normalized(options)), approved_bytes_(unchecked_bytes) {
    if (options_.kind != Arena::Kind::shared_memory) return;
    fd_ = memfd_create("ssi-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd_ < 0) {
        open_errno_ = errno;
        return;
    }
    // Whoever maps it may read up to its size for ever. Where this is refused, nobody maps it.
    (void)fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK);
}

ArenaSpace::~ArenaSpace() {
    for (unsigned i = 0; i < region_count_.load(std::memory_order_relaxed); ++i)
        munmap(regions_[i].base, regions_[i].bytes);
    if (fd_ >= 0) close(fd_);
}

Result<std::byte*> ArenaSpace::take(std::size_t bytes) {
    // The first bytes of a region are skipped so that all blocks start at 8 modulo 16; so next_ may
    // lie beyond grown_.
    if (next_ == nullptr || static_cast<std::size_t>(end_ - next_) < bytes)
        SSI_TRY(add_region(bytes + lead_bytes()));
    std::byte* const begin = next_;
    if (begin + bytes > grown_) SSI_TRY(grow(static_cast<std::size_t>(begin + bytes - grown_)));
    next_ += bytes;
    return begin;
}

// What a new region begins with: the directory, and what makes blocks start at 8 modulo 16.
std::size_t ArenaSpace::lead_bytes() const {
    const bool first = region_count_.load(std::memory_order_relaxed) == 0;
    return 8 + (fd_ >= 0 && first ? ArenaDirectory::bytes : 0);
}

// Regions double, so that a few dozen serve any size; each is large enough for what is needed now
// and no larger than the limit still allows.
std::size_t ArenaSpace::next_region_bytes(std::size_t needed) const {
    const unsigned count = region_count_.load(std::memory_order_relaxed);
    std::size_t wanted =
        count == 0 ? options_.chunk_bytes * first_region_chunks : regions_[count - 1].bytes * 2;
    const std::size_t left =
        options_.limit_bytes - std::min(options_.limit_bytes, reserved_bytes());
    wanted = std::min(wanted, round_up(std::min(left, SIZE_MAX / 4), page_bytes));
    return round_up(std::max(wanted, needed), options_.huge_pages ? huge_page_bytes : page_bytes);
}

Result<void> ArenaSpace::add_region(std::size_t needed) {
    if (options_.kind == Arena::Kind::shared_memory && fd_ < 0)
        return out_of_memory(open_errno_, "memfd_create failed: no shared memory for the arena");
    // Look first: a region of its own for a block that then cannot be had would be lost.
    if (reserved_bytes_ + needed > options_.limit_bytes) return grow(needed);
    const unsigned count = region_count_.load(std::memory_order_relaxed);
    const std::size_t lead = lead_bytes();
    SSI_ASSERT(count < regions_.size(), "raise arena.chunk_bytes: the arena has too many regions");
    const std::uint64_t offset =
        count == 0 ? 0 : regions_[count - 1].offset + regions_[count - 1].bytes;
    std::size_t bytes = next_region_bytes(needed);
    std::byte* base = map(bytes, offset);
    const std::size_t least = round_up(std::max(needed, options_.chunk_bytes), page_bytes);
    while (base == nullptr && bytes > least) {  // a tight RLIMIT_AS or strict overcommit
        bytes = std::max(round_up(bytes / 2, page_bytes), least);
        base = map(bytes, offset);
    }
    if (base == nullptr) {
        const int error = errno;
        const std::size_t limit = resource_limit(RLIMIT_AS);
        return out_of_memory(
            error, fmt::format("cannot map {} more for objects: {}", mib(bytes),
                               limit == SIZE_MAX
                                   ? "address space or vm.overcommit_memory is exhausted"
                                   : fmt::format("RLIMIT_AS (ulimit -v) is {}", mib(limit))));
    }
    regions_[count] = {base, bytes, offset};
    region_count_.store(count + 1, std::memory_order_release);
    next_ = base + lead;
    grown_ = touched_ = base;
    end_ = base + bytes;
    return {};
}

// Null with errno when it cannot. Huge pages want an aligned start: map more, cut the ends off.
std::byte* ArenaSpace::map(std::size_t bytes, std::uint64_t offset) {
    constexpr int access = PROT_READ | PROT_WRITE;
    if (fd_ >= 0) {
        void* shared = mmap(nullptr, bytes, access, MAP_SHARED | MAP_NORESERVE, fd_,
                            static_cast<off_t>(offset));
        return shared == MAP_FAILED ? nullptr : static_cast<std::byte*>(shared);
    }
    const std::size_t extra = options_.huge_pages ? huge_page_bytes : 0;
    void* raw = mmap(nullptr, bytes + extra, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                     -1, 0);
    if (raw == MAP_FAILED) return nullptr;
    auto* base = static_cast<std::byte*>(raw);
    if (extra == 0) return base;
    const std::size_t before = -reinterpret_cast<std::uintptr_t>(base) % huge_page_bytes;
    if (before > 0) munmap(base, before);
    base += before;
    if (extra > before) munmap(base + bytes, extra - before);
    madvise(base, bytes, MADV_HUGEPAGE);  // refused where the site has them off: then without
    return base;
}

// By whole chunks, less only at the limit or the end of the region.
Result<void> ArenaSpace::grow(std::size_t needed) {
    const std::size_t left =
        options_.limit_bytes - std::min(options_.limit_bytes, reserved_bytes());
    const auto room = static_cast<std::size_t>(end_ - grown_);
    if (needed > left)
        return fail(Errc::out_of_memory,
                    fmt::format("arena limit reached: {} bytes in use of {}, {} more needed: raise "
                                "arena.limit_bytes",
                                reserved_bytes(), options_.limit_bytes, needed));
    std::size_t step = std::min({round_up(needed, options_.chunk_bytes), room, left});
    if (!check_limits(step)) {
        step = std::min({round_up(needed, page_bytes), room, left});  // a chunk may be too much
        SSI_TRY(check_limits(step));
    }
    if (fd_ >= 0) {
        const Region& region = regions_[region_count_.load(std::memory_order_relaxed) - 1];
        const std::uint64_t size =
            region.offset + static_cast<std::uint64_t>(grown_ - region.base) + step;
        // Asked for beforehand: the kernel would also send SIGXFSZ, which kills.
        if (size > resource_limit(RLIMIT_FSIZE))
            return out_of_memory(EFBIG, fmt::format("RLIMIT_FSIZE (ulimit -f) is {}, the arena's "
                                                    "shared memory needs {}",
                                                    mib(resource_limit(RLIMIT_FSIZE)), mib(size)));
        if (ftruncate(fd_, static_cast<off_t>(size)) != 0)
            return out_of_memory(errno,
                                 fmt::format("cannot grow shared memory to {}", mib(size)));
    }
    grown_ += step;
    const unsigned newest = region_count_.load(std::memory_order_relaxed) - 1;
    grown_bytes_[newest].store(static_cast<std::size_t>(grown_ - regions_[newest].base),
                               std::memory_order_release);
    reserved_bytes_ += step;
    if (fd_ >= 0) publish_regions();
    return {};
}

// Before a pointer into a region can be seen by anybody. The first page is there: growing begins
// with the first region.
void ArenaSpace::publish_regions() {
    auto* directory = reinterpret_cast<ArenaDirectory*>(regions_[0].base);
    const unsigned count = region_count_.load(std::memory_order_relaxed);
    if (directory->magic != ArenaDirectory::magic_value) {
        ::new (directory) ArenaDirectory;
        directory->magic = ArenaDirectory::magic_value;
    }
    for (unsigned i = directory->count.load(std::memory_order_relaxed); i < count; ++i) {
        directory->regions[i] = {reinterpret_cast<std::uintptr_t>(regions_[i].base),
                                 regions_[i].bytes, regions_[i].offset};
        directory->count.store(i + 1, std::memory_order_release);
    }
}

// Passing a control group's limit is no error but the end of the process, so the room left is read
// before the arena grows into it; a sixteenth of it is then taken without asking again.
Result<void> ArenaSpace::check_limits(std::size_t bytes) {
    if (reserved_bytes_ + bytes <= approved_bytes_) return {};
    const auto limits = options_.memory_limits ? options_.memory_limits() : read_memory_limits();
    const MemoryLimit& limit = tightest(limits);
    const std::size_t left = limit.left_bytes();
    if (limit.limit_bytes > 0 && left < bytes + spare_bytes)
        return fail(Errc::out_of_memory,
                    fmt::format("{}: {} of {} left, the arena needs {} more and {} stay for "
                                "others: raise the limit or use fewer ranks per host",
                                limit.name, mib(left), mib(limit.limit_bytes), mib(bytes),
                                mib(spare_bytes)));
    approved_bytes_ = reserved_bytes_ + std::max(bytes, left / 16);
    return {};
}

ArenaSpace::Range ArenaSpace::plan_touch(std::size_t bytes) {
    if (next_ == nullptr && !add_region(options_.chunk_bytes)) return {};
    const std::size_t ahead = std::min(bytes, static_cast<std::size_t>(end_ - next_));
    std::byte* const goal = next_ + ahead;
    // Failing to warm memory is no error: whoever needs it will learn why there is none.
    if (goal > grown_ && !grow(static_cast<std::size_t>(goal - grown_))) return {};
    std::byte* const begin = std::max(touched_, next_);
    if (goal <= begin) return {};
    touched_ = goal;
    return {begin, static_cast<std::size_t>(goal - begin)};
}

void ArenaSpace::touch(Range range) {
    const auto address = reinterpret_cast<std::uintptr_t>(range.begin);
    const std::uintptr_t begin = address / page_bytes * page_bytes;
    const std::uintptr_t end = address + range.bytes;
    if (range.bytes == 0) return;
#ifdef MADV_POPULATE_WRITE
    if (madvise(reinterpret_cast<void*>(begin), round_up(end - begin, page_bytes),
                MADV_POPULATE_WRITE) == 0 ||
        errno != EINVAL)
        return;
#endif
    // Linux before 5.14: a write that changes nothing, as others may use the page already.
    for (std::uintptr_t page = begin; page < end; page += page_bytes)
        std::atomic_ref<char>(*reinterpret_cast<char*>(std::max(page, address))).fetch_add(0);
}

// Its header and the page that holds it stay. A file has a hole there afterwards.
void ArenaSpace::discard(ObjectHeader* block, std::size_t bytes) {
    const auto first = reinterpret_cast<std::uintptr_t>(block) + sizeof(ObjectHeader) + 8;
    const std::uintptr_t begin = round_up(first, page_bytes);
    const std::uintptr_t end =
        (reinterpret_cast<std::uintptr_t>(block) + bytes) / page_bytes * page_bytes;
    if (begin < end)
        madvise(reinterpret_cast<void*>(begin), end - begin,
                fd_ >= 0 ? MADV_REMOVE : MADV_DONTNEED);
}

std::span<const std::byte> ArenaSpace::piece_at(std::uint64_t address,
                                                std::size_t piece_bytes) const {
    for (unsigned i = region_count_.load(std::memory_order_acquire); i-- > 0;) {
        const Region& region = regions_[i];
        const std::uint64_t into = address - reinterpret_cast<std::uintptr_t>(region.base);
        if (into >= region.bytes) continue;
        const std::size_t grown = grown_bytes_[i].load(std::memory_order_acquire);
        const std::size_t begin = into / piece_bytes * piece_bytes;
        if (into >= grown) return {};
        return {region.base + begin, std::min(piece_bytes, grown - begin)};
    }
    return {};
}

std::uint64_t ArenaSpace::offset_of(const void* place) const {
    const auto* byte = static_cast<const std::byte*>(place);
    for (unsigned i = region_count_.load(std::memory_order_acquire); i-- > 0;) {
        const Region& region = regions_[i];
        if (byte >= region.base && byte < region.base + region.bytes)
            return region.offset + static_cast<std::uint64_t>(byte - region.base);
    }
    SSI_ASSERT(false, "offset_of takes a block of this very arena");
    return 0;
}

}  // namespace ssi::sys
