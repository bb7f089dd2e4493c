// SPDX-License-Identifier: BSD-3-Clause
// Files that are open: one without a name lives until its last close, wherever that is. An open is
// counted before the inode is looked at, and whoever takes the last name away looks at the count
// with the inode grabbed: so one of the two sees the other.
#include "fs_core.hpp"

namespace ssi::fs {

Result<void> Core::opened(InodeId inode) {
    if (home_of(inode) == node_.id())
        opens_here_.add(inode);
    else if (auto added = opens_.fetch_add(ObjectId(inode.value), std::uint64_t{1}); !added)
        return tl::unexpected<Failure>(std::move(added).error());
    auto head = peek(inode);
    if (head && head->links != 0) return {};
    (void)closed(inode);
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    return refuse(ENOENT, "the file was removed");
}

Result<void> Core::closed(InodeId inode) {
    if (home_of(inode) == node_.id()) {
        if (!opens_here_.drop(inode)) return {};
    } else {
        auto before = opens_.fetch_add(ObjectId(inode.value), ~std::uint64_t{0});
        if (!before) return tl::unexpected<Failure>(std::move(before).error());
        if (*before != 1) return {};
        auto head = peek(inode);
        if (!head || head->links != 0) return {};
    }
    auto gone = at_inode(Verb::reap, inode);
    if (!gone) return tl::unexpected<Failure>(std::move(gone).error());
    clean_up(inode, *gone);
    return {};
}

Result<void> Core::count_open(InodeId inode, NodeId by, bool more) {
    if (by == node_.id()) {
        if (more)
            opens_here_.add(inode);
        else
            opens_here_.drop(inode);
        return {};
    }
    auto counted = opens_.fetch_add(ObjectId(inode.value), more ? std::uint64_t{1}
                                                                : ~std::uint64_t{0});
    if (!counted) return tl::unexpected<Failure>(std::move(counted).error());
    return {};
}

// With the inode grabbed, at its home.
Result<bool> Core::is_open(InodeId inode) {
    if (opens_here_.keeps(inode)) return true;
    if (!opens_.is_known_here(ObjectId(inode.value))) return false;
    std::uint64_t elsewhere = 0;
    auto read = opens_.read_into(ObjectId(inode.value), 0,
                                 std::as_writable_bytes(std::span(&elsewhere, 1)));
    if (!read) return tl::unexpected<Failure>(std::move(read).error());
    return elsewhere != 0;
}

}  // namespace ssi::fs
