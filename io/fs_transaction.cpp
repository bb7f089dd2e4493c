// SPDX-License-Identifier: BSD-3-Clause
#include "fs_transaction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ssi::fs {
namespace {

// An object's change is logged as the changed bytes alone; the log takes the whole value, which is
// at hand, when it has had many.
io::ValueChanges pieces_of(std::span<const Edit::Piece> pieces, std::span<const std::byte> value) {
    io::ValueChanges changes;
    changes.reserve(pieces.size());
    for (const Edit::Piece& p : pieces)
        changes.push_back({p.offset, value.subspan(p.offset, p.length)});
    return changes;
}

// {volume, set, id} that is not needed any more.
std::vector<std::byte> settled(std::uint32_t volume, SetId set, ObjectId id) {
    return Writer().put(volume).put(set.value).put(id).take();
}

// The other node's part is or is not done, and it cannot say.
bool lost(const Failure& failure) {
    return failure.code == Errc::peer_lost || failure.code == Errc::cancelled;
}

}  // namespace

void Transaction::change(std::uint32_t volume, SetId number, kddm::RawGuard& guard, Edit edit) {
    changes_.push_back({volume, number, &guard, std::move(edit), false});
}

void Transaction::remove(std::uint32_t volume, SetId number, kddm::RawGuard& guard) {
    changes_.push_back({volume, number, &guard, Edit{}, true});
}

void Transaction::change_made(std::uint32_t volume, SetId number, kddm::RawGuard& guard) {
    changes_.push_back({volume, number, &guard, Edit{}, false, true});
}

Result<void> Transaction::apply() {
    VolumeList volumes;
    if (first_ != none) volumes.add(first_);
    for (const Change& c : changes_) volumes.add(c.volume);
    SSI_TRY(volumes.all().size() == 1 ? log_one(volumes.all().front())
                                      : log_several(volumes.all()));
    return finish();
}

Result<void> Transaction::log_one(std::uint32_t volume) {
    io::ObjectLog* log = core_.volumes_->log(volume, io::KeptIn::metadata);
    if (log) {
        auto done = log_here(*log);
        if (!done) take_back();
        return done;
    }
    Writer call;
    call.put(volume).put(ObjectId{}).put(false).block({}).block(part_of(volume));
    return core_.call_volume(volume, Core::Verb::log, call.bytes());
}

Result<void> Transaction::log_here(io::ObjectLog& log) {
    io::LogTransaction change;
    change.reserve(changes_.size());
    for (Change& c : changes_) {
        const ObjectId id = c.guard->id();
        if (c.remove) {
            change.remove(c.number, id);
            continue;
        }
        const bool whole = c.made || c.edit.whole;
        const auto pieces = c.edit.pieces;
        if (!c.made) SSI_TRY(c.edit.swap(*c.guard));
        c.applied = true;
        const auto value = std::as_const(*c.guard).bytes();
        if (whole)
            change.put(c.number, id, value);
        else
            change.change(c.number, id, static_cast<std::uint32_t>(value.size()),
                          pieces_of(pieces, value), value);
    }
    if (auto done = log.apply(change); !done)
        return tl::unexpected<Failure>(std::move(done).error());
    return {};
}

// A log did not take its part: those that did get the old values again.
void Transaction::take_back_parts(const Core::OpenIntent& open, std::uint32_t failed) {
    const auto put_old = [&](std::uint32_t volume) {
        const auto call = Writer().put(volume).put(ObjectId{}).put(false).block({}).block(
            old_part_of(volume)).take();
        if (auto done = core_.call_volume(volume, Core::Verb::log, call); !done)
            SSI_LOG(core_.node_.doors().log, error, "kdfs",
                    "volume {} has a change that could not be taken back: {}", volume,
                    done.error().to_string());
    };
    for (const std::uint32_t volume : open.others) {
        if (volume == failed) break;
        put_old(volume);
    }
    put_old(open.primary);
    (void)core_.call_volume(
        open.primary, Core::Verb::settle,
        settled(open.primary, core_.volumes_->number_of(intent_set), open.id));
}

// As the objects are now, which is before the change.
std::vector<std::byte> Transaction::old_part_of(std::uint32_t volume) const {
    Writer part;
    for (const Change& c : changes_) {
        if (c.volume != volume) continue;
        const auto value = std::as_const(*c.guard).bytes();
        const bool none = value.empty() || c.made;
        part.put(c.number.value).put(c.guard->id()).put(c.guard->version());
        part.put(static_cast<std::uint8_t>(none));
        part.block(none ? std::span<const std::byte>() : value);
    }
    return part.take();
}

void Transaction::take_back() {
    for (auto c = changes_.rbegin(); c != changes_.rend(); ++c)
        if (c->applied && !c->made) (void)c->edit.apply(*c->guard);
}

std::vector<std::byte> Transaction::part_of(std::uint32_t volume) const {
    Writer part;
    for (const Change& c : changes_) {
        if (c.volume != volume) continue;
        const ObjectId id = c.guard->id();
        part.put(c.number.value).put(id).put(c.guard->version());
        part.put(static_cast<std::uint8_t>(c.remove));
        if (c.remove)
            part.block({});
        else if (c.made)
            part.block(c.guard->bytes());
        else
            part.block(c.edit.whole ? std::span<const std::byte>(c.edit.bytes)
                                    : std::span<const std::byte>(
                                          c.edit.applied(c.guard->bytes())));
    }
    return part.take();
}

