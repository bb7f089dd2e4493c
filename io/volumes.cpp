// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/volumes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

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
                        const kddm::SetOptions& options, std::span<const std::byte> description) {
    if (options.linker != "memory" || options.placement != "hashed")
        return fail(Errc::invalid_argument,
                    fmt::format("set '{}' cannot be kept on volumes with a linker or placement of "
                                "its own", name));
    auto use = state.use();
    if (!use) return tl::unexpected<Failure>(std::move(use).error());
    for (ObjectLog* log : state.logs) {
        if (!log) continue;
        auto there = log->get(catalogue, ObjectId(kept_number(name).value));
        if (!there && there.error().code == Errc::not_found) continue;
        if (!there) return tl::unexpected<Failure>(std::move(there).error());
        if (!std::ranges::equal(there->bytes, description))
            return fail(Errc::mismatch,
                        fmt::format("set '{}' cannot be kept: the volumes have {}", name,
                                    named(there->bytes)));
    }
    return {};
}

// Each log has the description of each set that has objects there, so that a volume by itself can
// be read.
Result<void> add_description(Volumes::State& state, SetId number,
                             std::span<const std::byte> description) {
    auto use = state.use();
    if (!use) return tl::unexpected<Failure>(std::move(use).error());
    for (ObjectLog* log : state.logs) {
        if (!log || log->contains(catalogue, ObjectId(number.value))) continue;
        LogTransaction change;
        change.put(catalogue, ObjectId(number.value), description);
        if (auto applied = log->apply(change); !applied)
            return tl::unexpected<Failure>(std::move(applied).error());
    }
    return {};
}

}  // namespace

Volumes::Volumes(std::shared_ptr<State> state) : state_(std::move(state)) {}
Volumes::~Volumes() { (void)close(); }

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

Result<kddm::SetOptions> Volumes::keep(std::string_view name, kddm::SetOptions options) {
    const SetId number = kept_number(name);
    const std::vector<std::byte> description = describe(name, options);
    SSI_TRY(agree(*state_->node, check_kept(*state_, name, options, description)));
    Result<void> described = add_description(*state_, number, description);
    options.placement = state_->placement();
    options.linker = fmt::format("{}/{}", options.placement, name);
    state_->engine->register_linker(options.linker, make_log_linker(state_, number));
    // From here on any node may ask any other for an object.
    SSI_TRY(agree(*state_->node, described));
    return options;
}

Result<void> Volumes::sync() { return state_->sync(); }
VolumeId Volumes::id() const { return state_->map.whole; }
const std::vector<VolumeInfo>& Volumes::volumes() const { return state_->volumes; }

Result<void> Volumes::close() {
    state_->end_uses();
    Result<void> result;
    for (auto& volume : state_->mine) {
        if (!volume->log) continue;
        auto closed = volume->log->close();
        if (result) result = std::move(closed);
    }
    state_->logs.clear();
    state_->mine.clear();
    return result;
}

}  // namespace ssi::io
