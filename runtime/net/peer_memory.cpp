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
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace ssi::net {
namespace {

constexpr std::uint64_t least_mapped_bytes = 64u << 20;
// Files of this kind have no other name; anything else under that number is not what was offered.
constexpr std::string_view arena_name = "/memfd:ssi-arena";

int open_memory(std::int32_t process_id, std::int32_t descriptor) {
    const std::string path = fmt::format("/proc/{}/fd/{}", process_id, descriptor);
    char target[64];
    const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
    if (length <= 0 ||
        !std::string_view(target, static_cast<std::size_t>(length)).starts_with(arena_name))
        return -1;
    return ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
}

}  // namespace

PeerMemory::~PeerMemory() {
    for (Mapped& mapped : all_) unmap(mapped);
}

void PeerMemory::unmap(Mapped& mapped) {
    if (mapped.base) ::munmap(const_cast<std::byte*>(mapped.base), mapped.length);
    if (mapped.file >= 0) ::close(mapped.file);
    mapped.base = nullptr;
    mapped.file = -1;
}

// Maps more than the file has, so that it may grow; what is beyond its end is never touched.
bool PeerMemory::cover(Mapped& mapped, std::uint64_t end) {
    if (mapped.file < 0) return false;
    struct stat status {};
    if (::fstat(mapped.file, &status) != 0) return false;
    mapped.file_length = static_cast<std::uint64_t>(status.st_size);
    if (end > mapped.file_length) return false;
    if (end <= mapped.length) return true;
    const std::uint64_t wanted = std::max(least_mapped_bytes, std::bit_ceil(2 * end));
    void* base = ::mmap(nullptr, wanted, PROT_READ, MAP_SHARED | MAP_NORESERVE, mapped.file, 0);
    if (base == MAP_FAILED) return false;
    if (mapped.base) ::munmap(const_cast<std::byte*>(mapped.base), mapped.length);
    mapped.base = static_cast<const std::byte*>(base);
    mapped.length = wanted;
    return true;
}

const std::byte* PeerMemory::find(std::int32_t process_id, std::int32_t descriptor,
                                  std::uint64_t offset, std::uint64_t length) {
    auto at = std::find_if(all_.begin(), all_.end(), [&](const Mapped& mapped) {
        return mapped.process_id == process_id && mapped.descriptor == descriptor;
    });
    if (at == all_.end()) {
        all_.push_back({.process_id = process_id, .descriptor = descriptor});
        at = std::prev(all_.end());
        at->file = open_memory(process_id, descriptor);
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
        __builtin_prefetch(from + i + 16 * line);
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
