// SPDX-License-Identifier: BSD-3-Clause
#include "fs_look.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace ssi::fs {
namespace {

constexpr int most_looks = 5;
constexpr Nanoseconds pause = 300'000'000;          // what is half done gets done in it
constexpr std::size_t names_at_once = 4096;
constexpr std::size_t most_found = 10'000;
constexpr std::size_t most_texts = 100;

// The session, not a value on a disk, is what fails.
bool ends_it(const Failure& failure) {
    return failure.code == Errc::peer_lost || failure.code == Errc::cancelled;
}

}  // namespace

Look::Look(Core& core, const std::atomic<bool>& stop)
    : core_(core), stop_(stop), number_(core.next_open()) {}

Result<CheckReport> Core::look(const std::atomic<bool>& stop) { return Look(*this, stop).run(); }

void Look::found(std::string text, std::uint64_t version) {
    if (found_.size() < most_found)
        found_[std::move(text)] = version;
    else
        ++beyond_;
}

Result<void> Look::unreadable(const Failure& failure, std::string what) {
    if (ends_it(failure)) return tl::unexpected(failure);
    found(fmt::format("{}: {}", what, failure.text));
    return {};
}

Result<CheckReport> Look::run() {
    std::map<std::string, std::uint64_t> certain;
    for (int i = 0; i < most_looks; ++i) {
        const auto before = std::exchange(found_, {});
        if (i > 0) core_.node_.doors().tasks.sleep_for(pause);
        report_ = {};
        beyond_ = 0;
        blind_ = false;
        Result<void> looked = look_once();
        untold_.clear();
        for (const NodeId node : core_.all_nodes()) (void)ask(node, LookStep::end);
        SSI_TRY(std::move(looked));
        certain.clear();
        for (const auto& [text, version] : found_)
            if (const auto at = before.find(text); at != before.end() && at->second == version)
                certain.insert(*at);
        if (certain.size() == found_.size()) break;
    }
    report_.problems = certain.size() + beyond_;
    report_.unsettled = found_.size() - certain.size();
    for (const auto& [text, version] : certain)
        if (report_.texts.size() < most_texts) report_.texts.push_back(text);
    return std::move(report_);
}

Result<void> Look::look_once() {
    const std::vector<NodeId> nodes = core_.all_nodes();
    const auto call = Writer().put(LookStep::begin).put(number_).take();
    for (auto& begun :
         core_.calls_->call_all(nodes, static_cast<std::uint8_t>(Core::Verb::look), call))
        if (!begun) return tl::unexpected<Failure>(std::move(begun).error());
    for (const NodeId node : nodes) SSI_TRY(walk(node));
    SSI_TRY(tell_homes());
    for (const NodeId node : nodes) SSI_TRY(compare_names(node));
    for (const NodeId node : nodes) SSI_TRY(look_at_buckets(node));
    for (const NodeId node : nodes) SSI_TRY(look_at_pages(node));
    return {};
}

Result<Look::Bytes> Look::ask(NodeId node, LookStep step, std::span<const std::byte> more) {
    Bytes call = Writer().put(step).put(number_).take();
    call.insert(call.end(), more.begin(), more.end());
    return core_.calls_->call(node, static_cast<std::uint8_t>(Core::Verb::look), call);
}

template <class T, class F>
Result<void> Look::each_part(NodeId node, LookStep step, F&& f) {
    for (std::uint64_t from = 0;;) {
        if (stop_.load()) return fail(Errc::cancelled, "the file system is being closed");
        auto answer = ask(node, step, Writer().put(from).bytes());
        if (!answer) return tl::unexpected<Failure>(std::move(answer).error());
        std::vector<T> part;
        for (Reader reader(*answer); !reader.at_end();) part.push_back(reader.get<T>());
        if (part.empty()) return {};
        from += part.size();
        SSI_TRY(f(std::as_const(part)));
    }
}

