// SPDX-License-Identifier: BSD-3-Clause
// Sets and the verbs that hold nothing.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <span>
#include <utility>

#include "grown.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace {

// The same set has the same handle, so that opening it again and again costs nothing.
ssi_set* handle_of(ssi_session& session, const kddm::RawSet& raw) {
    std::lock_guard lock(session.mutex);
    for (const auto& set : session.sets)
        if (set->raw.id() == raw.id()) return set.get();
    session.sets.push_back(std::make_unique<ssi_set>(raw));
    return session.sets.back().get();
}

// What these structs had when they were first written down.
constexpr std::size_t least_options = offsetof(ssi_set_options, linker);
constexpr std::size_t least_stats = offsetof(ssi_set_stats, loads);

Result<kddm::SetOptions> options_of(const ssi_set_options* given) {
    SSI_TRY(need(given, "options"));
    ssi_set_options o = SSI_SET_OPTIONS_INIT;
    SSI_TRY(read_grown(given, least_options, o, "ssi_set_options"));
    if (o.kind != SSI_FIXED && o.kind != SSI_VARIABLE)
        return fail(Errc::invalid_argument, "kind is neither SSI_FIXED nor SSI_VARIABLE (sets of "
                                            "C++ types are made by C++)");
    if (o.coherence != SSI_COHERENT && o.coherence != SSI_HOME)
        return fail(Errc::invalid_argument, "coherence is neither SSI_COHERENT nor SSI_HOME");
    if (o.flags & ~static_cast<std::uint32_t>(SSI_NO_VISITS))
        return fail(Errc::unsupported, "flags has bits that this library, " SSI_VERSION
                                       ", does not know: use SSI_SET_OPTIONS_INIT");
    kddm::SetOptions options;
    options.count = o.count;
    options.kind = o.kind == SSI_FIXED ? kddm::ObjectKind::fixed : kddm::ObjectKind::variable;
    options.object_bytes = o.object_bytes;
    options.coherence =
        o.coherence == SSI_COHERENT ? kddm::Coherence::coherent : kddm::Coherence::home;
    if (o.placement) options.placement = o.placement;
    if (o.linker) options.linker = o.linker;
    options.memory_bytes = o.memory_bytes;
    options.visits = !(o.flags & SSI_NO_VISITS);
    return options;
}

template <class Body>
int on_set(ssi_set* set, Body&& body) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        return body(set->raw);
    });
}

// kddm takes plain functions with its own types; each place of this table has one.
constexpr std::size_t most_placements = 16;
std::array<std::atomic<ssi_placement>, most_placements> placements{};

template <std::size_t place>
SlotId placed(SetId set, ObjectId id, std::uint32_t slots) {
    return SlotId(placements[place].load(std::memory_order_relaxed)(set.value, c_id(id), slots));
}
template <std::size_t... places>
constexpr std::array<kddm::PlacementFunction, most_placements> forwarders(
    std::index_sequence<places...>) {
    return {&placed<places>...};
}
constexpr auto forwarder = forwarders(std::make_index_sequence<most_placements>{});

}  // namespace

int ssi_set_create(ssi_session* session, const char* name, const ssi_set_options* options,
                   ssi_set** set) {
    if (set) *set = nullptr;
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        SSI_TRY(need(name, "name"));
        SSI_TRY(need(set, "set"));
        const auto wanted = options_of(options);
        if (!wanted) return tl::unexpected<Failure>(wanted.error());
        return with(session->session.raw_set(name, *wanted),
                    [&](kddm::RawSet& raw) { *set = handle_of(*session, raw); });
    });
}

int ssi_set_open(ssi_session* session, const char* name, ssi_set** set) {
    if (set) *set = nullptr;
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        SSI_TRY(need(name, "name"));
        SSI_TRY(need(set, "set"));
        return with(session->session.open(name),
                    [&](kddm::RawSet& raw) { *set = handle_of(*session, raw); });
    });
}

int ssi_set_destroy(ssi_session* session, const char* name) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        SSI_TRY(need(name, "name"));
        return session->session.destroy(name);
    });
}

const char* ssi_set_name(const ssi_set* set) { return set ? set->raw.name().c_str() : nullptr; }

int ssi_set_number(const ssi_set* set, uint32_t* number) {
    return on_set(const_cast<ssi_set*>(set), [&](kddm::RawSet& raw) -> Result<void> {
        SSI_TRY(need(number, "number"));
        *number = raw.id().value;
        return {};
    });
}

