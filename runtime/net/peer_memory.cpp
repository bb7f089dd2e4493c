// SPDX-License-Identifier: BSD-3-Clause
#include "peer_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <string>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace ssi::net {
namespace {

constexpr std::uint64_t least_mapped_bytes = 64u << 20;

// Numbers of processes and descriptors are used again: the inode tells whether it is what was
// offered. Sealed against shrinking, it can be read to its end whatever its owner does.
int open_memory(const PeerMemory::File& file) {
    const std::string path = fmt::format("/proc/{}/fd/{}", file.process_id, file.descriptor);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return -1;
    struct stat status {};
    const int seals = ::fcntl(fd, F_GET_SEALS);
    if (::fstat(fd, &status) == 0 && status.st_ino == file.inode && seals >= 0 &&
        (seals & F_SEAL_SHRINK))
        return fd;
    ::close(fd);
    return -1;
}

}  // namespace

PeerMemory::~PeerMemory() {
    for (const Mapped& mapped : all_) {
        if (mapped.base) ::munmap(const_cast<std::byte*>(mapped.base), mapped.length);
        if (mapped.fd >= 0) ::close(mapped.fd);
    }
}

// Maps more than the file has, so that it may grow; what is beyond its end is never touched.
bool PeerMemory::cover(Mapped& mapped, std::uint64_t end) {
    struct stat status {};
    if (mapped.fd < 0 || ::fstat(mapped.fd, &status) != 0) return false;
    mapped.file_length = static_cast<std::uint64_t>(status.st_size);
    if (end > mapped.file_length) return false;
    if (end <= mapped.length) return true;
    const std::uint64_t wanted = std::max(least_mapped_bytes, std::bit_ceil(2 * end));
    void* base = ::mmap(nullptr, wanted, PROT_READ, MAP_SHARED | MAP_NORESERVE, mapped.fd, 0);
    if (base == MAP_FAILED) return false;
    if (mapped.base) ::munmap(const_cast<std::byte*>(mapped.base), mapped.length);
    mapped.base = static_cast<const std::byte*>(base);
    mapped.length = wanted;
    return true;
}

const std::byte* PeerMemory::find(const File& file, std::uint64_t offset, std::uint64_t length) {
    auto at = std::find_if(all_.begin(), all_.end(),
                           [&](const Mapped& mapped) { return mapped.file == file; });
    if (at == all_.end()) {
        all_.push_back({.file = file, .fd = open_memory(file)});
        at = std::prev(all_.end());
    }
    const std::uint64_t end = offset + length;
    if (end < offset) return nullptr;
    if (end > std::min(at->length, at->file_length) && !cover(*at, end)) return nullptr;
    return at->base + offset;
}

void copy_streaming(std::byte* to, const std::byte* from, std::size_t length) {
#if defined(__SSE2__)
    constexpr std::size_t line = 64;
    const std::size_t head = std::min(length, -reinterpret_cast<std::uintptr_t>(to) % line);
    std::memcpy(to, from, head);
    std::size_t i = head;
    for (; i + line <= length; i += line) {
        __builtin_prefetch(from + i + 32 * line, 0, 0);
        const auto* source = reinterpret_cast<const __m128i*>(from + i);
        auto* target = reinterpret_cast<__m128i*>(to + i);
        const __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1),
                      c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
        _mm_stream_si128(target, a);
        _mm_stream_si128(target + 1, b);
        _mm_stream_si128(target + 2, c);
        _mm_stream_si128(target + 3, d);
    }
    _mm_sfence();
    std::memcpy(to + i, from + i, length - i);
#else
    std::memcpy(to, from, length);
#endif
}

}  // namespace ssi::net
