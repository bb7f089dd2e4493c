// SPDX-License-Identifier: BSD-3-Clause
// Files that are open: one without a name lives until its last close, wherever that is. Its home
// counts. An open is counted before the inode is looked at, and whoever takes the last name away
// looks at the count with the inode grabbed: so one of the two sees the other. Nobody waits for a
// close to be counted.
#include "fs_core.hpp"

namespace ssi::fs {

Result<void> Core::opened(InodeId inode) {
    auto counted = calls_->call(home_of(inode), static_cast<std::uint8_t>(Verb::count_open),
                                Writer().put(inode).bytes());
    if (!counted) return tl::unexpected<Failure>(std::move(counted).error());
    auto head = peek(inode);
    if (head && head->links != 0) return {};
    (void)closed(inode);
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    return refuse(ENOENT, "the file was removed");
}

Result<void> Core::closed(InodeId inode) {
    const NodeId home = home_of(inode);
    if (home == node_.id()) return close_here(inode);
    calls_->call_later(home, static_cast<std::uint8_t>(Verb::close), Writer().put(inode).bytes());
    return {};
}

// The last close of a file without a name ends it.
Result<void> Core::close_here(InodeId inode) {
    if (!opens_here_.drop(inode)) return {};
    auto gone = reap_here(inode);
    if (!gone) return tl::unexpected<Failure>(std::move(gone).error());
    clean_up(inode, *gone);
    return {};
}

Result<Core::Bytes> Core::serve_open(std::span<const std::byte> arguments) {
    const auto inode = own_inode(arguments);
    if (!inode) return tl::unexpected<Failure>(inode.error());
    opens_here_.add(*inode);
    return Bytes{};
}

Result<Core::Bytes> Core::serve_close(std::span<const std::byte> arguments) {
    const auto inode = own_inode(arguments);
    if (!inode) return tl::unexpected<Failure>(inode.error());
    if (auto done = close_here(*inode); !done)
        return tl::unexpected<Failure>(std::move(done).error());
    return Bytes{};
}

Result<Core::Bytes> Core::serve_keeps_open(std::span<const std::byte> arguments) {
    const auto inode = own_inode(arguments);
    if (!inode) return tl::unexpected<Failure>(inode.error());
    return Writer().put(opens_here_.keeps(*inode)).take();
}

Result<InodeId> Core::own_inode(std::span<const std::byte> arguments) const {
    Reader reader(arguments);
    const auto inode = reader.get<InodeId>();
    if (!reader.ok() || home_of(inode) != node_.id())
        return fail(Errc::bad_message, "a malformed request about an open file");
    return inode;
}

// With the inode grabbed, wherever that is.
Result<bool> Core::is_open(InodeId inode) {
    const NodeId home = home_of(inode);
    if (home == node_.id()) return opens_here_.keeps(inode);
    auto kept = calls_->call(home, static_cast<std::uint8_t>(Verb::keeps_open),
                             Writer().put(inode).bytes());
    if (!kept) return tl::unexpected<Failure>(std::move(kept).error());
    return Reader(*kept).get<bool>();
}

}  // namespace ssi::fs