Result<std::vector<Look::Head>> Look::heads(std::span<const InodeId> inodes) {
    std::vector<ObjectId> ids;
    for (const InodeId inode : inodes) ids.emplace_back(inode.value);
    std::vector<Head> heads(ids.size());
    if (auto all = core_.inodes_.read_many(ids)) {
        for (std::size_t i = 0; i < ids.size(); ++i)
            heads[i] = {(*all)[i].version, inode_head((*all)[i].bytes)};
        return heads;
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {   // which of them it is
        auto one = core_.inodes_.read(ids[i]);
        heads[i].unreadable = !one;
        if (one)
            heads[i] = {one->version, inode_head(one->bytes)};
        else
            SSI_TRY(unreadable(one.error(), fmt::format("inode {}", ids[i].lo)));
    }
    return heads;
}

// None: it cannot be read.
Result<std::vector<std::optional<Look::Bytes>>> Look::buckets(std::span<const ObjectId> ids) {
    std::vector<std::optional<Bytes>> values(ids.size());
    if (auto all = core_.buckets_.read_many(ids)) {
        for (std::size_t i = 0; i < ids.size(); ++i) values[i] = std::move((*all)[i].bytes);
        return values;
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
        auto one = core_.buckets_.read(ids[i]);
        if (one) {
            values[i] = std::move(one->bytes);
            continue;
        }
        blind_ = true;
        SSI_TRY(unreadable(one.error(), fmt::format("bucket {} of directory {}",
                                                    BucketKey::of(ids[i].lo).index, ids[i].hi)));
    }
    return values;
}

// ---- names

Result<void> Look::walk(NodeId node) {
    return each_part<SeenNames>(node, LookStep::inodes, [&](const auto& part) -> Result<void> {
        std::vector<InodeId> inodes;
        for (const SeenNames& one : part) inodes.push_back(one.inode);
        auto all = heads(inodes);
        if (!all) return tl::unexpected<Failure>(std::move(all).error());
        for (std::size_t i = 0; i < inodes.size(); ++i) {
            const auto& head = (*all)[i].head;
            if (head && head->is_directory() && head->links != 0)
                SSI_TRY(walk_directory(inodes[i]));
        }
        return {};
    });
}

Result<void> Look::walk_directory(InodeId directory) {
    for (std::uint64_t cookie = 0;;) {
        if (stop_.load()) return fail(Errc::cancelled, "the file system is being closed");
        auto entries = core_.list(directory, cookie, names_at_once, false);
        if (!entries) {
            blind_ = true;
            return unreadable(entries.error(), fmt::format("directory {}", directory.value));
        }
        if (entries->empty()) return {};
        cookie = entries->back().cookie;
        for (DirectoryEntry& entry : *entries) {
            const InodeId inode(entry.inode);
            ++report_.entries;
            untold_[core_.home_of(inode)].emplace_back(
                SeenName{inode, directory.value, static_cast<std::uint8_t>(entry.type >> 12)},
                std::move(entry.name));
        }
        untold_count_ += entries->size();
        if (untold_count_ >= names_at_once) SSI_TRY(tell_homes());
    }
}

// Homes count the names; those that know no such inode have it looked for.
Result<void> Look::tell_homes() {
    for (const auto& [home, names] : std::exchange(untold_, {})) {
        Writer more;
        for (const auto& [seen, name] : names) more.put(seen);
        auto answer = ask(home, LookStep::count, more.bytes());
        if (!answer) return tl::unexpected<Failure>(std::move(answer).error());
        Reader known(*answer);
        for (const auto& [seen, name] : names)
            if (known.get<std::uint8_t>() == 0) SSI_TRY(missing(seen, name));
        if (!known.ok()) return fail(Errc::bad_message, "too few answers of a look");
    }
    untold_count_ = 0;
    return {};
}

// A name goes no later than its inode; so one that is still there now has none.
Result<void> Look::missing(const SeenName& seen, const std::string& name) {
    auto head = core_.peek(seen.inode);
    if (head) return {};   // made since the look began
    if (head.error().sys_errno != ENOENT)
        return unreadable(head.error(), fmt::format("inode {}", seen.inode.value));
    auto place = core_.find(InodeId(seen.directory), name);
    if (!place && place.error().sys_errno != ENOENT)
        return unreadable(place.error(), fmt::format("directory {}", seen.directory));
    if (place && place->inode == seen.inode)
        found(fmt::format("name '{}' in directory {}: inode {} does not exist", name,
                          seen.directory, seen.inode.value));
    return {};
}

Result<void> Look::compare_names(NodeId node) {
    return each_part<SeenNames>(node, LookStep::names, [&](const auto& part) -> Result<void> {
        std::vector<InodeId> inodes;
        for (const SeenNames& one : part) inodes.push_back(one.inode);
        auto all = heads(inodes);
        if (!all) return tl::unexpected<Failure>(std::move(all).error());
        for (std::size_t i = 0; i < part.size(); ++i) compare(part[i], (*all)[i]);
        return {};
    });
}

void Look::compare(const SeenNames& names, const Head& at_end) {
    if (!at_end.head) return;   // removed since the look began, or told already
    const InodeHead& head = *at_end.head;
    if (head.is_directory()) ++report_.directories;
    else if (S_ISREG(head.mode)) ++report_.files;
    else ++report_.others;
    if (names.inode == root_inode || blind_) return;
    const std::uint64_t inode = names.inode.value;
    const std::uint64_t links = head.is_directory() ? std::min<std::uint64_t>(head.links, 1)
                                                    : head.links;
    if (names.names != 0 && (names.other_type || names.type != (head.mode >> 12 & 15)))
        found(fmt::format("inode {} is of another type than a name of it says", inode));
    if (names.names == links && (!head.is_directory() || links == 0 ||
                                 head.parent == names.directory))
        return;
    found(names.names == 0
              ? fmt::format("inode {} has no name", inode)
              : fmt::format("inode {} has {} names and counts {}, or another parent", inode,
                            names.names, links),
          at_end.version);
}

// ---- buckets and pages

Result<bool> Look::has_bucket(ObjectId id) {
    auto value = core_.buckets_.read(id);
    if (!value) return tl::unexpected<Failure>(std::move(value).error());
    return !value->bytes.empty();
}

// A bucket comes with what leads to it, and goes no later.
Result<void> Look::look_at_buckets(NodeId node) {
    return each_part<ObjectId>(node, LookStep::buckets, [&](const auto& part) -> Result<void> {
        auto values = buckets(part);
        if (!values) return tl::unexpected<Failure>(std::move(values).error());
        std::vector<InodeId> directories;
        std::vector<ObjectId> elders;
        for (std::size_t i = 0; i < part.size(); ++i) {
            const BucketKey key = BucketKey::of(part[i].lo);
            directories.emplace_back(part[i].hi);
            BucketPlaces places{};
            if ((*values)[i]) places = BucketView(*(*values)[i]).places();
            elders.push_back(key.index == 0 ? part[i] : bucket_id(directories.back(),
                                                                  elder_of(key.index, places)));
        }
        auto parents = heads(directories);
        if (!parents) return tl::unexpected<Failure>(std::move(parents).error());
        auto leading = buckets(elders);
        if (!leading) return tl::unexpected<Failure>(std::move(leading).error());
        for (std::size_t i = 0; i < part.size(); ++i) {
            if (!(*values)[i] || (*values)[i]->empty() || !(*leading)[i]) continue;
            const BucketKey key = BucketKey::of(part[i].lo);
            const Head& parent = (*parents)[i];
            const char* wrong = nullptr;
            if (!BucketView(*(*values)[i]).valid()) wrong = "it is malformed";
            if (!parent.unreadable && (!parent.head || !parent.head->is_directory()))
                wrong = "there is no such directory";
            if (key.index != 0) {
                const BucketView elder(*(*leading)[i]);
                const auto bit = static_cast<unsigned>(std::bit_width(key.index)) - 1;
                if (elder.head().depth <= bit ||
                    key_on_way(key.index, bit, elder.places()) != key)
                    wrong = "nothing leads to it";
            }
            if (!wrong) continue;
            auto still = has_bucket(part[i]);
            if (!still) SSI_TRY(unreadable(still.error(), "a bucket"));
            if (still && *still)
                found(fmt::format("bucket {} of directory {}: {}", key.index, part[i].hi, wrong));
        }
        return {};
    });
}

// Pages outlive their inode for a while, in the care of the node that took its last name away.
Result<void> Look::look_at_pages(NodeId node) {
    return each_part<InodeId>(node, LookStep::paged, [&](const auto& part) -> Result<void> {
        auto all = heads(part);
        if (!all) return tl::unexpected<Failure>(std::move(all).error());
        Writer doubtful;
        std::vector<std::size_t> which;
        for (std::size_t i = 0; i < part.size(); ++i) {
            const Head& one = (*all)[i];
            if (one.unreadable || (one.head && one.head->paged())) continue;
            which.push_back(i);
            doubtful.put(part[i]);
        }
        std::set<std::size_t> going;
        for (const NodeId other : core_.all_nodes()) {
            if (which.empty()) break;
            auto answer = ask(other, LookStep::garbage, doubtful.bytes());
            if (!answer) return tl::unexpected<Failure>(std::move(answer).error());
            Reader flags(*answer);
            for (const std::size_t i : which)
                if (flags.get<std::uint8_t>()) going.insert(i);
        }
        for (const std::size_t i : which)
            if (!going.contains(i))
                found(fmt::format("inode {} has pages, but {}", part[i].value,
                                  (*all)[i].head ? "uses none" : "is not there"));
        return {};
    });
}

}  // namespace ssi::fs
