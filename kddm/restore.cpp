// SPDX-License-Identifier: BSD-3-Clause
// Putting a cut in again: each object at its home, without a message.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "channel_machine.hpp"
#include "engine_impl.hpp"
#include "sync_hub.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

Result<void> Impl::restore(SetState& set, ObjectId id, std::uint64_t version,
                           std::span<const std::byte> bytes) {
    SSI_TRY(check_verb(set, id));
    const std::size_t fixed = set.fixed_length();
    if (bytes.size() > max_object_bytes || (fixed != 0 && bytes.size() != fixed))
        return fail(Errc::invalid_argument,
                    fmt::format("restore of object {} of set '{}' with {} bytes", id.lo, set.name,
                                bytes.size()));
    if (home_of(set, id) != self)
        return fail(Errc::invalid_argument,
                    fmt::format("restore of object {} of set '{}' at node {}: it is at home at "
                                "node {}", id.lo, set.name, self.value, home_of(set, id).value));
    Step step(*this, set, id, hash_object(set.id, id));
    Entry& entry = step.make();
    if (!cache::absent(entry, step.t()) || entry.has_home)
        return fail(Errc::exists, fmt::format("restore of object {} of set '{}', which is in use",
                                              id.lo, set.name));
    if (entry.inline_length) {
        pin::before_bytes_change();
        std::memcpy(entry.small, bytes.data(), bytes.size());
    } else {
        const auto length = static_cast<std::uint32_t>(bytes.size());
        entry.block = blocks.allocate(set.id, id, length, true);
        if (!entry.block) entry.block = blocks.allocate(set.id, id, length, false);
        if (length != 0) std::memcpy(sys::bytes_of(entry.block), bytes.data(), length);
    }
    // Above any earlier life of the object, as for what is born.
    entry.set_version(std::max(version & version_writes_mask, step.t().pools->last_version + 1));
    pin::set_generation(entry.word, step.t().generation);
    entry.state = CacheState::exclusive;
    pin::set(entry.word, pin::readable | pin::writable | pin::dirty);
    return {};
}

Result<void> Cut::restore(const RawSet& set, ObjectId id, std::uint64_t version,
                          std::span<const std::byte> bytes) {
    return set.set_->owner->impl().restore(*set.set_, id, version, bytes);
}

void Cut::leave_out(sync::Hub& hub, std::string_view channel) {
    hub.impl().leave_out(channel_id(channel));
}

ObjectId Cut::channel_id(std::string_view name) {
    return sync::id_of(sync::Kind::channel, name);
}

NodeId Cut::home_of(sync::Hub& hub, const CutChannel& channel) {
    return hub.impl().find_or_make(channel.id).place.home;
}

Result<void> Cut::restore(sync::Hub& hub, const CutChannel& channel) {
    auto state = sync::ChannelState::decode(channel.state);
    if (!state) return tl::unexpected<Failure>(std::move(state).error());
    return hub.impl().restore(channel.id, std::move(*state));
}

}  // namespace ssi::kddm
