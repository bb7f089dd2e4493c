// SPDX-License-Identifier: BSD-3-Clause
#include "changes.hpp"

#include <xxhash.h>
#ifdef SSI_XXHASH_CHOOSES
#include <xxh_x86dispatch.h>
#endif

#include <algorithm>
#include <utility>

namespace ssi::ckpt {

namespace {

std::size_t blocks_of(std::uint64_t bytes) {
    return static_cast<std::size_t>((bytes + Changes::grain - 1) / Changes::grain);
}

void add(std::vector<Run>& runs, std::uint64_t offset, std::uint64_t length, bool same) {
    if (runs.empty() || runs.back().same != same) runs.push_back({offset, 0, same});
    runs.back().length += length;
}

}  // namespace

void Changes::begin(bool whole) {
    if (uncommitted_) forget();
    whole_ = whole || base_ == 0;
    ++round_;
    seen_ = seen_blocks_ = 0;
}

Changes::Hash Changes::hash(std::span<const std::byte> block) {
    const XXH128_hash_t hash = XXH3_128bits(block.data(), block.size());
    return {hash.low64, hash.high64};
}

// Its entry, with room for its hashes; `known`: those of the base are in it.
Changes::Known& Changes::find(const Part& part, bool& known) {
    const auto [at, fresh] = objects_.try_emplace({part.item, part.id});
    Known& entry = at->second;
    const bool fits = !fresh && entry.total == part.total;
    known = fits && !whole_ && entry.round == base_round_;
    const std::size_t blocks = blocks_of(part.total);
    if (!fits) {
        entry.first = hashes_.size();
        entry.total = part.total;
        hashes_.resize(hashes_.size() + blocks);
    }
    entry.round = round_;
    ++seen_;
    seen_blocks_ += blocks;
    return entry;
}

void Changes::look(const Part& part, std::span<const std::byte> bytes, bool versioned,
                   Changed& out) {
    uncommitted_ = true;
    out.part = part;
    out.runs.clear();
    bool known = false;
    Known& entry = find(part, known);
    if (known && versioned && entry.version == part.version) {
        out.runs.push_back({0, part.total, true});
        return;
    }
    entry.version = part.version;
    for (std::size_t at = 0, block = entry.first; at < bytes.size(); at += grain, ++block) {
        const auto some = bytes.subspan(at, std::min(grain, bytes.size() - at));
        const Hash now = hash(some);
        const bool same = known && hashes_[block] == now;
        hashes_[block] = now;
        add(out.runs, at, some.size(), same);
    }
    if (bytes.empty()) out.runs.push_back({});
}

void Changes::committed(VersionNumber version) {
    base_ = version;
    base_round_ = round_;
    uncommitted_ = false;
    if (objects_.size() > 2 * seen_ || hashes_.size() > 2 * seen_blocks_) compact();
}

// Without objects that are no more, and hashes that are nobody's.
void Changes::compact() {
    std::vector<Hash> kept;
    kept.reserve(seen_blocks_);
    std::erase_if(objects_, [&](const auto& object) {
        return object.second.round != base_round_;
    });
    for (auto& [name, entry] : objects_) {
        const auto from = hashes_.begin() + static_cast<std::ptrdiff_t>(entry.first);
        entry.first = kept.size();
        kept.insert(kept.end(), from,
                    from + static_cast<std::ptrdiff_t>(blocks_of(entry.total)));
    }
    hashes_ = std::move(kept);
}

void Changes::forget() {
    base_ = 0;
    uncommitted_ = false;
    objects_ = {};
    hashes_ = {};
}

}  // namespace ssi::ckpt
