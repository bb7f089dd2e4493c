// SPDX-License-Identifier: BSD-3-Clause
// Taking pages away: parts of a file become holes, files end.
#include <algorithm>
#include <cstring>
#include <set>

#include "page_wire.hpp"
#include "pages_state.hpp"

namespace ssi::fs {

Result<void> Pages::Impl::zero_part(ObjectId id, std::size_t at, std::size_t length) {
    auto guard = set.grab(id);
    if (!guard) return page_failure(std::move(guard).error());
    const std::size_t size = guard->bytes().size();
    if (at >= size) return {};
    if (at + length >= size) {   // what is behind the end is zero anyway
        if (auto cut = guard->resize(at); !cut) return page_failure(std::move(cut).error());
        return {};
    }
    std::memset(guard->writable().data() + at, 0, length);
    return {};
}

Result<void> Pages::Impl::zero(FileKey file, std::uint64_t offset, std::uint64_t length) {
    constexpr std::uint64_t most = most_page_index << page_shift;
    if (length == 0 || offset >= most) return {};
    const std::uint64_t end = offset + std::min(length, most - offset);
    const PageRange touched{page_of(offset), pages_of(end)};
    auto map = this->map(file, touched);
    if (!map) return tl::unexpected<Failure>(std::move(map).error());
    for (const PageRange& present : map->present) {
        for (std::uint64_t i = present.first; i < present.last; ++i) {
            const ObjectId id = page_id(file.inode, file.layout, i);
            const std::uint64_t begin = i << page_shift;
            const std::uint64_t from = std::max(begin, offset);
            const std::uint64_t until = std::min(begin + page_bytes, end);
            if (until - from == page_bytes) {
                if (auto gone = set.remove(id); !gone)
                    return page_failure(std::move(gone).error());
                continue;
            }
            SSI_TRY(zero_part(id, from - begin, until - from));
        }
    }
    // Removals are durable when the file is synced, like everything else.
    for (const PageRange& present : map->present) note_written(file, present);
    return {};
}

// Whatever of these pages this node homes. Each page is asked for by name: what was removed
// meanwhile is no matter.
Result<void> Pages::Impl::remove_here(FileKey file, PageRange range) {
    while (range.first < range.last) {
        auto map = map_here(file, range);
        if (!map) return tl::unexpected<Failure>(std::move(map).error());
        for (const PageRange& present : map->present)
            for (std::uint64_t i = present.first; i < present.last; ++i)
                if (auto gone = set.remove(page_id(file.inode, file.layout, i)); !gone)
                    return page_failure(std::move(gone).error());
        range.first = map->next;
    }
    return {};
}

Result<std::vector<std::byte>> Pages::Impl::answer_remove(std::span<const std::byte> arguments) {
    auto request = decode_request(arguments);
    if (!request) return tl::unexpected<Failure>(std::move(request).error());
    for (const PageRange& range : request->ranges)
        if (auto gone = remove_here(request->file, range); !gone)
            return tl::unexpected<Failure>(std::move(gone).error());
    return std::vector<std::byte>();
}

Result<void> Pages::erase(InodeId inode, Layout layout, std::uint64_t size) {
    const FileKey file{inode, layout};
    const PageRange range{0, pages_of(size)};
    if (range.count() == 0) return {};
    impl_->discharge(file, [&] { return impl_->written.forget(file); });
    const std::vector<NodeId> homes = impl_->homes_of(layout);
    for (auto& answer : impl_->calls.call_all(homes, call_remove, encode(file, {&range, 1})))
        if (!answer) return page_failure(std::move(answer).error());
    return {};
}

Result<void> Pages::remove_mine(InodeId inode, Layout layout, std::uint64_t size) {
    return impl_->remove_here({inode, layout}, {0, pages_of(size)});
}

Result<void> Pages::remove_mine(InodeId inode) {
    Impl& impl = *impl_;
    std::set<ObjectId> ids;
    for (const ObjectId id : impl.set.known_of(inode.value))
        if (impl.home_of(id) == impl.node.id()) ids.insert(id);
    auto logs = impl.logs();
    if (!logs) return tl::unexpected<Failure>(std::move(logs).error());
    for (const io::ObjectLog* log : logs->of)
        if (log)
            for (const io::ObjectFacts& object : log->objects(impl.kept))
                if (object.id.hi == inode.value) ids.insert(object.id);
    for (const ObjectId id : ids)
        if (auto gone = impl.set.remove(id); !gone) return page_failure(std::move(gone).error());
    return {};
}

std::vector<InodeId> Pages::inodes_with_pages() const {
    std::set<InodeId> inodes;
    auto logs = impl_->logs();
    if (!logs) return {};   // closed
    for (const io::ObjectLog* log : logs->of)
        if (log)
            for (const io::ObjectFacts& object : log->objects(impl_->kept))
                inodes.insert(InodeId(object.id.hi));
    return {inodes.begin(), inodes.end()};
}

}  // namespace ssi::fs
