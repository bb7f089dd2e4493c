// SPDX-License-Identifier: BSD-3-Clause
// Who has pages of a file in memory: homes, owners and readers alike. Every node is asked, and
// answers for itself without waiting for anybody.
#include <algorithm>

#include "page_wire.hpp"
#include "pages_state.hpp"

namespace ssi::fs {
namespace {

// Pages that are looked at one by one; of wider ranges those that this node knows.
constexpr std::uint64_t most_tried = 4096;

}  // namespace

PageMap Pages::Impl::copies_here(FileKey file, PageRange range) const {
    PageMap out;
    out.next = range.last;
    PageRanges here;
    const auto look = [&](ObjectId id) {
        if (set.find(id) == kddm::Access::none) return;
        const auto length = set.length_here(id);   // none: somebody changes it now
        if (!length || *length != 0) here.add({page_index(id), page_index(id) + 1});
    };
    if (range.count() <= most_tried) {
        for (std::uint64_t i = range.first; i < range.last; ++i)
            look(page_id(file.inode, file.layout, i));
    } else {
        for (const ObjectId id : set.known_of(file.inode.value)) {
            const std::uint64_t i = page_index(id);
            if (id == page_id(file.inode, file.layout, i) && i >= range.first && i < range.last)
                look(id);
        }
    }
    out.present = here.list();
    if (out.present.size() > most_ranges) {
        out.next = out.present[most_ranges].first;
        out.present.resize(most_ranges);
    }
    return out;
}

Result<std::vector<std::byte>> Pages::Impl::answer_copies(
    std::span<const std::byte> arguments) const {
    auto request = decode_request(arguments);
    if (!request) return tl::unexpected<Failure>(std::move(request).error());
    if (request->ranges.size() != 1)
        return fail(Errc::bad_message, "copies are of one range of pages");
    return encode(copies_here(request->file, request->ranges[0]));
}

Result<std::vector<Copy>> Pages::copies(InodeId inode, Layout layout, std::uint64_t offset,
                                        std::uint64_t length, std::span<const NodeId> nodes) {
    const std::uint64_t end = offset + length;
    std::vector<Copy> all;
    for (const NodeId node : nodes) {
        PageRange range{page_of(offset), pages_of(end)};
        while (range.first < range.last) {
            const auto question = encode({inode, layout}, {&range, 1});
            auto answer = impl_->calls.call(node, call_copies, question);
            if (!answer && answer.error().code == Errc::peer_lost) break;   // it has no memory
            if (!answer) return tl::unexpected<Failure>(page_failure(answer.error()));
            auto part = decode_map(*answer);
            if (!part) return tl::unexpected<Failure>(std::move(part).error());
            for (const PageRange& held : part->present) {
                const std::uint64_t from = std::max(offset, held.first << page_shift);
                all.push_back({from, std::min(end, held.last << page_shift) - from, node});
            }
            if (part->next <= range.first) return fail(Errc::bad_message, "copies that end early");
            range.first = part->next;
        }
    }
    std::ranges::sort(all, [](const Copy& a, const Copy& b) {
        return a.offset != b.offset ? a.offset < b.offset : a.node < b.node;
    });
    return all;
}

}  // namespace ssi::fs
