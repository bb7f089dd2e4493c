// SPDX-License-Identifier: BSD-3-Clause
// rename: both buckets, what is moved, and what it replaces are grabbed here, wherever they were;
// so nobody ever sees the name twice or not at all.
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "fs_core.hpp"
#include "fs_transaction.hpp"

namespace ssi::fs {
namespace {

constexpr std::uint8_t directory_type = S_IFDIR >> 12;
// Whoever moves a directory to another parent holds this, so that two of them make no cycle.
constexpr ObjectId moving_directories{0, 0};
constexpr std::size_t most_led_to = 65'536;

}  // namespace

struct Core::Move {
    const Parent& from;
    const Parent& to;
    const Credentials& who;
    unsigned flags;
    std::uint64_t from_hash = 0, to_hash = 0;
    BucketKey from_key, to_key;
    Place moved{};                         // what is moved
    std::optional<Place> replaced{};       // what it replaces
    Gone gone{};
    bool split = false;
};

// Whether `inside` is `directory` or lies below it.
Result<void> Core::check_no_cycle(InodeId directory, InodeId inside) {
    for (InodeId at = inside;;) {
        if (at == directory) return refuse(EINVAL, "a directory into itself");
        if (at == root_inode) return {};
        auto head = head_of(at);
        if (!head) return tl::unexpected<Failure>(std::move(head).error());
        at = InodeId(head->parent);
    }
}

Result<void> Core::check_rename(const Move& m) {
    const bool directory = m.moved.is_directory();
    if (m.replaced && m.flags & RENAME_NOREPLACE) return refuse(EEXIST, m.to.name);
    if (!directory && (m.from.slash || m.to.slash))
        return refuse(ENOTDIR, m.from.name);
    if (directory) SSI_TRY(check_no_cycle(m.moved.inode, m.to.directory));
    if (m.replaced && m.replaced->is_directory()) {
        // What lies above cannot be empty.
        if (auto above = check_no_cycle(m.replaced->inode, m.from.directory); !above) {
            if (above.error().sys_errno == EINVAL) return refuse(ENOTEMPTY, m.to.name);
            return above;
        }
    }
    if (m.replaced && m.replaced->inode == m.moved.inode) return {};
    SSI_TRY(may_remove(m.from, m.moved.inode, m.who));
    if (m.replaced) {
        SSI_TRY(may_remove(m.to, m.replaced->inode, m.who));
        if (directory && !m.replaced->is_directory()) return refuse(ENOTDIR, m.to.name);
        if (!directory && m.replaced->is_directory()) return refuse(EISDIR, m.to.name);
    } else {
        SSI_TRY(require(m.to.directory, m.who, W_OK | X_OK));
    }
    if (directory && m.from.directory != m.to.directory)
        SSI_TRY(require(m.moved.inode, m.who, W_OK));
    return {};
}

// A file that was made durable shall not move into a directory that is not yet: what leads there
// and is kept in other logs comes first. In one log it does anyway.
Result<void> Core::commit_way(const Parent& from, const Parent& to) {
    if (from.directory == to.directory) return {};
    VolumeList others;
    for (const std::uint32_t volume : to.volumes.all())
        if (!std::ranges::equal(from.volumes.all(), std::array{volume})) others.add(volume);
    return commit(others);
}

// Nor into a bucket that a split which is not durable leads to. Nor out of one: its elder, as it
// was before, would have the old name again. What leads to a bucket stays, so that is waited for
// once.
Result<void> Core::commit_elders(InodeId directory, BucketKey key, const BucketPlaces& places,
                                 std::uint32_t from_volume) {
    VolumeList others;
    for (BucketKey elder = key; elder.index != 0;) {
        elder = elder_of(elder.index, places);
        const std::uint32_t volume = volume_of_bucket(directory, elder);
        if (volume != from_volume) others.add(volume);
    }
    if (others.all().empty()) return {};
    const std::array<std::uint64_t, 3> name{directory.value, key.word(), from_volume};
    {
        std::lock_guard lock(led_to_mutex_);
        if (led_to_.contains(name)) return {};
    }
    SSI_TRY(commit(others));
    std::lock_guard lock(led_to_mutex_);
    if (led_to_.size() >= most_led_to) led_to_.clear();
    led_to_.insert(name);
    return {};
}

Result<void> Core::rename(const Parent& from, const Parent& to, const Credentials& who,
                          unsigned flags) {
    if (flags & ~static_cast<unsigned>(RENAME_NOREPLACE)) return refuse(EINVAL, "rename flags");
    if (from.last != LastName::plain) return refuse(EBUSY, "the directory itself");
    if (to.last != LastName::plain)
        return refuse(flags & RENAME_NOREPLACE ? EEXIST : EBUSY, "the directory itself");
    Move move{from, to, who, flags};
    move.from_hash = name_hash(from.name);
    move.to_hash = name_hash(to.name);
    for (;;) {
        auto moved = find(from.directory, from.name);
        if (!moved) return tl::unexpected<Failure>(std::move(moved).error());
        auto replaced = find(to.directory, to.name);
        if (!replaced && replaced.error().sys_errno != ENOENT)
            return tl::unexpected<Failure>(std::move(replaced).error());
        move.moved = *moved;
        move.replaced.reset();
        if (replaced) move.replaced = *replaced;
        SSI_TRY(check_rename(move));
        auto done = try_rename(move);
        if (!done) return tl::unexpected<Failure>(std::move(done).error());
        if (*done) break;
    }
    if (move.split) SSI_TRY(split(to.directory, move.to_key));
    if (move.replaced) clean_up(move.replaced->inode, move.gone);
    return {};
}

// What becomes of the two buckets, which may be one.
void Core::plan_names(const Move& m, Transaction& tx, kddm::RawGuard& from, kddm::RawGuard& to,
                      std::int64_t time) {
    const auto put = [&](const BucketView& view) {
        const auto there = view.find(m.to.name, m.to_hash);
        return there ? view.replace(*there, m.moved.inode, m.moved.type, time)
                     : view.insert({m.to.name, m.to_hash, m.moved.inode, m.moved.type, node_.id()},
                                 time);
    };
    const BucketView source(from.bytes());
    Edit erased = source.erase(*source.find(m.from.name, m.from_hash), time);
    const std::uint32_t volume = volume_of_bucket(m.from.directory, m.from_key);
    tx.begin_with(volume);
    if (from.id() == to.id()) {
        const std::vector<std::byte> between = erased.applied(from.bytes());
        std::vector<std::byte> after = put(BucketView(between)).applied(between);
        return tx.change(volume, bucket_number_, from, Edit::of_whole(after));
    }
    tx.change(volume, bucket_number_, from, std::move(erased));
    const std::uint32_t other = volume_of_bucket(m.to.directory, m.to_key);
    tx.after(other);
    tx.change(other, bucket_number_, to, put(BucketView(to.bytes())));
}

// The two buckets of the names, and all of a directory that is replaced (`emptied`, or null).
Result<std::vector<ObjectId>> Core::buckets_for(Move& m, std::vector<BucketKey>* emptied) {
    std::vector<ObjectId> ids;
    for (const bool to : {false, true}) {
        const Parent& at = to ? m.to : m.from;
        auto bucket = bucket_for(at.directory, to ? m.to_hash : m.from_hash, kddm::Access::read);
        if (!bucket) return tl::unexpected<Failure>(std::move(bucket).error());
        (to ? m.to_key : m.from_key) = bucket->key;
        ids.push_back(bucket_id(at.directory, bucket->key));
        const BucketPlaces places = BucketView(bucket->guard.bytes()).places();
        bucket->guard.put();
        SSI_TRY(commit_elders(at.directory, bucket->key, places,
                              volume_of_bucket(m.from.directory, m.from_key)));
    }
    if (!emptied) return ids;
    auto own = buckets_of(m.replaced->inode);
    if (!own) return tl::unexpected<Failure>(std::move(own).error());
    *emptied = std::move(*own);
    for (const BucketKey i : *emptied) ids.push_back(bucket_id(m.replaced->inode, i));
    return ids;
}

Result<bool> Core::try_rename(Move& m) {
    const bool directory = m.moved.is_directory();
    // Two names of one inode: nothing happens, if that is so at one moment.
    const bool same = m.replaced && m.replaced->inode == m.moved.inode;
    const bool replaces_directory = m.replaced && m.replaced->is_directory() && !same;
    std::vector<BucketKey> emptied;
    auto found = buckets_for(m, replaces_directory ? &emptied : nullptr);
    if (!found) return tl::unexpected<Failure>(std::move(found).error());
    std::vector<ObjectId> ids = std::move(*found);
    if (directory && m.from.directory != m.to.directory) ids.push_back(moving_directories);
    auto guards = buckets_.grab_many(ids);
    if (!guards) return tl::unexpected<Failure>(std::move(guards).error());

    const BucketView source(guards->bytes(0)), target(guards->bytes(1));
    if (!source.covers(m.from_hash, m.from_key) || !target.covers(m.to_hash, m.to_key))
        return false;
    const auto old_entry = source.find(m.from.name, m.from_hash);
    const auto new_entry = target.find(m.to.name, m.to_hash);
    if (!old_entry || old_entry->head.inode != m.moved.inode.value) return false;
    if (new_entry.has_value() != m.replaced.has_value() ||
        (new_entry && new_entry->head.inode != m.replaced->inode.value))
        return false;
    if (same) {
        m.replaced.reset();
        return true;
    }
    if (replaces_directory) {
        auto empty = all_empty(*guards, 2, emptied.size());
        if (!empty || !*empty) return empty;
    }
    if (directory) SSI_TRY(check_no_cycle(m.moved.inode, m.to.directory));
    SSI_TRY(require_alive(m.to.directory));

    const std::int64_t time = now();
    Transaction tx(*this);
    plan_names(m, tx, (*guards)[0], (*guards)[1], time);
    for (std::size_t i = 0; i < emptied.size(); ++i) {
        const std::uint32_t volume = volume_of_bucket(m.replaced->inode, emptied[i]);
        tx.after(volume);
        tx.remove(volume, bucket_number_, (*guards)[2 + i]);
    }
    std::vector<ObjectId> inode_ids{ObjectId(m.moved.inode.value)};
    if (m.replaced) inode_ids.push_back(ObjectId(m.replaced->inode.value));
    auto inodes = inodes_.grab_many(inode_ids);
    if (!inodes) return tl::unexpected<Failure>(std::move(inodes).error());
    auto head = inode_head(inodes->bytes(0));
    if (!head) return refuse(ENOENT, m.from.name);
    head->change_ns = time;
    if (directory) head->parent = m.to.directory.value;
    Edit edit;
    edit.object_bytes = static_cast<std::uint32_t>(inodes->bytes(0).size());
    edit.write(0, &*head, sizeof *head);
    tx.change(volume_of(m.moved.inode), inode_number_, (*inodes)[0],
              Edit::of_whole(edit.applied(inodes->bytes(0))));
    tx.in_order();   // or the new name might be there beside the old one
    if (m.replaced) {
        const auto old = inode_head(inodes->bytes(1));
        if (!old) return refuse(ENOENT, m.to.name);
        auto gone = let_go((*inodes)[1], *old, true, tx);   // applies the transaction
        if (!gone) return tl::unexpected<Failure>(std::move(gone).error());
        m.gone = *gone;
    } else {
        SSI_TRY(tx.apply());
    }
    m.split = BucketView(guards->bytes(1)).should_split(options_.bucket_bytes);
    return true;
}

}  // namespace ssi::fs
