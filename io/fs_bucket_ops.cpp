// SPDX-License-Identifier: BSD-3-Clause
// Which bucket of a directory has a name: found from what was last seen of the directory, down or
// up from there; and buckets that are split.
#include "fs_core.hpp"
#include "fs_transaction.hpp"

namespace ssi::fs {

// The bucket of that index, where it was last seen; when it was not, the first.
BucketKey Core::seen_at(InodeId directory, const Hint& hint, std::uint32_t index) {
    if (index == 0 || hint.directory.load(std::memory_order_relaxed) != directory.value) return {};
    const auto level = static_cast<unsigned>(std::bit_width(index)) - 1;
    return {index, hint.places[level].load(std::memory_order_relaxed)};
}

BucketKey Core::guess(InodeId directory, std::uint64_t hash) const {
    const Hint& hint = hint_of(directory);
    const unsigned depth = hint.depth.load(std::memory_order_relaxed);
    return seen_at(directory, hint, static_cast<std::uint32_t>(low_bits(hash, depth)));
}

BucketKey Core::guess_elder(InodeId directory, BucketKey of) const {
    return seen_at(directory, hint_of(directory), elder_index(of.index));
}

// Two directories of one place, or two tasks, at worst make each other guess worse.
void Core::learn(InodeId directory, std::uint16_t depth, const BucketPlaces& places) {
    const auto put = [](auto& to, auto value) {
        if (to.load(std::memory_order_relaxed) != value) to.store(value, std::memory_order_relaxed);
    };
    Hint& hint = hints_[hint_index(directory)];
    for (unsigned level = 0; level < depth; ++level) put(hint.places[level], places[level]);
    put(hint.depth, depth);
    put(hint.directory, directory.value);
}

Result<Core::Bucket> Core::bucket_for(InodeId directory, std::uint64_t hash,
                                      kddm::Access access) {
    BucketKey key = guess(directory, hash);
    for (;;) {
        const ObjectId id = bucket_id(directory, key);
        auto guard = access == kddm::Access::write ? buckets_.grab(id) : buckets_.get(id);
        if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
        const BucketView view(guard->bytes());
        if (!view.exists() && key.index != 0) {
            key = guess_elder(directory, key);
            continue;
        }
        if (view.covers(hash, key)) {
            learn(directory, view.head().depth, view.places());
            return Bucket{std::move(*guard), key};
        }
        key = view.next_key(hash, key);
    }
}

// Each bucket is looked at once; one that is split meanwhile may be missed, so whoever needs all
// looks again when it has them.
Result<std::vector<BucketKey>> Core::buckets_of(InodeId directory) {
    std::vector<BucketKey> found;
    for (std::uint64_t cookie = 1;;) {
        auto bucket = bucket_for(directory, hash_at(cookie), kddm::Access::read);
        if (!bucket) return tl::unexpected<Failure>(std::move(bucket).error());
        found.push_back(bucket->key);
        cookie = BucketView(bucket->guard.bytes()).end_cookie(bucket->key);
        if (cookie == 0) break;
    }
    std::ranges::sort(found);
    return found;
}

// A directory that one node fills lies with it, so that its names cost no messages; one that
// several fill lies everywhere, so that it is no one's burden. Where a bucket lies when it is split
// off is where it stays.
std::uint16_t Core::place_for(InodeId directory, NodeId only_writer) const {
    if (only_writer != node_.id() || own_volumes_.empty()) return 0;
    const std::uint32_t slot = own_slot(mix64(directory.value)).value;
    return slot < UINT16_MAX ? static_cast<std::uint16_t>(slot + 1) : 0;
}

// Not for handlers of calls: the half may be logged by another node.
Result<void> Core::split(InodeId directory, BucketKey key) {
    auto guard = buckets_.grab(bucket_id(directory, key));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    const BucketView view(guard->bytes());
    // Or somebody else has.
    if (!view.exists() || !view.should_split(options_.bucket_bytes)) return {};
    const BucketKey other{key.index | std::uint32_t{1} << view.head().depth,
                          place_for(directory, view.only_writer())};
    auto new_guard = buckets_.grab(bucket_id(directory, other));
    if (!new_guard) return tl::unexpected<Failure>(std::move(new_guard).error());
    auto halves = view.split(other.place);
    Transaction tx(*this);
    tx.change(volume_of_bucket(directory, key), bucket_number_, *guard,
              Edit::of_whole(halves.stays));
    tx.change(volume_of_bucket(directory, other), bucket_number_, *new_guard,
              Edit::of_whole(halves.goes));
    SSI_TRY(tx.apply());
    const BucketView left(guard->bytes());
    learn(directory, left.head().depth, left.places());
    return {};
}

}  // namespace ssi::fs