int ssi_set_describe(const ssi_set* set, ssi_set_options* options) {
    return on_set(const_cast<ssi_set*>(set), [&](kddm::RawSet& raw) -> Result<void> {
        SSI_TRY(need(options, "options"));
        ssi_set_options mine = SSI_SET_OPTIONS_INIT;
        SSI_TRY(read_grown(options, least_options, mine, "ssi_set_options"));
        const kddm::SetOptions& o = raw.options();
        mine = {options->size, o.count, static_cast<std::uint32_t>(o.kind), o.object_bytes,
                static_cast<std::uint32_t>(o.coherence),
                o.visits ? 0 : static_cast<std::uint32_t>(SSI_NO_VISITS), o.placement.c_str(),
                o.linker.c_str(), o.memory_bytes};
        std::memcpy(options, &mine, std::min(options->size, sizeof mine));
        return {};
    });
}

int ssi_register_placement(ssi_session* session, const char* name, ssi_placement function) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        SSI_TRY(need(name, "name"));
        SSI_TRY(need(reinterpret_cast<const void*>(function), "function"));
        for (std::size_t i = 0; i < most_placements; ++i) {
            ssi_placement there = nullptr;
            if (!placements[i].compare_exchange_strong(there, function) && there != function)
                continue;
            session->session.register_placement(name, forwarder[i]);
            return {};
        }
        return fail(Errc::too_large, "a process has at most 16 placement functions");
    });
}

int ssi_stats(const ssi_set* set, ssi_set_stats* stats) {
    return on_set(const_cast<ssi_set*>(set), [&](kddm::RawSet& raw) -> Result<void> {
        SSI_TRY(need(stats, "stats"));
        ssi_set_stats mine{};
        SSI_TRY(read_grown(stats, least_stats, mine, "ssi_set_stats"));
        const kddm::SetStats s = raw.stats();
        mine = {stats->size, s.gets, s.grabs, s.hits, s.remote_gets, s.remote_grabs,
                s.invalidations, s.transfers, s.applies, s.recalls, s.evictions, s.bytes_in,
                s.bytes_out, s.objects, s.reads, s.reads_by_message, s.loads, s.write_backs,
                s.memory_bytes, s.drops, s.bounces, s.visits, s.atomics_in_place};
        std::memcpy(stats, &mine, std::min(stats->size, sizeof mine));
        return {};
    });
}

int ssi_find(const ssi_set* set, ssi_object_id id, ssi_access* access) {
    return on_set(const_cast<ssi_set*>(set), [&](kddm::RawSet& raw) -> Result<void> {
        SSI_TRY(need(access, "access"));
        *access = static_cast<ssi_access>(raw.find(object(id)));
        return {};
    });
}

int ssi_home(const ssi_set* set, ssi_object_id id, uint32_t* node) {
    return on_set(const_cast<ssi_set*>(set), [&](kddm::RawSet& raw) -> Result<void> {
        SSI_TRY(need(node, "node"));
        *node = raw.home(object(id)).value;
        return {};
    });
}

int ssi_remove(ssi_set* set, ssi_object_id id) {
    return on_set(set, [&](kddm::RawSet& raw) { return raw.remove(object(id)); });
}

int ssi_prefetch(ssi_set* set, ssi_object_id id, ssi_access access) {
    return on_set(set, [&](kddm::RawSet& raw) -> Result<void> {
        SSI_TRY(check_access(access));
        return raw.prefetch(object(id), static_cast<kddm::Access>(access));
    });
}

int ssi_flush(ssi_set* set, ssi_object_id id) {
    return on_set(set, [&](kddm::RawSet& raw) { return raw.flush(object(id)); });
}

int ssi_sync(ssi_set* set) {
    return on_set(set, [&](kddm::RawSet& raw) { return raw.sync(); });
}

int ssi_on_release(ssi_set* set, ssi_release_hook hook, void* context) {
    return on_set(set, [&](kddm::RawSet& raw) -> Result<void> {
        if (!hook) {
            raw.on_release({});
            return {};
        }
        raw.on_release([hook, context](ObjectId id, std::span<const std::byte> bytes) {
            hook(c_id(id), bytes.data(), bytes.size(), context);
        });
        return {};
    });
}
