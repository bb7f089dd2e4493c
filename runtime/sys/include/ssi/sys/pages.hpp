// SPDX-License-Identifier: BSD-3-Clause
// Whole pages of zeroed memory whose addresses stay readable after their content is given back:
// what a table needs when lock-free readers may still walk its retired version.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>

namespace ssi::sys {

// Zeroed, page aligned; null when the system refuses.
inline void* map_pages(std::size_t bytes) {
    void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? nullptr : p;
}

// Gives the memory back; later reads see zeroes.
inline void discard_pages(void* p, std::size_t bytes) { ::madvise(p, bytes, MADV_DONTNEED); }

// Asks for large pages, of which a first touch costs a fiftieth. Memory aligned to
// `huge_page_bytes`; where the site has them off, nothing changes.
inline constexpr std::size_t huge_page_bytes = 2u << 20;
inline void want_huge_pages(void* p, std::size_t bytes) { ::madvise(p, bytes, MADV_HUGEPAGE); }

inline void unmap_pages(void* p, std::size_t bytes) { ::munmap(p, bytes); }

}  // namespace ssi::sys
