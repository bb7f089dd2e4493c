// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/volumes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "ssi/base/assert.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/kddm/session.hpp"
#include "volumes_state.hpp"

namespace ssi::io {
namespace {

// What the catalogue says of a set, before its name.
struct KeptSet {
    std::uint32_t kind = 0;
    std::uint32_t object_bytes = 0;
};

std::vector<std::byte> describe(std::string_view name, const kddm::SetOptions& options) {
    const KeptSet head{static_cast<std::uint32_t>(options.kind), options.object_bytes};
    std::vector<std::byte> bytes(sizeof head + name.size());
    std::memcpy(bytes.data(), &head, sizeof head);
    std::memcpy(bytes.data() + sizeof head, name.data(), name.size());
    return bytes;
}

std::string named(const std::vector<std::byte>& bytes) {
    KeptSet head;
    if (bytes.size() < sizeof head) return "something that is no set";
    std::memcpy(&head, bytes.data(), sizeof head);
    const std::string name(reinterpret_cast<const char*>(bytes.data()) + sizeof head,
                           bytes.size() - sizeof head);
    return fmt::format("'{}' with objects of kind {} and {} bytes", name, head.kind,
                       head.object_bytes);
}

Result<void> check_kept(Volumes::State& state, std::string_view name,
                        const kddm::SetOptions& options, KeptIn where,
                        std::span<const std::byte> description) {
    if (options.linker != "memory" || options.placement != "hashed")
        return fail(Errc::invalid_argument,
                    fmt::format("set '{}' cannot be kept on volumes with a linker or placement of "
                                "its own", name));
    auto use = state.use();
    if (!use) return tl::unexpected<Failure>(std::move(use).error());
    for (const KeptIn kind : every_log)
        SSI_TRY(state.each_log(kind, [&](ObjectLog& log) -> Result<void> {
            auto there = log.get(catalogue, ObjectId(kept_number(name).value));
            if (!there && there.error().code == Errc::not_found) return {};
            if (!there) return tl::unexpected<Failure>(std::move(there).error());
            if (kind == where && std::ranges::equal(there->bytes, description)) return {};
            return fail(Errc::mismatch,
                        fmt::format("set '{}' cannot be kept: the volumes have {}{}", name,
                                    named(there->bytes),
                                    kind == where ? "" : " in the other log"));
        }));
    return {};
}

// Each log has the description of each set that has objects there, so that a volume by itself can
// be read.
Result<void> add_description(Volumes::State& state, SetId number, KeptIn where,
                             std::span<const std::byte> description) {
    auto use = state.use();
    if (!use) return tl::unexpected<Failure>(std::move(use).error());
    return state.each_log(where, [&](ObjectLog& log) -> Result<void> {
        if (log.contains(catalogue, ObjectId(number.value))) return {};
        LogTransaction change;
        change.put(catalogue, ObjectId(number.value), description);
        if (auto applied = log.apply(change); !applied)
            return tl::unexpected<Failure>(std::move(applied).error());
        return {};
    });
}

}  // namespace

Volumes::Volumes(std::shared_ptr<State> state) : state_(std::move(state)) {}
Volumes::~Volumes() { (void)end(false); }

Result<std::unique_ptr<Volumes>> Volumes::mount(Session& session, VolumesOptions options) {
    return mount(session.internal_node(), session.internal_engine(), std::move(options));
}

Result<std::unique_ptr<Volumes>> Volumes::mount(node::Node& node, kddm::Engine& engine,
                                                VolumesOptions options) {
    auto state = std::make_shared<State>();
    state->node = &node;
    state->engine = &engine;
    state->options = std::move(options);
    SSI_TRY(mount_volumes(*state));
    return std::unique_ptr<Volumes>(new Volumes(std::move(state)));
}

Result<kddm::SetOptions> Volumes::keep(std::string_view name, kddm::SetOptions options,
                                       KeptIn where, kddm::PlacementFunction slot_of) {
    const SetId number = kept_number(name);
    const std::vector<std::byte> description = describe(name, options);
    SSI_TRY(agree(*state_->node, check_kept(*state_, name, options, where, description)));
    Result<void> described = add_description(*state_, number, where, description);
    options.placement = state_->placement();
    options.linker = fmt::format("{}/{}", options.placement, name);
    if (slot_of) {
        options.placement = options.linker;
        auto placed = state_->engine->register_homes(options.placement, state_->homes(), slot_of);
        if (described) described = std::move(placed);
    }
    state_->engine->register_linker(options.linker,
                                    make_log_linker(state_, number, {where, slot_of}));
    // From here on any node may ask any other for an object.
    SSI_TRY(agree(*state_->node, described));
    return options;
}

// Data first: what the metadata says of it is then there, too.
Result<void> Volumes::sync() {
    auto data = state_->sync(KeptIn::data);
    auto metadata = state_->sync(KeptIn::metadata);
    return data ? metadata : data;
}
VolumeId Volumes::id() const { return state_->map.whole; }
const std::vector<VolumeInfo>& Volumes::volumes() const { return state_->volumes; }

bool Volumes::is_new() const { return state_->is_new; }
bool Volumes::was_clean() const { return state_->was_clean; }

std::uint32_t Volumes::slots() const {
    return static_cast<std::uint32_t>(state_->map.slots.size());
}
std::uint32_t Volumes::volume_of(SlotId slot) const {
    SSI_ASSERT(slot.value < slots(), "the volumes have no such slot");
    return state_->map.slots[slot.value];
}
NodeId Volumes::node_of(std::uint32_t volume) const {
    SSI_ASSERT(volume < state_->volumes.size(), "there is no such volume");
    return state_->volumes[volume].node;
}
ObjectLog* Volumes::log(std::uint32_t volume, KeptIn where) const {
    return volume < state_->logs.size() ? state_->logs[volume][log_index(where)] : nullptr;
}
// What files may still take: bulk data goes to one of the two logs.
Result<DiskSpace> Volumes::space(std::uint32_t volume) const {
    const auto data = room(volume, KeptIn::data);
    if (!data) return tl::unexpected<Failure>(data.error());
    return DiskSpace{data->total_bytes, data->free_bytes};
}

// Compaction wins room as long as segments are a tenth empty, and needs some to work in: reserves,
// spares made ahead, the newest, and three that are empty in sum.
Result<LogRoom> Volumes::room(std::uint32_t volume, KeptIn where) const {
    constexpr std::uint64_t working_segments = 10;
    for (const auto& mine : state_->mine) {
        if (mine->superblock->index != volume) continue;
        const ObjectLogStatistics now = mine->logs[log_index(where)]->statistics();
        std::uint64_t most = state_->options.limit_bytes;
        if (most == 0) {
            const auto space = mine->disk->space();
            if (!space) return tl::unexpected<Failure>(space.error());
            most = now.log.file_bytes + space->free_bytes;
        }
        const std::uint64_t kept = working_segments * segment_bytes(state_->options, where);
        LogRoom room{(most - std::min(most, kept)) / 8 * 7, 0};
        room.free_bytes = room.total_bytes - std::min(room.total_bytes, now.live_bytes);
        return room;
    }
    return fail(Errc::not_found, fmt::format("volume {} is not mounted here", volume));
}
SetId Volumes::number_of(std::string_view name) { return kept_number(name); }

Result<std::shared_ptr<const void>> Volumes::hold() const {
    auto use = state_->use();
    if (!use) return tl::unexpected<Failure>(std::move(use).error());
    struct Hold {
        std::shared_ptr<State> state;
        State::Use use;               // ends first
    };
    return std::make_shared<const Hold>(Hold{state_, std::move(*use)});
}

Result<void> Volumes::close() { return end(true); }

Result<void> Volumes::end(bool cleanly) {
    state_->end_uses();
    Result<void> result;
    for (auto& volume : state_->mine) {
        Result<void> ended;
        for (auto& log : volume->logs) {
            auto closed = log ? log->close() : Result<void>();
            if (ended) ended = std::move(closed);
        }
        if (ended && cleanly) ended = set_mark(*volume->disk);
        if (result) result = std::move(ended);
    }
    state_->logs.clear();
    state_->mine.clear();
    return result;
}

}  // namespace ssi::io
