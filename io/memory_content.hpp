// SPDX-License-Identifier: BSD-3-Clause
// MemoryContent: the bytes of one file of a MemoryDisk: what readers see, and for each sector that
// was not synced the older contents that a power cut may bring back. Operations are numbered by the
// disk, ascending; a sync covers those up to a number. Not thread-safe: the disk's lock guards it.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "ssi/base/random.hpp"
#include "ssi/io/disk.hpp"

namespace ssi::io {

// Room on the disk, in blocks.
struct MemoryRoom {
    std::uint64_t most = UINT64_MAX;
    std::uint64_t used = 0;
    bool take() {
        if (used >= most) return false;
        ++used;
        return true;
    }
    std::uint64_t left() const { return most - used; }
    void give_back(std::uint64_t blocks) { used -= blocks; }
};

class MemoryContent {
public:
    std::uint64_t size() const { return sizes_.back().bytes; }
    std::uint64_t blocks() const { return held_; }
    // Bytes read: fewer at the end of the file.
    std::size_t read(std::uint64_t place, std::span<std::byte> bytes) const;
    // Whole blocks. Bytes written: fewer when there is no more room.
    std::size_t write(std::uint64_t place, std::span<const std::byte> bytes,
                      std::uint64_t operation, bool durable, MemoryRoom& room);
    void truncate(std::uint64_t bytes, std::uint64_t operation, MemoryRoom& room);
    bool allocate(std::uint64_t place, std::uint64_t bytes, std::uint64_t operation,
                  MemoryRoom& room);
    // Whole blocks.
    void punch(std::uint64_t place, std::uint64_t bytes, std::uint64_t operation, MemoryRoom& room);
    void sync(std::uint64_t covered);
    // The file was removed: its room is free from now on, whoever still has it open.
    void leave(MemoryRoom& room);

    // What a power cut may leave of it and of the writes under way.
    MemoryContent after_power_cut(Random& random,
                                  std::span<const DiskRequest* const> under_way) const;

private:
    static constexpr std::size_t sectors = block_bytes / sector_bytes;
    using Sector = std::array<std::byte, sector_bytes>;
    using Bytes = std::array<std::byte, block_bytes>;
    struct Older {
        std::size_t sector;
        std::uint64_t operation;         // that wrote it
        Sector bytes;
    };
    struct Block {
        std::unique_ptr<Bytes> now;      // null: zeroes
        bool held = false;               // takes room; else a hole
        std::array<std::uint64_t, sectors> operation{};   // that wrote `now`
        std::vector<Older> older;        // ascending by operation, of all sectors
    };
    struct Size {
        std::uint64_t operation;
        std::uint64_t bytes;
    };

    MemoryRoom& room_or_own(MemoryRoom& room) { return removed_ ? own_ : room; }
    void write_sector(std::uint64_t index, Block& block, std::size_t sector, const std::byte* bytes,
                      std::uint64_t operation, bool durable);
    void make_hole(std::uint64_t index, Block& block, std::uint64_t operation, MemoryRoom& room);
    void resize(std::uint64_t bytes, std::uint64_t operation);

    std::map<std::uint64_t, Block> blocks_;
    std::set<std::uint64_t> unsynced_;   // blocks that have older contents or are holes
    std::vector<Size> sizes_{{0, 0}};    // the last is the size; the first the one synced
    std::uint64_t held_ = 0;
    bool removed_ = false;
    MemoryRoom own_;                     // once it is removed
};

}  // namespace ssi::io
