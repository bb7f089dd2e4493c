// SPDX-License-Identifier: BSD-3-Clause
// Operations wherever their home is: in the caller when that is this node, else by a call.
#include <fmt/format.h>

#include <cerrno>

#include "fs_core.hpp"

namespace ssi::fs {
namespace {

Failure malformed() { return {Errc::bad_message, 0, no_node, "a malformed request of kDFS"}; }

constexpr std::size_t much_garbage = 256;   // files

struct NameArguments {
    InodeId directory;
    BucketKey key;
    std::uint64_t hash = 0;
    std::uint32_t uid = 0;
    bool exclusive = false;
    bool opens = false;
    Place place;
};

}  // namespace

void Core::register_calls() {
    using Sort = io::Calls::Sort;
    using Pace = io::Calls::Pace;
    using Arguments = std::span<const std::byte>;
    const auto add = [&](Verb verb, Sort sort, Pace pace, auto serve) {
        calls_->handle(
            static_cast<std::uint8_t>(verb), sort,
            [this, verb, serve](NodeId from, Arguments arguments) {
                return serve(*this, verb, from, arguments);
            },
            pace);
    };
    const auto name = [](Core& c, Verb v, NodeId from, Arguments a) {
        return c.serve_name(v, from, a);
    };
    for (const Verb verb : {Verb::create, Verb::insert, Verb::unlink})
        add(verb, Sort::operation, Pace::quick, name);
    const auto inode = [](Core& c, Verb v, NodeId, Arguments a) { return c.serve_inode(v, a); };
    for (const Verb verb : {Verb::drop_link, Verb::reap})
        add(verb, Sort::operation, Pace::quick, inode);
    for (const Verb verb : {Verb::persist, Verb::sync_all})
        add(verb, Sort::operation, Pace::slow, inode);
    add(Verb::make_inode, Sort::operation, Pace::quick,
        [](Core& c, Verb, NodeId, Arguments a) { return c.serve_new_inode(a); });
    const auto leaf = [&](Verb verb, Pace pace, Result<Bytes> (Core::*serve)(Arguments)) {
        add(verb, Sort::leaf, pace,
            [serve](Core& c, Verb, NodeId, Arguments a) { return (c.*serve)(a); });
    };
    add(Verb::list, Sort::operation, Pace::slow,
        [](Core& c, Verb, NodeId, Arguments a) { return c.serve_list(a); });
    leaf(Verb::log, Pace::quick, &Core::serve_log);
    leaf(Verb::settle, Pace::quick, &Core::serve_settle);
    leaf(Verb::count_open, Pace::quick, &Core::serve_open);
    add(Verb::close, Sort::operation, Pace::quick,
        [](Core& c, Verb, NodeId, Arguments a) { return c.serve_close(a); });
    leaf(Verb::keeps_open, Pace::quick, &Core::serve_keeps_open);
    leaf(Verb::has_intent, Pace::slow, &Core::serve_has_intent);
    leaf(Verb::commit, Pace::slow, &Core::serve_commit);
    leaf(Verb::check, Pace::slow, &Core::serve_check);
    leaf(Verb::space, Pace::slow, &Core::serve_space);
}

Result<void> Core::call_volume(std::uint32_t volume, Verb verb,
                               std::span<const std::byte> arguments) {
    auto done = calls_->call(volumes_->node_of(volume), static_cast<std::uint8_t>(verb), arguments);
    if (!done) return tl::unexpected<Failure>(std::move(done).error());
    return {};
}

// Follows the directory's splits; splits the bucket itself when it has become large.
Result<NameReply> Core::at_bucket(Verb verb, NameRequest request, const NewInode* inode,
                                  bool exclusive, Place place) {
    if (request.name.size() > most_name_bytes) return refuse(ENAMETOOLONG, request.name);
    request.hash = name_hash(request.name);
    request.key = guess(request.directory, request.hash);
    request.by = node_.id();
    for (;;) {
        const NodeId home = home_of_bucket(request.directory, request.key);
        Result<NameReply> reply;
        if (home == node_.id()) {
            reply = verb == Verb::create   ? create_here(request, *inode, exclusive)
                    : verb == Verb::insert ? insert_here(request, place)
                                           : unlink_here(request);
            calls_->serve_others();
        } else {
            Writer call;
            call.put(NameArguments{request.directory, request.key, request.hash,
                                   request.who ? request.who->uid : 0, exclusive, request.opens,
                                   place});
            call.text(request.name);
            if (inode) call.put(inode->head).block(inode->content);
            auto answer = calls_->call(home, static_cast<std::uint8_t>(verb), call.bytes());
            if (!answer) return tl::unexpected<Failure>(std::move(answer).error());
            Reader reader(*answer);
            reply = reader.get<NameReply>();
            if (!reader.ok()) return tl::unexpected<Failure>(malformed());
        }
        if (!reply) return reply;
        if (reply->absent) {
            request.key = guess_elder(request.directory, request.key);
            continue;
        }
        learn(request.directory, reply->depth, reply->places);
        if (!reply->moved) {
            if (reply->split) SSI_TRY(split(request.directory, request.key));
            return reply;
        }
        request.key = reply->key;
    }
}

Result<Core::Bytes> Core::serve_name(Verb verb, NodeId from,
                                     std::span<const std::byte> arguments) {
    Reader reader(arguments);
    const auto a = reader.get<NameArguments>();
    Credentials who;
    who.uid = a.uid;
    NameRequest request{a.directory, a.key, a.hash, reader.text(), &who, from, a.opens};
    NewInode made;
    if (verb == Verb::create) {
        made.head = reader.get<InodeHead>();
        made.content = reader.block();
    }
    if (!reader.ok() || home_of_bucket(a.directory, a.key) != node_.id())
        return tl::unexpected<Failure>(malformed());
    auto reply = verb == Verb::create   ? create_here(request, made, a.exclusive)
                 : verb == Verb::insert ? insert_here(request, a.place)
                                        : unlink_here(request);
    if (!reply) return tl::unexpected<Failure>(std::move(reply).error());
    return Writer().put(*reply).take();
}

Result<Gone> Core::at_inode(Verb verb, InodeId inode) {
    const auto call = Writer().put(inode).take();
    auto answer = calls_->call(home_of(inode), static_cast<std::uint8_t>(verb), call);
    if (!answer) return tl::unexpected<Failure>(std::move(answer).error());
    Reader reader(*answer);
    const auto gone = reader.get<Gone>();
    if (!reader.ok()) return tl::unexpected<Failure>(malformed());
    return gone;
}

Result<Core::Bytes> Core::serve_inode(Verb verb, std::span<const std::byte> arguments) {
    Reader reader(arguments);
    const auto inode = reader.get<InodeId>();
    if (!reader.ok()) return tl::unexpected<Failure>(malformed());
    Result<Gone> gone = Gone{};
    Result<void> done;
    switch (verb) {
        case Verb::drop_link: gone = drop_link_here(inode); break;
        case Verb::reap: gone = reap_here(inode); break;
        case Verb::persist: done = persist_here(inode); break;
        case Verb::sync_all: done = sync_mine(); break;
        default: return tl::unexpected<Failure>(malformed());
    }
    if (!done) return tl::unexpected<Failure>(std::move(done).error());
    if (!gone) return tl::unexpected<Failure>(std::move(gone).error());
    return Writer().put(*gone).take();
}

Result<Core::Bytes> Core::serve_new_inode(std::span<const std::byte> arguments) {
    Reader reader(arguments);
    const SlotId slot(reader.get<std::uint32_t>());
    NewInode made;
    made.head = reader.get<InodeHead>();
    made.content = reader.block();
    if (!reader.ok() || slot.value >= slots_) return tl::unexpected<Failure>(malformed());
    auto inode = make_inode_here(slot, made);
    if (!inode) return tl::unexpected<Failure>(std::move(inode).error());
    return Writer().put(*inode).take();
}

// Pages of a file go when its end is durable: after a crash before that it is there, with all that
// it had.
void Core::clean_up(InodeId inode, const Gone& gone) {
    if (!gone.gone || !gone.paged) return;
    std::size_t waiting = 0;
    {
        std::lock_guard lock(garbage_mutex_);
        garbage_.push_back({inode, gone});
        waiting = garbage_.size();
    }
    if (waiting % much_garbage == 0) {
        std::lock_guard lock(committer_mutex_);
        committer_wakes_.notify_all();
    }
}

// A crash here leaves pages without an inode to recovery.
Result<void> Core::erase_gone() {
    std::vector<Garbage> garbage;
    {
        std::lock_guard lock(garbage_mutex_);
        garbage.swap(garbage_);
        erasing_.insert(erasing_.end(), garbage.begin(), garbage.end());
    }
    VolumeList volumes;
    for (const Garbage& g : garbage) volumes.add(volume_of(g.inode));
    Result<void> result = commit(volumes);
    for (const Garbage& g : garbage) {
        if (!result) break;
        result = pages_->erase(g.inode, Layout::unpack(g.gone.layout), g.gone.size);
    }
    std::set<InodeId> over;
    for (const Garbage& g : garbage) over.insert(g.inode);
    std::lock_guard lock(garbage_mutex_);
    std::erase_if(erasing_, [&](const Garbage& g) { return over.contains(g.inode); });
    erased_.notify_all();
    return result;
}

Result<void> Core::erase_all_gone() {
    SSI_TRY(erase_gone());
    std::unique_lock lock(garbage_mutex_);
    while (!erasing_.empty()) erased_.wait(garbage_mutex_);
    return {};
}

}  // namespace ssi::fs
