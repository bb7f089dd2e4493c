// SPDX-License-Identifier: BSD-3-Clause
// Which bucket of a directory has a name: found from what was last seen of the directory, down or
// up from there; and buckets that are split.
#include "fs_core.hpp"
#include "fs_transaction.hpp"

namespace ssi::fs {
namespace {

std::uint64_t without_highest(std::uint64_t index) { return index & ~std::bit_floor(index); }

}  // namespace

std::uint64_t Core::guess(InodeId directory, std::uint64_t hash) const {
    const Hint& hint = hints_[mix64(directory.value) % hints_.size()];
    if (hint.directory.load(std::memory_order_relaxed) != directory.value) return 0;
    return low_bits(hash, hint.depth.load(std::memory_order_relaxed));
}

// Two directories of one place, or two tasks, at worst make each other guess worse.
void Core::learn(InodeId directory, std::uint16_t depth) {
    Hint& hint = hints_[mix64(directory.value) % hints_.size()];
    if (hint.directory.load(std::memory_order_relaxed) != directory.value) {
        hint.depth.store(depth, std::memory_order_relaxed);
        hint.directory.store(directory.value, std::memory_order_relaxed);
    } else if (hint.depth.load(std::memory_order_relaxed) != depth) {
        hint.depth.store(depth, std::memory_order_relaxed);
    }
}

Result<Core::Bucket> Core::bucket_for(InodeId directory, std::uint64_t hash,
                                      kddm::Access access) {
    std::uint64_t index = guess(directory, hash);
    for (;;) {
        const ObjectId id{directory.value, index};
        auto guard = access == kddm::Access::write ? buckets_.grab(id) : buckets_.get(id);
        if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
        const BucketView view(guard->bytes());
        if (!view.exists() && index != 0) {
            index = without_highest(index);
            continue;
        }
        if (view.covers(hash, index)) {
            learn(directory, view.head().depth);
            return Bucket{std::move(*guard), index};
        }
        index = view.next_index(hash, index);
    }
}

// Each bucket is looked at once; one that is split meanwhile may be missed, so whoever needs all
// looks again when it has them.
Result<std::vector<std::uint64_t>> Core::buckets_of(InodeId directory) {
    std::vector<std::uint64_t> found;
    for (std::uint64_t cookie = 1;;) {
        auto bucket = bucket_for(directory, hash_at(cookie), kddm::Access::read);
        if (!bucket) return tl::unexpected<Failure>(std::move(bucket).error());
        found.push_back(bucket->index);
        cookie = BucketView(bucket->guard.bytes()).end_cookie(bucket->index);
        if (cookie == 0) break;
    }
    std::ranges::sort(found);
    return found;
}

// The new half goes to another home, so that a large directory is everybody's. Not for handlers of
// calls: the half may be logged by another node.
Result<void> Core::split(InodeId directory, std::uint64_t index) {
    const ObjectId id{directory.value, index};
    auto guard = buckets_.grab(id);
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    const BucketView view(guard->bytes());
    if (!view.exists() || !view.should_split()) return {};   // somebody else has
    const std::uint64_t other = index | std::uint64_t{1} << view.head().depth;
    auto new_guard = buckets_.grab(ObjectId{directory.value, other});
    if (!new_guard) return tl::unexpected<Failure>(std::move(new_guard).error());
    auto halves = view.split();
    const std::uint16_t depth = static_cast<std::uint16_t>(view.head().depth + 1);
    Transaction tx(*this);
    tx.change(volume_of_bucket(directory, index), bucket_number_, *guard,
              Edit::of_whole(halves.stays));
    tx.change(volume_of_bucket(directory, other), bucket_number_, *new_guard,
              Edit::of_whole(halves.goes));
    SSI_TRY(tx.apply());
    learn(directory, depth);
    return {};
}

}  // namespace ssi::fs
