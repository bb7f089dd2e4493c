// SPDX-License-Identifier: BSD-3-Clause
// Room for what is written: taken from what the homes of the volumes have promised before data is
// accepted, and given back when it is in the logs. Leaf calls only, as writers may hold guards.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "pages_state.hpp"

namespace ssi::fs {
namespace {

// How long a writer who finds no room waits for write-back to give some back: in all, and while
// nothing is given back at all.
constexpr Nanoseconds longest_wait = 30'000'000'000;
constexpr Nanoseconds longest_still = 10'000'000'000;
constexpr Nanoseconds look_every = 50'000'000;
// Of pages that are there already, under way on a full volume, by each node.
constexpr std::uint64_t most_rewritten = 16 * page_room_bytes;

struct RoomRequest {
    std::uint64_t volume, least, wanted, returned;
};

}  // namespace

std::vector<std::pair<std::uint32_t, std::uint64_t>> Pages::Impl::count(
    FileKey file, std::span<const PageRange> ranges) const {
    std::vector<std::pair<std::uint32_t, std::uint64_t>> out;
    const std::uint64_t unit = std::uint64_t{1} << file.layout.unit_shift;
    const bool one = file.layout.count <= 1;
    for (const PageRange& range : ranges) {
        for (std::uint64_t i = range.first; i < range.last;) {
            const std::uint64_t end = one ? range.last : std::min(range.last, (i | (unit - 1)) + 1);
            const std::uint32_t volume = volume_of(page_id(file.inode, file.layout, i));
            const auto known = std::ranges::find(out, volume,
                                                 [](const auto& pair) { return pair.first; });
            if (known != out.end())
                known->second += end - i;
            else
                out.emplace_back(volume, end - i);
            i = end;
        }
    }
    return out;
}

// All of these pages are there: to write them again takes room for a while only.
bool Pages::Impl::rewrites(FileKey file, std::span<const PageRange> ranges) {
    for (const PageRange& range : ranges) {
        auto map = this->map(file, range);
        if (!map) return false;
        PageRanges present;
        present.add(map->present);
        if (!present.covers(range)) return false;
    }
    return true;
}

// First the pages: those that are charged no more are being given back, or were.
bool Pages::Impl::others_may_give(std::uint64_t own_pages) const {
    return written.pages() > own_pages || givers.load() != 0;
}

Result<void> Pages::Impl::charge(FileKey file, PageRange range,
                                 std::vector<PageRange>& charged) {
    charged = written.charge(file, range);
    const auto counts = count(file, charged);
    const Nanoseconds began = now();
    Nanoseconds moved = began;
    for (std::size_t i = 0; i < counts.size();) {
        const auto [volume, pages] = counts[i];
        const bool may_change = others_may_give(range.count());   // before a look at what is there
        auto taken = room.take(volume, pages * page_room_bytes);
        if (taken && *taken) {
            ++i;
            continue;
        }
        // Where nothing grows a full volume still takes some: compaction has room to work in.
        if (taken && room.used(volume) <= most_rewritten && rewrites(file, charged)) {
            room.take_anyway(volume, pages * page_room_bytes);
            ++i;
            continue;
        }
        // What is being written back is promised and taken at once; afterwards there may be room.
        const Nanoseconds time = now();
        if (taken && time < began + longest_wait && time < moved + longest_still &&
            may_change) {
            {
                std::lock_guard lock(mutex);
                pressed = true;
                changed.notify_all();
            }
            if (written.wait_settled(look_every)) moved = now();
            continue;
        }
        (void)written.discharge(file, charged);
        for (std::size_t k = 0; k < i; ++k)
            room.give(counts[k].first, counts[k].second * page_room_bytes);
        if (!taken) return page_failure(std::move(taken).error());
        return fail_errno(Errc::io, ENOSPC,
                          fmt::format("no room for {} pages on volume {}: {}", pages, volume,
                                      volumes.volumes()[volume].label));
    }
    return {};
}

void Pages::Impl::give(FileKey file, std::span<const PageRange> ranges) {
    for (const auto& [volume, pages] : count(file, ranges))
        room.give(volume, pages * page_room_bytes);
}

void Pages::Impl::note_written(FileKey file, PageRange range) {
    for (const auto& [volume, pages] : count(file, written.add(file, range, now())))
        room.take_anyway(volume, pages * page_room_bytes);
}

Result<std::uint64_t> Pages::Impl::ask_room(std::uint32_t volume, std::uint64_t least,
                                            std::uint64_t wanted, std::uint64_t returned) {
    const RoomRequest request{volume, least, wanted, returned};
    auto answer = calls.call(volumes.node_of(volume), call_room,
                             std::as_bytes(std::span(&request, 1)));
    if (!answer) return tl::unexpected<Failure>(std::move(answer).error());
    std::uint64_t granted = 0;
    if (answer->size() != sizeof granted)
        return fail(Errc::bad_message, "an answer about room that is malformed");
    std::memcpy(&granted, answer->data(), sizeof granted);
    return granted;
}

Result<std::vector<std::byte>> Pages::Impl::answer_room(NodeId from,
                                                        std::span<const std::byte> arguments) {
    RoomRequest request;
    if (arguments.size() != sizeof request)
        return fail(Errc::bad_message, "a request for room that is malformed");
    std::memcpy(&request, arguments.data(), sizeof request);
    const auto volume = static_cast<std::uint32_t>(request.volume);
    std::uint64_t free_bytes = 0;
    if (request.wanted != 0) {
        auto hold = volumes.hold();
        if (!hold) return tl::unexpected<Failure>(std::move(hold).error());
        auto there = volumes.room(volume, io::KeptIn::data);
        if (!there) return tl::unexpected<Failure>(std::move(there).error());
        free_bytes = there->free_bytes;
    }
    const std::uint64_t granted =
        promises.grant(volume, from, request.least, request.wanted, request.returned, free_bytes,
                       [this](NodeId other) { return other != node.id() && node.lost(other); });
    std::vector<std::byte> out(sizeof granted);
    std::memcpy(out.data(), &granted, sizeof granted);
    return out;
}

}  // namespace ssi::fs
