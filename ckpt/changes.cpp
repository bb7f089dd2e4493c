// SPDX-License-Identifier: BSD-3-Clause
#include "changes.hpp"

#include <xxhash.h>
#ifdef SSI_XXHASH_CHOOSES
#include <xxh_x86dispatch.h>
#endif

#include <algorithm>
#include <utility>

namespace ssi::ckpt {

void Changes::begin(bool whole) {
    whole_ = whole || base_ == 0;
    next_.objects.clear();
    next_.hashes.clear();
}

Changes::Hash Changes::hash(std::span<const std::byte> block) {
    const XXH128_hash_t hash = XXH3_128bits(block.data(), block.size());
    return {hash.low64, hash.high64};
}

const Changes::Known* Changes::find(const Part& part) const {
    if (whole_) return nullptr;
    const auto at = old_.objects.find({part.item, part.id});
    return at != old_.objects.end() && at->second.total == part.total ? &at->second : nullptr;
}

void Changes::look(const Part& part, std::span<const std::byte> bytes, bool versioned,
                   Changed& out) {
    out.part = part;
    out.runs.clear();
    out.bytes.clear();
    const Known* before = find(part);
    next_.objects[{part.item, part.id}] = {part.version, part.total, next_.hashes.size()};
    const std::size_t blocks = (bytes.size() + grain - 1) / grain;
    if (before && versioned && before->version == part.version) {
        const auto from = old_.hashes.begin() + static_cast<std::ptrdiff_t>(before->first);
        next_.hashes.insert(next_.hashes.end(), from, from + static_cast<std::ptrdiff_t>(blocks));
        out.runs.push_back({0, part.total, true, 0});
        return;
    }
    for (std::size_t block = 0; block < blocks; ++block) {
        const std::size_t at = block * grain;
        const auto some = bytes.subspan(at, std::min(grain, bytes.size() - at));
        next_.hashes.push_back(hash(some));
        const bool same = before && old_.hashes[before->first + block] == next_.hashes.back();
        if (out.runs.empty() || out.runs.back().same != same)
            out.runs.push_back({at, 0, same, out.bytes.size()});
        out.runs.back().length += some.size();
        if (!same) out.bytes.insert(out.bytes.end(), some.begin(), some.end());
    }
    if (blocks == 0) out.runs.push_back({});
}

void Changes::committed(VersionNumber version) {
    base_ = version;
    std::swap(old_, next_);
}

void Changes::forget() {
    base_ = 0;
    old_ = {};
    next_ = {};
}

}  // namespace ssi::ckpt
