// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/sys/arena_view.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <mutex>
#include <utility>

#include "arena_directory.hpp"

namespace ssi::sys {
namespace {

constexpr std::size_t least_mapping = 64u << 20;

std::size_t size_of(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 ? static_cast<std::size_t>(status.st_size) : 0;
}

}  // namespace

ArenaView::ArenaView(int fd) : fd_(fd), writable_((::fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR) {}

Result<std::unique_ptr<ArenaView>> ArenaView::open(int fd) {
    std::unique_ptr<ArenaView> view(new ArenaView(fd));
    const int seals = ::fcntl(fd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK))
        return fail_errno(Errc::invalid_argument, seals < 0 ? errno : 0,
                          "it is no shared memory that is sealed against shrinking");
    const std::size_t bytes = size_of(fd);
    if (bytes < ArenaDirectory::bytes) return fail(Errc::invalid_argument, "it is no arena");
    if (auto mapped = view->map(bytes); !mapped)
        return tl::unexpected<Failure>(std::move(mapped).error());
    const auto* directory = reinterpret_cast<const ArenaDirectory*>(view->chain_->base);
    if (directory->count.load(std::memory_order_acquire) == 0 ||
        directory->magic != ArenaDirectory::magic_value)
        return fail(Errc::invalid_argument, "it is no arena of this build");
    return view;
}

ArenaView::~ArenaView() {
    for (const Mapping* m = chain_.get(); m; m = m->older.get())
        ::munmap(const_cast<std::byte*>(m->base), m->bytes);
    ::close(fd_);
}

std::uint64_t ArenaView::offset_of(const Mapping& mapping, std::uint64_t address,
                                   std::size_t bytes) {
    const auto& directory = *reinterpret_cast<const ArenaDirectory*>(mapping.base);
    const std::size_t count = std::min<std::size_t>(
        directory.count.load(std::memory_order_acquire), ArenaDirectory::most_regions);
    for (std::size_t i = 0; i < count; ++i) {
        const ArenaDirectory::Region& region = directory.regions[i];
        const std::uint64_t into = address - region.address;
        if (into >= region.bytes || bytes > region.bytes - into) continue;
        // Written by another process: a sum that wraps around must not look like a place.
        const std::uint64_t offset = region.offset + into;
        return offset >= region.offset && offset <= nowhere - bytes ? offset : nowhere;
    }
    return nowhere;
}

// Under mutex_, or before anybody else knows the view.
Result<void> ArenaView::map(std::size_t file_bytes) const {
    std::size_t bytes = std::max(least_mapping, std::bit_ceil(file_bytes + file_bytes / 2));
    const int access = writable_ ? PROT_READ | PROT_WRITE : PROT_READ;
    void* base = ::mmap(nullptr, bytes, access, MAP_SHARED | MAP_NORESERVE, fd_, 0);
    if (base == MAP_FAILED) {   // a tight RLIMIT_AS
        bytes = (file_bytes + ArenaDirectory::bytes - 1) / ArenaDirectory::bytes *
                ArenaDirectory::bytes;
        base = ::mmap(nullptr, bytes, access, MAP_SHARED | MAP_NORESERVE, fd_, 0);
    }
    if (base == MAP_FAILED)
        return fail_errno(Errc::out_of_memory, errno, "no address space to map it");
    auto mapping = std::make_unique<Mapping>();
    mapping->base = static_cast<const std::byte*>(base);
    mapping->bytes = bytes;
    mapping->file_bytes.store(file_bytes, std::memory_order_relaxed);
    mapping->older = std::move(chain_);
    chain_ = std::move(mapping);
    newest_.store(chain_.get(), std::memory_order_release);
    return {};
}

// True when the file has grown to `needed` bytes and they are mapped.
bool ArenaView::look_again(std::uint64_t needed) const {
    const std::lock_guard hold(mutex_);
    const std::size_t file_bytes = size_of(fd_);
    if (needed > file_bytes) return false;
    if (file_bytes > chain_->bytes) return map(file_bytes).has_value();
    chain_->file_bytes.store(file_bytes, std::memory_order_release);
    return true;
}

}  // namespace ssi::sys
