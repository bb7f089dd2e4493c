// SPDX-License-Identifier: BSD-3-Clause
#include "restoring.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "fault_point.hpp"
#include "frozen.hpp"

namespace ssi::ckpt {

Restoring::Restoring(RestoringDoors doors, const Manifest& manifest, bool again)
    : doors_(doors), manifest_(manifest), again_(again), inbox_(doors.node, doors.engine) {
    for (const Item& item : manifest.items)
        for (const Protected& one : doors.protection.all())
            if (one.item.kind == item.kind && one.item.name == item.name) items_[item.id] = &one;
}

Result<void> Restoring::prepare() {
    SSI_TRY(inbox_.open());
    for (const auto& [id, one] : items_) {
        if (one->item.kind != ItemKind::array) continue;
        const Piece mine{one->offset, one->memory.size()};
        auto& all = pieces_[id];
        all.resize(static_cast<std::size_t>(doors_.node.size()));
        SSI_TRY(doors_.node.gather(no_node, std::as_bytes(std::span(&mine, 1)),
                                   std::as_writable_bytes(std::span(all))));
    }
    return {};
}

Result<void> Restoring::read(MemberIndex member) {
    member_ = member;
    SSI_TRY(dataset_->stream(member, [this](const FoundPart& found) { return place(found); }));
    return look_at_files();
}

Result<void> Restoring::place(const FoundPart& found) {
    const auto at = items_.find(found.part.item);
    const Protected* item = at == items_.end() ? nullptr : at->second;
    if (!item && found.part.item != channels_item)
        return fail(Errc::io, fmt::format("an object of item {}, which the manifest does not have",
                                          found.part.item.value));
    bytes_ += found.length;
    if (!item) return place_channel(found);
    if (item->item.kind == ItemKind::span) return place_span(*item, found);
    if (item->item.kind == ItemKind::array) return place_piece(*item, found);
    if (item->item.kind == ItemKind::file) return place_file(*item, found);
    if (item->item.kind == ItemKind::state) return place_state(*item, found);
    const Part& part = found.part;
    if (!found.zero && part.offset == 0 && found.length == part.total)
        return place_object(item->set, part, found.bytes);
    if (part.total > kddm::max_object_bytes)
        return fail(Errc::io, fmt::format("an object of {} bytes", part.total));
    if (part.offset == 0) object_.resize(part.total);
    if (part.total != object_.size())
        return fail(Errc::io, fmt::format("parts of object {}:{} that do not follow each other",
                                          part.id.hi, part.id.lo));
    std::byte* const to = object_.data() + part.offset;   // within it: Dataset sees to that
    if (found.zero)
        std::fill_n(to, found.length, std::byte{0});
    else
        std::ranges::copy(found.bytes, to);
    if (part.offset + found.length < part.total) return {};
    return place_object(item->set, part, object_);
}

Result<void> Restoring::place_channel(const FoundPart& found) {
    const NodeId home = kddm::Cut::home_of(doors_.hub, {found.part.id, {}, 0});
    return send(doors_.node.members().index_of(home), found);
}

// Without a message where the object is at home; else it is written here and sent there.
Result<void> Restoring::place_object(kddm::RawSet set, const Part& part,
                                     std::span<const std::byte> bytes) {
    if (set.home(part.id) == doors_.node.id() && !again_) {
        SSI_TRY(kddm::Cut::restore(set, part.id, part.version, bytes));
        restored_[set.id()].push_back(part.id);
        return {};
    }
    auto guard = set.grab_new(part.id);
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    restored_[set.id()].push_back(part.id);
    if (set.options().kind != kddm::ObjectKind::fixed)
        SSI_TRY(guard->resize_for_overwrite(bytes.size()));
    if (guard->bytes().size() != bytes.size())
        return fail(Errc::io, fmt::format("object {}:{} of set '{}' with {} bytes", part.id.hi,
                                          part.id.lo, set.name(), bytes.size()));
    std::ranges::copy(bytes, guard->writable().begin());
    SSI_TRY(guard->put());
    return set.flush(part.id);
}

Result<void> Restoring::place_span(const Protected& item, const FoundPart& found) {
    const auto rank = static_cast<int>(found.part.id.hi);
    if (rank != doors_.node.rank()) return send(rank, found);
    if (found.part.total != item.memory.size())
        return fail(Errc::mismatch,
                    fmt::format("span '{}' had {} bytes on rank {} in version {}, and {} here",
                                item.item.name, found.part.total, rank, manifest_.version,
                                item.memory.size()));
    std::byte* const to = item.memory.data() + found.part.offset;
    if (found.zero)
        std::memset(to, 0, found.length);
    else
        std::memcpy(to, found.bytes.data(), found.length);
    return {};
}

// Put back once all is known to be whole.
Result<void> Restoring::place_state(const Protected& item, const FoundPart& found) {
    const auto rank = static_cast<int>(found.part.id.hi);
    if (rank != doors_.node.rank()) return send(rank, found);
    Bytes& state = states_[item.item.id];
    state.resize(found.part.total);   // zeroes stay
    if (!found.zero && found.length != 0)
        std::memcpy(state.data() + found.part.offset, found.bytes.data(), found.length);
    return {};
}

Result<void> Restoring::restore_states() {
    for (const auto& [id, one] : items_) {
        if (!one->backend) continue;
        SSI_TRY(put_back(*one, states_[one->item.id]));
        states_.erase(one->item.id);
    }
    return {};
}

// To everybody whose piece has some of it.
Result<void> Restoring::place_piece(const Protected& item, const FoundPart& found) {
    const std::uint64_t begin = found.part.id.lo + found.part.offset;
    const std::uint64_t end = begin + found.length;
    const auto& pieces = pieces_.at(found.part.item);
    for (std::size_t rank = 0; rank < pieces.size(); ++rank) {
        const Piece& piece = pieces[rank];
        const std::uint64_t first = std::max(begin, piece.offset);
        const std::uint64_t last = std::min(end, piece.offset + piece.length);
        if (first >= last) continue;
        const std::uint64_t length = last - first;
        FoundPart some = found;
        some.part.offset = first - found.part.id.lo;
        some.length = length;
        if (!found.zero) some.bytes = found.bytes.subspan(first - begin, length);
        if (static_cast<int>(rank) != doors_.node.rank()) {
            SSI_TRY(send(static_cast<int>(rank), some));
            continue;
        }
        std::byte* const to = item.memory.data() + (first - item.offset);
        if (some.zero)
            std::memset(to, 0, length);
        else
            std::memcpy(to, some.bytes.data(), length);
    }
    return {};
}

Result<void> Restoring::send(int rank, FoundPart found) {
    if (rank < 0 || rank >= doors_.node.size())
        return fail(Errc::io, fmt::format("an object of rank {}", rank));
    if (found.zero) zeroes_.resize(std::min<std::uint64_t>(found.length, piece_bytes));
    do {
        const auto some = std::min<std::uint64_t>(found.length, piece_bytes);
        const std::span<const std::byte> bytes = found.zero ? zeroes_ : found.bytes;
        SSI_TRY(inbox_.send(rank, found.part, bytes.first(some)));
        found.part.offset += some;
        found.length -= some;
        if (!found.zero) found.bytes = found.bytes.subspan(some);
    } while (found.length != 0);
    return {};
}

Result<void> Restoring::receive(const Part& part, std::span<const std::byte> bytes) {
    if (part.item == channels_item) {
        // All of it comes from one node, in order.
        Bytes& state = channels_[part.id];
        state.insert(state.end(), bytes.begin(), bytes.end());
        if (state.size() < part.total) return {};
        return kddm::Cut::restore(doors_.hub, {part.id, std::move(state), 0});
    }
    FoundPart found{.part = part, .length = bytes.size(), .zero = false, .bytes = bytes, .from = 0};
    const Protected& item = *items_.at(part.item);
    if (item.item.kind == ItemKind::state) return place_state(item, found);
    return item.item.kind == ItemKind::span ? place_span(item, found) : place_piece(item, found);
}

Result<void> Restoring::complete() {
    SSI_TRY(agree(doors_.node, {}));
    SSI_TRY(agree(doors_.node, inbox_.receive([this](const Part& part, auto bytes) {
        return with_memory("what was saved", [&] { return receive(part, bytes); });
    })));
    fault_point(FaultPoint::inbox_read);
    Result<void> arrived;
    for (kddm::RawSet set : doors_.protection.sets())
        if (auto done = set.sync(); !done && arrived) arrived = std::move(done);
    SSI_TRY(agree(doors_.node, std::move(arrived)));
    SSI_TRY(inbox_.close());
    SSI_TRY(agree(doors_.node, restore_files()));
    SSI_TRY(share_files());
    SSI_TRY(agree(doors_.node, reopen_files()));
    return agree(doors_.node, with_memory("what was saved", [this] { return restore_states(); }));
}

Result<void> Restoring::undo() {
    Result<void> gone;
    for (const Protected& one : doors_.protection.all()) {
        if (one.item.kind != ItemKind::set) continue;
        kddm::RawSet set = one.set;
        for (const ObjectId id : restored_[set.id()])
            if (auto done = set.remove(id); !done && gone) gone = std::move(done);
    }
    SSI_TRY(agree(doors_.node, std::move(gone)));
    return inbox_.close();
}

}  // namespace ssi::ckpt
