// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <mutex>

#include "fs_look.hpp"

namespace ssi::fs {
namespace {

constexpr std::size_t most_looks = 8;   // at once; the oldest go, of nodes that never ended them

template <class T>
std::vector<std::byte> part_of(const std::vector<T>& all, std::uint64_t from) {
    Writer part;
    for (std::size_t i = from; i < all.size() && i - from < LookedAt::most_at_once; ++i)
        part.put(all[i]);
    return part.take();
}

}  // namespace

LookedAt::Tables LookedAt::tables_now() const {
    Tables tables;
    for (const std::uint32_t volume : core_.own_volumes_) {
        const io::ObjectLog* log = core_.volumes_->log(volume, io::KeptIn::metadata);
        for (const io::ObjectFacts& facts : log->objects(core_.inode_number_))
            tables.inodes.push_back({.inode = InodeId(facts.id.lo)});
        for (const io::ObjectFacts& facts : log->objects(core_.bucket_number_))
            tables.buckets.push_back(facts.id);
    }
    std::ranges::sort(tables.inodes, {}, &SeenNames::inode);
    tables.paged = core_.pages_->inodes_with_pages();
    return tables;
}

// For each name one byte: whether its inode was there when the look began.
std::vector<std::byte> LookedAt::count(Tables& tables, Reader& reader) const {
    Writer answers;
    while (!reader.at_end()) {
        const auto name = reader.get<SeenName>();
        const auto at = std::ranges::lower_bound(tables.inodes, name.inode, {}, &SeenNames::inode);
        const bool there = at != tables.inodes.end() && at->inode == name.inode;
        answers.put(std::uint8_t{there});
        if (!there) continue;
        if (at->names != 0 && at->type != name.type) at->other_type = 1;
        ++at->names;
        at->directory = name.directory;
        at->type = name.type;
    }
    return answers.take();
}

// For each inode one byte: whether this node is about to take its pages away.
std::vector<std::byte> LookedAt::garbage(Reader& reader) const {
    std::set<InodeId> going;
    {
        std::lock_guard lock(core_.garbage_mutex_);
        for (const auto* list : {&core_.garbage_, &core_.erasing_})
            for (const Core::Garbage& g : *list) going.insert(g.inode);
    }
    Writer answers;
    while (!reader.at_end())
        answers.put(std::uint8_t{going.contains(reader.get<InodeId>())});
    return answers.take();
}

Result<std::vector<std::byte>> LookedAt::serve(NodeId from, std::span<const std::byte> arguments) {
    Reader reader(arguments);
    const auto step = reader.get<LookStep>();
    const std::pair name{from, reader.get<std::uint64_t>()};
    if (!reader.ok()) return fail(Errc::bad_message, "a malformed step of a look");
    if (step == LookStep::begin) {
        Tables tables = tables_now();
        std::lock_guard lock(mutex_);
        while (looks_.size() >= most_looks) looks_.erase(looks_.begin());
        looks_[name] = std::move(tables);
        return std::vector<std::byte>();
    }
    if (step == LookStep::garbage) return garbage(reader);
    std::lock_guard lock(mutex_);
    const auto at = looks_.find(name);
    if (step == LookStep::end) {
        if (at != looks_.end()) looks_.erase(at);
        return std::vector<std::byte>();
    }
    if (at == looks_.end())
        return fail(Errc::would_block, "too many look at the file system at once: try again later");
    if (step == LookStep::count) return count(at->second, reader);
    const auto begin = reader.get<std::uint64_t>();
    if (!reader.ok()) return fail(Errc::bad_message, "a malformed step of a look");
    switch (step) {
        case LookStep::inodes:
        case LookStep::names: return part_of(at->second.inodes, begin);
        case LookStep::buckets: return part_of(at->second.buckets, begin);
        default: return part_of(at->second.paged, begin);
    }
}

}  // namespace ssi::fs
