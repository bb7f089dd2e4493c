// SPDX-License-Identifier: BSD-3-Clause
// Names that come and go. Which errno comes first where several hold is Linux's choice.
#include <unistd.h>

#include <cerrno>

#include "fs_core.hpp"
#include "fs_transaction.hpp"

namespace ssi::fs {
namespace {

constexpr std::uint8_t directory_type = S_IFDIR >> 12;

}  // namespace

// Of something made there; who may not make anything there is refused.
Result<InodeHead> Core::new_head(const Parent& at, const InodeHead& directory,
                                 const Credentials& who, std::uint32_t mode) {
    if (!may(directory, who, W_OK | X_OK)) return refuse(EACCES, at.name);
    InodeHead head;
    head.mode = (mode & S_IFMT) | (mode & 07777 & ~(who.umask & 0777));
    if (S_ISLNK(mode)) head.mode = mode;
    head.uid = who.uid;
    head.gid = who.gid;
    head.links = 1;
    if (directory.mode & S_ISGID) {
        head.gid = directory.gid;
        if (S_ISDIR(mode)) head.mode |= S_ISGID;
    }
    if (S_ISREG(mode) && (head.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
        who.uid != 0 && !in_group(who, head.gid))
        head.mode &= ~static_cast<std::uint32_t>(S_ISGID);
    if (S_ISDIR(mode)) {
        head.parent = at.directory.value;
        head.unit_shift = directory.unit_shift;
        head.count = directory.count;
        head.placement = directory.placement;
    }
    return head;
}

Result<Place> Core::create(const Parent& at, const Credentials& who, std::uint32_t mode,
                           const Striping& striping, bool exclusive, bool* made,
                           VolumeList* volumes) {
    *made = false;
    auto directory = head_of(at.directory);
    if (!directory) return tl::unexpected<Failure>(std::move(directory).error());
    // Whoever may make it is told by the attempt that it is there; a copy that is here anyway tells
    // without a message.
    const BucketKey guessed = guess(at.directory, name_hash(at.name));
    const bool sees = !exclusive && home_of_bucket(at.directory, guessed) != node_.id() &&
                      buckets_.find(bucket_id(at.directory, guessed)) != kddm::Access::none;
    if (sees || !may(*directory, who, W_OK | X_OK)) {
        auto found = find(at.directory, at.name, volumes);
        if (found && exclusive) return refuse(EEXIST, at.name);
        if (found || found.error().sys_errno != ENOENT) return found;
    }
    NewInode inode;
    auto head = new_head(at, *directory, who, S_IFREG | (mode & 07777));
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    inode.head = *head;
    inode.head.layout = new_layout(*directory, striping).packed();
    auto reply = at_bucket(
        Verb::create, {.directory = at.directory, .name = at.name, .opens = true}, &inode,
        exclusive, {});
    if (!reply) return tl::unexpected<Failure>(std::move(reply).error());
    *made = reply->made;
    add_way(*volumes, at.directory, reply->key, reply->places);
    return reply->place;
}

Result<void> Core::symlink(const Parent& at, const Credentials& who, std::string_view target) {
    if (at.last != LastName::plain) return refuse(EEXIST, "the directory itself");
    SSI_TRY(require_absent(at));
    if (at.slash) return refuse(ENOENT, at.name);
    NewInode inode;
    auto directory = head_of(at.directory);
    if (!directory) return tl::unexpected<Failure>(std::move(directory).error());
    auto head = new_head(at, *directory, who, S_IFLNK | 0777);
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    inode.head = *head;
    inode.content = std::as_bytes(std::span(target));
    auto reply = at_bucket(Verb::create, {.directory = at.directory, .name = at.name}, &inode,
                           true, {});
    if (!reply) return tl::unexpected<Failure>(std::move(reply).error());
    return {};
}

// The inode first, where this node has a volume; then its name.
Result<void> Core::make_directory(const Parent& at, const Credentials& who, std::uint32_t mode) {
    if (at.last != LastName::plain) return refuse(EEXIST, "the directory itself");
    SSI_TRY(require_absent(at));
    NewInode inode;
    auto directory = head_of(at.directory);
    if (!directory) return tl::unexpected<Failure>(std::move(directory).error());
    auto head = new_head(at, *directory, who, S_IFDIR | (mode & 01777));
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    inode.head = *head;
    const SlotId slot = own_slot(chance());
    auto answer = calls_->call(volumes_->node_of(volumes_->volume_of(slot)),
                               static_cast<std::uint8_t>(Verb::make_inode),
                               Writer().put(slot.value).put(inode.head).block({}).bytes());
    if (!answer) return tl::unexpected<Failure>(std::move(answer).error());
    const auto made = Reader(*answer).get<InodeId>();
    auto reply = at_bucket(Verb::insert, {.directory = at.directory, .name = at.name}, nullptr,
                           true, {made, directory_type});
    if (reply) return {};
    (void)at_inode(Verb::drop_link, made);
    return tl::unexpected<Failure>(std::move(reply).error());
}

// Name and count change together, so that a file that lost its last name gets no other. Where there
// are several logs the name and the way to it are durable before anybody sees it: another name of
// the file may be taken away in another log, by somebody who does not know where the others are.
Result<void> Core::link(Place from, const Parent& to, const Credentials& who) {
    if (to.last != LastName::plain) return refuse(EEXIST, "the directory itself");
    SSI_TRY(require_absent(to));
    if (to.slash) return refuse(ENOENT, to.name);
    SSI_TRY(require(to.directory, who, W_OK | X_OK));
    if (from.is_directory()) return refuse(EPERM, "a link to a directory");
    const bool ordered =
        volumes_->volumes().size() > 1 && options_.plant != Plant::unordered_link;
    if (ordered) SSI_TRY(commit(to.volumes));
    BucketKey full;
    {
        const std::uint64_t hash = name_hash(to.name);
        auto bucket = bucket_for(to.directory, hash, kddm::Access::write);
        if (!bucket) return tl::unexpected<Failure>(std::move(bucket).error());
        const BucketView view(bucket->guard.bytes());
        if (view.find(to.name, hash)) return refuse(EEXIST, to.name);
        if (!view.exists()) SSI_TRY(require_alive(to.directory));
        if (ordered)
            SSI_TRY(commit_elders(to.directory, bucket->key, view.places(), no_volume));
        auto inode = inodes_.grab(ObjectId(from.inode.value));
        if (!inode) return tl::unexpected<Failure>(std::move(inode).error());
        auto head = inode_head(inode->bytes());
        if (!head || head->links == 0) return refuse(ENOENT, "the file was removed");
        const std::int64_t time = now();
        ++head->links;
        head->change_ns = time;
        Edit counted;
        counted.object_bytes = static_cast<std::uint32_t>(inode->bytes().size());
        counted.write(0, &*head, sizeof *head);
        Transaction tx(*this);
        const std::uint32_t volume = volume_of_bucket(to.directory, bucket->key);
        tx.begin_with(volume);
        if (ordered) tx.in_order();
        tx.change(volume, bucket_number_, bucket->guard,
                  view.insert({to.name, hash, from.inode, from.type, node_.id()}, time));
        tx.change(volume_of(from.inode), inode_number_, *inode,
                  Edit::of_whole(counted.applied(inode->bytes())));
        SSI_TRY(tx.apply());
        if (ordered && volume == volume_of(from.inode)) SSI_TRY(commit(volume));
        if (!BucketView(bucket->guard.bytes()).should_split(options_.bucket_bytes)) return {};
        full = bucket->key;
    }
    return split(to.directory, full);
}

Result<void> Core::unlink(const Parent& at, const Credentials& who) {
    if (at.last != LastName::plain) return refuse(EISDIR, "the directory itself");
    if (at.slash) {
        auto found = find(at.directory, at.name);
        if (!found) return tl::unexpected<Failure>(std::move(found).error());
        return refuse(found->is_directory() ? EISDIR : ENOTDIR, at.name);
    }
    if (who.uid != 0) {
        auto found = find(at.directory, at.name);
        if (!found) return tl::unexpected<Failure>(std::move(found).error());
        SSI_TRY(require(at.directory, who, W_OK | X_OK));
    }
    auto reply = at_bucket(Verb::unlink, {.directory = at.directory, .name = at.name, .who = &who},
                           nullptr, false, {});
    if (!reply) return tl::unexpected<Failure>(std::move(reply).error());
    if (!reply->elsewhere) {
        clean_up(reply->place.inode, reply->gone);
        return {};
    }
    auto gone = at_inode(Verb::drop_link, reply->place.inode);
    if (!gone) return tl::unexpected<Failure>(std::move(gone).error());
    clean_up(reply->place.inode, *gone);
    return {};
}

// All buckets of a directory are held: they have no entry. False: these are not all.
Result<bool> Core::all_empty(kddm::RawGuards& guards, std::size_t first, std::size_t count) {
    double covered = 0;
    for (std::size_t i = first; i < first + count; ++i) {
        const BucketView view(guards.bytes(i));
        if (view.head().entries != 0) return refuse(ENOTEMPTY, "the directory");
        covered += 1.0 / static_cast<double>(std::uint64_t{1} << view.head().depth);
    }
    return covered == 1.0;
}

Result<void> Core::remove_directory(const Parent& at, const Credentials& who) {
    if (at.last == LastName::dot) return refuse(EINVAL, "the last name is '.'");
    if (at.last == LastName::dot_dot) return refuse(ENOTEMPTY, "the last name is '..'");
    if (at.last == LastName::root) return refuse(EBUSY, "the root");
    for (;;) {
        auto found = find(at.directory, at.name);
        if (!found) return tl::unexpected<Failure>(std::move(found).error());
        SSI_TRY(may_remove(at, found->inode, who));
        if (!found->is_directory()) return refuse(ENOTDIR, at.name);
        auto removed = try_remove(at, *found, now());
        if (!removed) return tl::unexpected<Failure>(std::move(removed).error());
        if (*removed) return {};
    }
}

Result<void> Core::may_remove(const Parent& at, InodeId inode, const Credentials& who) {
    if (who.uid == 0) return {};
    auto directory = head_of(at.directory);
    if (!directory) return tl::unexpected<Failure>(std::move(directory).error());
    if (!may(*directory, who, W_OK | X_OK)) return refuse(EACCES, at.name);
    if (!(directory->mode & S_ISVTX) || who.uid == directory->uid) return {};
    auto head = head_of(inode);
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    if (who.uid != head->uid) return refuse(EPERM, at.name);
    return {};
}

Result<bool> Core::try_remove(const Parent& at, Place directory, std::int64_t time) {
    const std::uint64_t hash = name_hash(at.name);
    auto own = buckets_of(directory.inode);
    if (!own) return tl::unexpected<Failure>(std::move(own).error());
    BucketKey key;
    {
        auto bucket = bucket_for(at.directory, hash, kddm::Access::read);
        if (!bucket) return tl::unexpected<Failure>(std::move(bucket).error());
        key = bucket->key;
    }
    std::vector<ObjectId> ids{bucket_id(at.directory, key)};
    for (const BucketKey i : *own) ids.push_back(bucket_id(directory.inode, i));
    auto guards = buckets_.grab_many(ids);
    if (!guards) return tl::unexpected<Failure>(std::move(guards).error());
    const BucketView parent(guards->bytes(0));
    if (!parent.covers(hash, key)) return false;
    const auto entry = parent.find(at.name, hash);
    if (!entry || entry->head.inode != directory.inode.value) return false;
    auto empty = all_empty(*guards, 1, own->size());
    if (!empty || !*empty) return empty;
    auto inode = inodes_.grab(ObjectId(directory.inode.value));
    if (!inode) return tl::unexpected<Failure>(std::move(inode).error());
    const auto head = inode_head(inode->bytes());
    if (!head) return refuse(ENOENT, at.name);
    Transaction tx(*this);
    tx.begin_with(volume_of_bucket(at.directory, key));
    tx.change(volume_of_bucket(at.directory, key), bucket_number_, (*guards)[0],
              parent.erase(*entry, time));
    for (std::size_t i = 0; i < own->size(); ++i) {
        const std::uint32_t volume = volume_of_bucket(directory.inode, (*own)[i]);
        if (!guards->bytes(i + 1).empty()) tx.after(volume);   // names that went elsewhere
        tx.remove(volume, bucket_number_, (*guards)[i + 1]);
    }
    if (auto gone = let_go(*inode, *head, true, tx); !gone)   // applies the transaction
        return tl::unexpected<Failure>(std::move(gone).error());
    return true;
}

}  // namespace ssi::fs
