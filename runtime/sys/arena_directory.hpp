// SPDX-License-Identifier: BSD-3-Clause
// ArenaDirectory: the first page of a shared arena's file: where its owner has mapped the rest, so
// that whoever maps the file can follow the owner's pointers. Written by ArenaSpace, read by
// ArenaView. Private to sys.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ssi::sys {

struct ArenaDirectory {
    static constexpr std::uint64_t magic_value = 0x3130'616e'6572'6173;   // "sarena01"
    static constexpr std::size_t bytes = 4096;
    static constexpr std::size_t most_regions = 40;
    struct Region {
        std::uint64_t address = 0;   // in the owner
        std::uint64_t bytes = 0;
        std::uint64_t offset = 0;    // in the file
    };
    std::uint64_t magic = 0;                // written before the first region
    std::atomic<std::uint32_t> count{0};    // regions below never change
    Region regions[most_regions];
};
static_assert(sizeof(ArenaDirectory) <= ArenaDirectory::bytes);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

}  // namespace ssi::sys
