// SPDX-License-Identifier: BSD-3-Clause
#include "memory_content.hpp"

#include <algorithm>
#include <cstring>

#include "disk_parts.hpp"

namespace ssi::io {
namespace {

// Of one sector, besides the synced one and the newest. More would only cost memory.
constexpr std::ptrdiff_t most_older = 4;

// What of a file survives: mostly a mix; also the extremes, which a mix of many never is.
enum class Survival : std::uint8_t { oldest, newest, any, any_too, count };

std::size_t choose(Random& random, Survival survival, std::size_t choices) {
    if (survival == Survival::oldest) return 0;
    if (survival == Survival::newest) return choices - 1;
    return random.below(choices);
}

}  // namespace

std::size_t MemoryContent::read(std::uint64_t place, std::span<std::byte> bytes) const {
    if (place >= size()) return 0;
    const std::size_t wanted = std::min<std::uint64_t>(bytes.size(), size() - place);
    std::memset(bytes.data(), 0, wanted);
    for (auto at = blocks_.lower_bound(place / block_bytes); at != blocks_.end(); ++at) {
        const std::uint64_t offset = at->first * block_bytes - place;
        if (offset >= wanted) break;
        if (at->second.now)
            std::memcpy(bytes.data() + offset, at->second.now->data(),
                        std::min<std::size_t>(block_bytes, wanted - offset));
    }
    return wanted;
}

void MemoryContent::write_sector(std::uint64_t index, Block& block, std::size_t sector,
                                 const std::byte* bytes, std::uint64_t operation, bool durable) {
    if (durable) {
        std::erase_if(block.older, [&](const Older& old) { return old.sector == sector; });
    } else {
        unsynced_.insert(index);
        Older old{sector, block.operation[sector], {}};
        if (block.now)
            std::memcpy(old.bytes.data(), block.now->data() + sector * sector_bytes, sector_bytes);
        block.older.push_back(old);
        const auto same = [&](const Older& other) { return other.sector == sector; };
        if (std::count_if(block.older.begin(), block.older.end(), same) > most_older) {
            const auto synced = std::find_if(block.older.begin(), block.older.end(), same);
            block.older.erase(std::find_if(synced + 1, block.older.end(), same));
        }
    }
    if (!block.now) block.now = std::make_unique<Bytes>();
    std::memcpy(block.now->data() + sector * sector_bytes, bytes, sector_bytes);
    block.operation[sector] = operation;
}

void MemoryContent::resize(std::uint64_t bytes, std::uint64_t operation) {
    if (bytes != size()) sizes_.push_back({operation, bytes});
}

std::size_t MemoryContent::write(std::uint64_t place, std::span<const std::byte> bytes,
                                 std::uint64_t operation, bool durable, MemoryRoom& room) {
    std::size_t done = 0;
    for (; done < bytes.size(); done += block_bytes) {
        const std::uint64_t index = (place + done) / block_bytes;
        const auto found = blocks_.find(index);
        const bool fresh = found == blocks_.end() || !found->second.held;
        if (fresh && !room_or_own(room).take()) break;
        Block& block = fresh ? blocks_[index] : found->second;
        held_ += fresh ? 1 : 0;
        block.held = true;
        for (std::size_t sector = 0; sector < sectors; ++sector)
            write_sector(index, block, sector, bytes.data() + done + sector * sector_bytes,
                         operation, durable);
    }
    const std::uint64_t end = place + done;
    if (done > 0 && end > size()) resize(end, operation);
    // A durable write makes sure that its data is found: no size that comes back is too small.
    if (done > 0 && durable)
        for (Size& one : sizes_) one.bytes = std::max(one.bytes, end);
    return done;
}

void MemoryContent::make_hole(std::uint64_t index, Block& block, std::uint64_t operation,
                              MemoryRoom& room) {
    static constexpr Sector zeroes{};
    for (std::size_t sector = 0; sector < sectors; ++sector)
        write_sector(index, block, sector, zeroes.data(), operation, false);
    block.now.reset();
    if (block.held) {
        room_or_own(room).give_back(1);
        --held_;
    }
    block.held = false;
}

void MemoryContent::truncate(std::uint64_t bytes, std::uint64_t operation, MemoryRoom& room) {
    if (bytes % block_bytes != 0) {
        // The rest of the last block reads as zeroes when the file grows again.
        const auto last = blocks_.find(bytes / block_bytes);
        if (last != blocks_.end() && last->second.now) {
            Bytes cut = *last->second.now;
            std::memset(cut.data() + bytes % block_bytes, 0, block_bytes - bytes % block_bytes);
            for (auto sector = bytes % block_bytes / sector_bytes; sector < sectors; ++sector)
                write_sector(last->first, last->second, sector,
                             cut.data() + sector * sector_bytes, operation, false);
        }
    }
    const std::uint64_t first_gone = (bytes + block_bytes - 1) / block_bytes;
    for (auto at = blocks_.lower_bound(first_gone); at != blocks_.end(); ++at)
        if (at->second.held) make_hole(at->first, at->second, operation, room);
    resize(bytes, operation);
}

bool MemoryContent::allocate(std::uint64_t place, std::uint64_t bytes, std::uint64_t operation,
                             MemoryRoom& room) {
    if (bytes == 0) return true;
    const std::uint64_t end = place + bytes;
    std::vector<std::uint64_t> missing;
    for (std::uint64_t index = place / block_bytes; index * block_bytes < end; ++index) {
        const auto found = blocks_.find(index);
        if (found != blocks_.end() && found->second.held) continue;
        missing.push_back(index);
        if (missing.size() > room_or_own(room).left()) return false;
    }
    for (const std::uint64_t index : missing) {
        room_or_own(room).take();
        blocks_[index].held = true;
        ++held_;
    }
    if (end > size()) resize(end, operation);
    return true;
}

void MemoryContent::punch(std::uint64_t place, std::uint64_t bytes, std::uint64_t operation,
                          MemoryRoom& room) {
    const std::uint64_t end = (place + bytes) / block_bytes;
    for (auto at = blocks_.lower_bound(place / block_bytes); at != blocks_.end() && at->first < end;
         ++at)
        if (at->second.held) make_hole(at->first, at->second, operation, room);
}

void MemoryContent::sync(std::uint64_t covered) {
    for (auto at = unsynced_.begin(); at != unsynced_.end();) {
        Block& block = blocks_[*at];
        for (std::size_t sector = 0; sector < sectors; ++sector) {
            // Everything before the newest content that is covered can no longer come back.
            std::uint64_t synced = 0;
            for (const Older& old : block.older)
                if (old.sector == sector && old.operation <= covered)
                    synced = std::max(synced, old.operation);
            if (block.operation[sector] <= covered) synced = block.operation[sector];
            std::erase_if(block.older, [&](const Older& old) {
                return old.sector == sector &&
                       (old.operation < synced || block.operation[sector] <= covered);
            });
        }
        if (!block.older.empty()) {
            ++at;
            continue;
        }
        if (!block.held) blocks_.erase(*at);
        at = unsynced_.erase(at);
    }
    const auto beyond = std::find_if(sizes_.begin(), sizes_.end(),
                                     [&](const Size& one) { return one.operation > covered; });
    if (beyond - sizes_.begin() > 1) sizes_.erase(sizes_.begin(), beyond - 1);
}

void MemoryContent::leave(MemoryRoom& room) {
    if (removed_) return;
    removed_ = true;
    own_.used = held_;
    room.give_back(held_);
}

MemoryContent MemoryContent::after_power_cut(
    Random& random, std::span<const DiskRequest* const> under_way) const {
    MemoryContent left;
    const auto survival =
        static_cast<Survival>(random.below(static_cast<std::uint64_t>(Survival::count)));
    std::uint64_t bytes = sizes_[choose(random, survival, sizes_.size())].bytes;
    for (const auto& [index, block] : blocks_) {
        Block copy;
        if (block.now) copy.now = std::make_unique<Bytes>(*block.now);
        copy.held = block.held;
        for (std::size_t sector = 0; sector < sectors && !block.older.empty(); ++sector) {
            std::vector<const Older*> choices;
            for (const Older& old : block.older)
                if (old.sector == sector) choices.push_back(&old);
            choices.push_back(nullptr);      // what is there now
            const Older* const chosen = choices[choose(random, survival, choices.size())];
            if (!chosen) continue;
            if (!copy.now) copy.now = std::make_unique<Bytes>();
            copy.held = true;
            std::memcpy(copy.now->data() + sector * sector_bytes, chosen->bytes.data(),
                        sector_bytes);
        }
        if (copy.held) left.blocks_[index] = std::move(copy);
    }
    for (const DiskRequest* write : under_way) {
        std::uint64_t place = write->place;
        for_each_piece(*write, [&](const std::byte* memory, std::size_t length) {
            for (std::size_t done = 0; done < length; done += sector_bytes, place += sector_bytes) {
                if (choose(random, survival, 2) == 0) continue;
                Block& block = left.blocks_[place / block_bytes];
                block.held = true;
                if (!block.now) block.now = std::make_unique<Bytes>();
                std::memcpy(block.now->data() + place % block_bytes, memory + done, sector_bytes);
            }
        });
        if (place > bytes && choose(random, survival, 2) != 0) bytes = place;
    }
    left.sizes_ = {{0, bytes}};
    MemoryRoom room{.used = left.blocks_.size()};
    left.held_ = left.blocks_.size();
    left.truncate(bytes, 0, room);
    left.sizes_ = {{0, bytes}};
    left.sync(0);
    return left;
}

}  // namespace ssi::io
