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

Result<Core::Bytes> Core::serve_keeps_open(std::span<const std::byte> arguments) {
    Reader reader(arguments);
    const auto inode = reader.get<InodeId>();
    if (!reader.ok() || home_of(inode) != node_.id())
        return fail(Errc::bad_message, "a malformed question for who has a file open");
    return Writer().put(opens_here_.keeps(inode)).take();
}

// With the inode grabbed, wherever that is.
Result<bool> Core::is_open(InodeId inode) {
    const NodeId home = home_of(inode);
    if (home == node_.id()) {
        if (opens_here_.keeps(inode)) return true;
        if (!opens_.is_known_here(ObjectId(inode.value))) return false;
    } else {
        auto kept = calls_->call(home, static_cast<std::uint8_t>(Verb::keeps_open),
                                 Writer().put(inode).bytes());
        if (!kept) return tl::unexpected<Failure>(std::move(kept).error());
        if (Reader(*kept).get<bool>()) return true;
    }
    std::uint64_t elsewhere = 0;     // than at the inode's home
    auto read = opens_.read_into(ObjectId(inode.value), 0,
                                 std::as_writable_bytes(std::span(&elsewhere, 1)));
    if (!read) return tl::unexpected<Failure>(std::move(read).error());
    return elsewhere != 0;
}

}  // namespace ssi::fs
