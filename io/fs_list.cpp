// SPDX-License-Identifier: BSD-3-Clause
// Listing a directory: in the order of cookies, which splits do not change; so whatever is there
// all the while comes exactly once.
#include <algorithm>

#include "fs_core.hpp"

namespace ssi::fs {
namespace {

struct Listed {
    std::uint64_t cookie;
    DirectoryEntry entry;
};

}  // namespace

Result<void> Core::add_attributes(std::span<DirectoryEntry> entries) {
    std::vector<ObjectId> ids;
    ids.reserve(entries.size());
    for (const DirectoryEntry& e : entries) ids.emplace_back(e.inode);
    auto inodes = inodes_.read_many(ids);
    if (!inodes) return tl::unexpected<Failure>(std::move(inodes).error());
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const auto head = inode_head((*inodes)[i].bytes);
        if (!head) continue;   // removed meanwhile: its attributes are empty
        if (!head->is_directory()) {
            entries[i].attributes = attributes_of(InodeId(entries[i].inode), *head);
        } else if (auto found = stat(InodeId(entries[i].inode))) {
            entries[i].attributes = *found;
        }
    }
    return {};
}

Result<std::vector<DirectoryEntry>> Core::list(InodeId directory, std::uint64_t cookie,
                                               std::size_t most, bool attributes) {
    std::vector<DirectoryEntry> entries;
    std::vector<Listed> here;
    std::uint64_t from = cookie + 1;
    while (from != 0 && from < std::uint64_t{1} << 63 && entries.size() < most) {
        auto bucket = bucket_for(directory, hash_at(from), kddm::Access::read);
        if (!bucket) return tl::unexpected<Failure>(std::move(bucket).error());
        const BucketView view(bucket->guard.bytes());
        here.clear();
        view.for_each([&](const EntryView& e) {
            const std::uint64_t at = cookie_of(e.head.hash);
            if (at < from) return;
            here.push_back({at, {std::string(e.name), e.head.inode,
                                 std::uint32_t{e.head.type} << 12, at, {}}});
        });
        std::ranges::sort(here, {}, &Listed::cookie);
        from = view.end_cookie(bucket->key);
        bucket->guard.put();
        std::uint64_t last = 0;
        for (Listed& l : here) {
            // Names of one cookie stay together, or the next call would miss some.
            if (entries.size() >= most && l.cookie != last) break;
            last = l.cookie;
            entries.push_back(std::move(l.entry));
        }
    }
    if (attributes) SSI_TRY(add_attributes(entries));
    return entries;
}

}  // namespace ssi::fs
