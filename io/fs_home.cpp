// SPDX-License-Identifier: BSD-3-Clause
// Operations on names and inodes where these are at home: one batch in one log each. They are run
// by whoever wants them on that node, or for another node's call.
#include <fmt/format.h>

#include "fs_core.hpp"
#include "fs_transaction.hpp"

namespace ssi::fs {
namespace {

constexpr std::uint8_t directory_type = S_IFDIR >> 12;

// What the bucket is like now.
void tell(NameReply& reply, const NameRequest& request, const BucketView& view) {
    reply.key = request.key;
    reply.depth = view.head().depth;
    reply.places = view.places();
}

// Set when the request has come to the wrong bucket.
std::optional<NameReply> misplaced(const NameRequest& request, const BucketView& view) {
    NameReply reply;
    if (!view.exists() && request.key.index != 0) {
        reply.absent = true;
        return reply;
    }
    if (view.covers(request.hash, request.key)) return std::nullopt;
    tell(reply, request, view);
    reply.moved = true;
    reply.key = view.next_key(request.hash, request.key);
    return reply;
}

}  // namespace

Result<kddm::RawGuard> Core::new_inode_guard(InodeId inode, const NewInode& made,
                                             std::int64_t now) {
    auto guard = inodes_.grab_new(ObjectId(inode.value));
    if (!guard) return guard;
    InodeHead head = made.head;
    head.access_ns = head.modify_ns = head.change_ns = now;
    head.inline_bytes = static_cast<std::uint32_t>(made.content.size());
    if (!made.content.empty()) head.size = made.content.size();
    if (head.is_directory() && head.parent == 0) head.parent = inode.value;
    SSI_TRY(guard->resize_for_overwrite(sizeof head + made.content.size()));
    const auto value = guard->writable();
    std::memcpy(value.data(), &head, sizeof head);
    if (!made.content.empty())
        std::memcpy(value.data() + sizeof head, made.content.data(), made.content.size());
    return guard;
}

Result<NameReply> Core::create_here(const NameRequest& request, const NewInode& made,
                                    bool exclusive) {
    auto bucket = buckets_.grab(bucket_id(request.directory, request.key));
    if (!bucket) return tl::unexpected<Failure>(std::move(bucket).error());
    const BucketView view(bucket->bytes());
    if (auto wrong = misplaced(request, view)) return *wrong;
    NameReply reply;
    tell(reply, request, view);
    if (const auto entry = view.find(request.name, request.hash)) {
        if (exclusive) return refuse(EEXIST, request.name);
        reply.place = {InodeId(entry->head.inode), entry->head.type};
        return reply;
    }
    // A directory that was removed has no bucket; nor has one that is new.
    if (!view.exists()) SSI_TRY(require_alive(request.directory));
    const std::uint32_t volume = volume_of_bucket(request.directory, request.key);
    auto serial = next_serial(volume);
    if (!serial) return tl::unexpected<Failure>(std::move(serial).error());
    const InodeId inode = make_inode(
        slot_of_bucket({}, bucket_id(request.directory, request.key), slots_), *serial);
    const std::int64_t time = now();
    auto guard = new_inode_guard(inode, made, time);
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    reply.place = {inode, static_cast<std::uint8_t>(made.head.mode >> 12 & 15)};
    reply.made = true;
    Transaction tx(*this);
    tx.change(volume, bucket_number_, *bucket,
              view.insert({request.name, request.hash, inode, reply.place.type, request.by}, time));
    tx.change_made(volume, inode_number_, *guard);
    if (request.opens) opens_here_.add(inode);
    if (auto done = tx.apply(); !done) {
        if (request.opens) opens_here_.drop(inode);
        SSI_TRY(guard->resize(0));
        return tl::unexpected<Failure>(std::move(done).error());
    }
    const BucketView after(bucket->bytes());
    tell(reply, request, after);
    reply.split = after.should_split(options_.bucket_bytes);
    return reply;
}

Result<NameReply> Core::insert_here(const NameRequest& request, Place place) {
    auto bucket = buckets_.grab(bucket_id(request.directory, request.key));
    if (!bucket) return tl::unexpected<Failure>(std::move(bucket).error());
    const BucketView view(bucket->bytes());
    if (auto wrong = misplaced(request, view)) return *wrong;
    if (view.find(request.name, request.hash)) return refuse(EEXIST, request.name);
    if (!view.exists()) SSI_TRY(require_alive(request.directory));
    Transaction tx(*this);
    tx.change(volume_of_bucket(request.directory, request.key), bucket_number_, *bucket,
              view.insert({request.name, request.hash, place.inode, place.type, request.by},
                          now()));
    SSI_TRY(tx.apply());
    NameReply reply;
    reply.place = place;
    const BucketView after(bucket->bytes());
    tell(reply, request, after);
    reply.split = after.should_split(options_.bucket_bytes);
    return reply;
}

Result<NameReply> Core::unlink_here(const NameRequest& request) {
    auto bucket = buckets_.grab(bucket_id(request.directory, request.key));
    if (!bucket) return tl::unexpected<Failure>(std::move(bucket).error());
    const BucketView view(bucket->bytes());
    if (auto wrong = misplaced(request, view)) return *wrong;
    const auto entry = view.find(request.name, request.hash);
    if (!entry) return refuse(ENOENT, request.name);
    if (entry->head.type == directory_type) return refuse(EISDIR, request.name);
    const InodeId inode(entry->head.inode);
    if (request.who->uid != 0) {
        auto directory = head_of(request.directory);
        if (!directory) return tl::unexpected<Failure>(std::move(directory).error());
        auto head = head_of(inode);
        if (!head) return tl::unexpected<Failure>(std::move(head).error());
        if (directory->mode & S_ISVTX && request.who->uid != directory->uid &&
            request.who->uid != head->uid)
            return refuse(EPERM, request.name);
    }
    const std::uint32_t volume = volume_of_bucket(request.directory, request.key);
    const std::int64_t time = now();
    NameReply reply;
    tell(reply, request, view);
    reply.place = {inode, entry->head.type};
    reply.elsewhere = volume_of(inode) != volume;
    Transaction tx(*this);
    tx.change(volume, bucket_number_, *bucket, view.erase(*entry, time));
    if (reply.elsewhere) {
        SSI_TRY(tx.apply());
        return reply;
    }
    auto guard = inodes_.grab(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    const auto head = inode_head(guard->bytes());
    if (!head) {   // an entry without an inode: it goes
        SSI_TRY(tx.apply());
        return reply;
    }
    auto gone = let_go(*guard, *head, true, tx);
    if (!gone) return tl::unexpected<Failure>(std::move(gone).error());
    reply.gone = *gone;
    return reply;
}

// One link less, and the end of it when that was the last and nobody has it open; logged by `tx`.
Result<Gone> Core::let_go(kddm::RawGuard& guard, InodeHead head, bool drop, Transaction& tx) {
    const ObjectId id = guard.id();
    const std::uint32_t volume = volume_of(InodeId(id.lo));
    Gone gone;
    if (drop && head.links > 0) --head.links;
    if (head.links == 0) {
        auto open = is_open(InodeId(id.lo));
        if (!open) return tl::unexpected<Failure>(std::move(open).error());
        gone.gone = !*open;
    }
    if (gone.gone) {
        gone.paged = head.paged();
        gone.layout = head.layout;
        gone.size = head.size;
        tx.remove(volume, inode_number_, guard);
    } else if (drop) {
        head.change_ns = now();
        Edit edit;
        edit.object_bytes = static_cast<std::uint32_t>(guard.bytes().size());
        edit.write(0, &head, sizeof head);
        tx.change(volume, inode_number_, guard, Edit::of_whole(edit.applied(guard.bytes())));
    } else {
        return gone;
    }
    SSI_TRY(tx.apply());
    return gone;
}

Result<InodeId> Core::make_inode_here(SlotId slot, const NewInode& made) {
    const std::uint32_t volume = volumes_->volume_of(slot);
    auto serial = next_serial(volume);
    if (!serial) return tl::unexpected<Failure>(std::move(serial).error());
    const InodeId inode = make_inode(slot, *serial);
    auto guard = new_inode_guard(inode, made, now());
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    Transaction tx(*this);
    tx.change_made(volume, inode_number_, *guard);
    if (auto done = tx.apply(); !done) {
        SSI_TRY(guard->resize(0));
        return tl::unexpected<Failure>(std::move(done).error());
    }
    return inode;
}

Result<Gone> Core::drop_link_here(InodeId inode) {
    auto guard = inodes_.grab(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    const auto head = inode_head(guard->bytes());
    if (!head) return Gone{};
    Transaction tx(*this);
    return let_go(*guard, *head, true, tx);
}

Result<Gone> Core::reap_here(InodeId inode) {
    auto guard = inodes_.grab(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    const auto head = inode_head(guard->bytes());
    if (!head || head->links != 0) return Gone{};
    Transaction tx(*this);
    return let_go(*guard, *head, false, tx);
}

}  // namespace ssi::fs