// The first part carries all others; then they go to their logs, with a mark each.
Result<void> Transaction::log_several(std::span<const std::uint32_t> volumes) {
    Core::OpenIntent open;
    open.primary = volumes.front();
    open.others.assign(volumes.begin() + 1, volumes.end());
    open.id = {std::uint64_t{core_.node_.id().value} << 32 | open.primary,
               core_.next_intent_.fetch_add(1)};
    Writer intent;
    if (core_.options_.plant != Plant::parts_apart)
        for (const std::uint32_t volume : open.others) intent.put(volume).block(part_of(volume));
    VolumeList before;
    for (const std::uint32_t volume : after_.all())
        if (volume != open.primary) before.add(volume);
    SSI_TRY(core_.commit(before));
    for (const std::uint32_t volume : volumes) {
        const bool first = volume == open.primary;
        Writer call;
        call.put(volume).put(open.id).put(first);
        call.block(first ? intent.bytes() : std::span<const std::byte>());
        call.block(part_of(volume));
        auto done = core_.call_volume(volume, Core::Verb::log, call.bytes());
        if (done && first && in_order_)
            done = core_.commit(volume);
        if (done) continue;
        if (first && !lost(done.error())) return done;
        if (lost(done.error())) {
            // Whether the part got there, nobody knows before recovery. What is promised holds, so
            // that nobody writes the old values over it.
            SSI_TRY(finish());
            return done;
        }
        take_back_parts(open, volume);
        return done;
    }
    std::lock_guard lock(core_.intent_mutex_);
    core_.intents_.push_back(std::move(open));
    return {};
}

Result<void> Transaction::finish() {
    for (Change& c : changes_) {
        if (c.remove)
            SSI_TRY(c.guard->resize(0));
        else if (!c.made && !c.applied)
            SSI_TRY(c.edit.apply(*c.guard));
        if (core_.volumes_->log(c.volume, io::KeptIn::metadata)) c.guard->stored();
    }
    return {};
}

Result<std::vector<PartView>> read_part(std::span<const std::byte> bytes) {
    std::vector<PartView> part;
    Reader reader(bytes);
    while (!reader.at_end()) {
        PartView view;
        view.number = SetId(reader.get<std::uint32_t>());
        view.id = reader.get<ObjectId>();
        view.version = reader.get<std::uint64_t>();
        view.remove = reader.get<std::uint8_t>() != 0;
        view.value = reader.block();
        if (!reader.ok())
            return fail(Errc::bad_message, "part of a transaction that ends in the middle");
        part.push_back(view);
    }
    return part;
}

void add_part(io::LogTransaction& to, const std::vector<PartView>& part) {
    for (const PartView& view : part) {
        if (view.remove)
            to.remove(view.number, view.id);
        else
            to.put(view.number, view.id, view.value);
    }
}

Result<Core::Bytes> Core::serve_log(std::span<const std::byte> arguments) {
    Reader reader(arguments);
    const auto volume = reader.get<std::uint32_t>();
    const auto id = reader.get<ObjectId>();
    const auto first = reader.get<bool>();
    const auto intent = reader.block();
    const auto bytes = reader.block();
    if (!reader.ok()) return fail(Errc::bad_message, "a request to log that is too short");
    io::ObjectLog* log = volumes_->log(volume, io::KeptIn::metadata);
    if (!log)
        return fail(Errc::internal, fmt::format("volume {} is not mounted by node {}", volume,
                                                node_.id().value));
    auto part = read_part(bytes);
    if (!part) return tl::unexpected<Failure>(std::move(part).error());
    if (redoing_.load()) {
        std::lock_guard lock(intent_mutex_);
        redo_parts_.push_back({volume, id, std::vector<std::byte>(bytes.begin(), bytes.end())});
        return Bytes{};
    }
    io::LogTransaction change;
    add_part(change, *part);
    if (id != ObjectId{})
        change.intent(volumes_->number_of(first ? intent_set : mark_set), id, intent);
    if (auto done = log->apply(change); !done)
        return tl::unexpected<Failure>(std::move(done).error());
    return Bytes{};
}

Result<Core::Bytes> Core::serve_settle(std::span<const std::byte> arguments) {
    Reader reader(arguments);
    const auto volume = reader.get<std::uint32_t>();
    const SetId set(reader.get<std::uint32_t>());
    const auto id = reader.get<ObjectId>();
    io::ObjectLog* log = volumes_->log(volume, io::KeptIn::metadata);
    if (!reader.ok() || !log) return fail(Errc::bad_message, "a malformed request to settle");
    io::LogTransaction change;
    change.done(set, id);
    if (auto done = log->apply(change); !done)
        return tl::unexpected<Failure>(std::move(done).error());
    return Bytes{};
}

// Intents whose parts are durable everywhere are taken back, then the marks that answer them.
Result<void> Core::settle_intents() {
    std::vector<OpenIntent> open;
    {
        std::lock_guard lock(intent_mutex_);
        open.swap(intents_);
    }
    if (open.empty()) return {};
    VolumeList others, firsts;
    for (const OpenIntent& intent : open) {
        firsts.add(intent.primary);
        for (const std::uint32_t volume : intent.others) others.add(volume);
    }
    const auto settle = [&](std::uint32_t volume, std::string_view set, ObjectId id) {
        return call_volume(volume, Verb::settle, settled(volume, volumes_->number_of(set), id));
    };
    SSI_TRY(commit(others));
    for (const OpenIntent& intent : open)
        SSI_TRY(settle(intent.primary, intent_set, intent.id));
    SSI_TRY(commit(firsts));
    for (const OpenIntent& intent : open)
        for (const std::uint32_t volume : intent.others)
            SSI_TRY(settle(volume, mark_set, intent.id));
    return {};
}

}  // namespace ssi::fs
