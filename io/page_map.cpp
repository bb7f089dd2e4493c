// SPDX-License-Identifier: BSD-3-Clause
// What there is of a file: pages in memory, and in the logs. Asked of their homes, which answer
// without waiting for anybody: a page that some other node has or changes just now is there.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "page_wire.hpp"
#include "pages_state.hpp"

namespace ssi::fs {
namespace {

// Pages that are looked at one by one; of wider ranges those are listed that are there.
constexpr std::uint64_t most_tried = 1u << 16;

void add(std::vector<PageRange>& ranges, std::uint64_t page) {
    if (!ranges.empty() && ranges.back().last == page)
        ++ranges.back().last;
    else
        ranges.push_back({page, page + 1});
}

}  // namespace

Result<PageMap> Pages::Impl::map_here(FileKey file, PageRange range) const {
    PageMap out;
    auto logs = this->logs();
    if (!logs) return tl::unexpected<Failure>(std::move(logs).error());
    const ObjectId first = page_id(file.inode, file.layout, range.first);
    const auto look = [&](ObjectId id) {
        if (home_of(id) != node.id()) return;
        const auto seen = engine.inspect(set.id(), id);
        const bool elsewhere = seen.in_transition || seen.home_busy ||
                               (seen.home_owner != no_node && seen.home_owner != node.id());
        bool there = elsewhere, here = false;
        if (!elsewhere && seen.present && seen.access != kddm::Access::none) {
            const auto length = set.length_here(id);
            there = here = !length || *length != 0;
        } else if (!elsewhere) {
            const io::ObjectLog* log = logs->of.at(volume_of(id));
            there = log && log->contains(kept, id);
        }
        if (there) add(out.present, page_index(id));
        if (here) add(out.in_memory, page_index(id));
    };
    out.next = range.last;
    if (range.count() <= most_tried) {
        for (std::uint64_t i = 0; i < range.count(); ++i) look(ObjectId(first.hi, first.lo + i));
        return out;
    }
    std::vector<ObjectId> ids = set.known_of(first.hi);
    for (const io::ObjectLog* log : logs->of)
        if (log)
            for (const io::ObjectFacts& object : log->objects(kept))
                if (object.id.hi == first.hi) ids.push_back(object.id);
    std::ranges::sort(ids);
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    for (const ObjectId id : ids) {
        if (id.lo < first.lo || id.lo - first.lo >= range.count()) continue;
        if (out.present.size() + out.in_memory.size() >= most_ranges) {
            out.next = page_index(id);
            break;
        }
        look(id);
    }
    return out;
}

Result<std::vector<std::byte>> Pages::Impl::answer_map(std::span<const std::byte> arguments) const {
    auto request = decode_request(arguments);
    if (!request) return tl::unexpected<Failure>(std::move(request).error());
    if (request->ranges.size() != 1)
        return fail(Errc::bad_message, "a map is of one range of pages");
    auto map = map_here(request->file, request->ranges[0]);
    if (!map) return tl::unexpected<Failure>(std::move(map).error());
    return encode(*map);
}

Result<PageMap> Pages::Impl::map(FileKey file, PageRange range) {
    range.last = std::min(range.last, most_page_index);
    const std::vector<NodeId> homes = homes_of(file.layout);
    PageRanges present, in_memory;
    while (range.first < range.last) {
        std::uint64_t next = range.last;
        std::vector<PageMap> maps;
        for (auto& answer : calls.call_all(homes, call_map, encode(file, {&range, 1}))) {
            if (!answer) return tl::unexpected<Failure>(page_failure(answer.error()));
            auto part = decode_map(*answer);
            if (!part) return tl::unexpected<Failure>(std::move(part).error());
            next = std::min(next, part->next);
            maps.push_back(std::move(*part));
        }
        // What some tell beyond `next` comes again.
        for (const PageMap& part : maps) {
            present.add(part.present);
            in_memory.add(part.in_memory);
        }
        if (next <= range.first) return fail(Errc::bad_message, "a map of pages that ends early");
        range.first = next;
    }
    return PageMap{present.list(), in_memory.list(), range.last};
}

Result<std::uint64_t> Pages::seek(InodeId inode, Layout layout, std::uint64_t offset,
                                  std::uint64_t size, bool data) {
    // Some at a time: mostly what is wanted is near.
    constexpr std::uint64_t step = 4096;
    std::uint64_t index = page_of(offset);
    const std::uint64_t end = pages_of(size);
    const auto at = [&](std::uint64_t page) {
        return std::min(size, std::max(offset, page << page_shift));
    };
    for (std::uint64_t width = step; index < end; width *= 16) {
        const PageRange range{index, std::min(end, index + std::min(width, end))};
        auto map = impl_->map({inode, layout}, range);
        if (!map) return tl::unexpected<Failure>(std::move(map).error());
        if (data && !map->present.empty()) return at(map->present[0].first);
        for (const PageRange& present : map->present) {
            if (index < present.first) break;
            index = present.last;
        }
        if (!data && index < range.last) return at(index);
        index = range.last;
    }
    return size;
}

Result<std::vector<Extent>> Pages::extents(InodeId inode, Layout layout, std::uint64_t size) {
    auto map = impl_->map({inode, layout}, {0, pages_of(size)});
    if (!map) return tl::unexpected<Failure>(std::move(map).error());
    PageRanges memory;
    memory.add(map->in_memory);
    std::vector<Extent> out;
    for (const PageRange& present : map->present) {
        for (std::uint64_t i = present.first; i < present.last; ++i) {
            const std::uint64_t offset = i << page_shift;
            Extent next{.offset = offset,
                        .length = std::min<std::uint64_t>(page_bytes, size - offset),
                        .volume = impl_->volume_of(page_id(inode, layout, i)),
                        .node = no_node,
                        .in_memory = memory.contains(i)};
            next.node = impl_->volumes.node_of(next.volume);
            if (!out.empty() && out.back().offset + out.back().length == offset &&
                out.back().volume == next.volume && out.back().in_memory == next.in_memory)
                out.back().length += next.length;
            else
                out.push_back(next);
        }
    }
    return out;
}

}  // namespace ssi::fs
