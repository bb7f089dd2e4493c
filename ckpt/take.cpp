// SPDX-License-Identifier: BSD-3-Clause
// Taking a checkpoint: the collective steps, until the application goes on.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "checkpoint_state.hpp"
#include "explained.hpp"
#include "fault_point.hpp"
#include "manifest.hpp"
#include "ssi/base/config.hpp"
#include "ssi/base/random.hpp"
#include "stopping.hpp"

namespace ssi {

using ckpt::agree;
using Impl = Checkpoint::Impl;

namespace {

ckpt::DatasetId new_dataset() {
    return {Random::seed_from_system(), Random::seed_from_system()};
}

}  // namespace

Result<CheckpointTicket> Impl::take(std::string_view description, const TakeOptions& take) {
    finish_last();
    ckpt::fault_point(ckpt::FaultPoint::take_begun);
    auto state = std::make_shared<CheckpointTicket::State>(clock());
    SSI_TRY(meetings->meet(meet_for()));
    auto taken = make_cut(description, take, state);
    // The others' saving does not wait for the callbacks of this rank.
    if (taken) {
        control->took(state);
        task = node.doors().tasks.spawn("checkpoint", [this] { save(); });
    } else {
        saving.reset();
    }
    if (const auto after = run(CheckpointEvent::after); !after)
        SSI_LOG(node.doors().log, warn, "checkpoint", "a callback failed afterwards: {}",
                after.error().to_string());
    if (!taken) return tl::unexpected<Failure>(std::move(taken).error());
    if (policy)
        policy->history().took(state, {.level = static_cast<std::uint32_t>(take.level),
                                       .incremental = take.incremental && chain != 0,
                                       .asynchronous = take.asynchronous,
                                       .wanted_level = requests->wanted().level});
    CheckpointTicket handle(state);
    if (!take.asynchronous)
        if (auto saved = handle.wait(); !saved)
            return tl::unexpected<Failure>(std::move(saved).error());
    return handle;
}

// Until the application may go on: what is to be saved is in `saving`.
Result<void> Impl::make_cut(std::string_view description, const TakeOptions& take,
                            std::shared_ptr<CheckpointTicket::State> state) {
    if (take.level == CheckpointLevel::global) SSI_TRY(can_have(take.level));
    Result<std::vector<int>> partners;
    if (take.level == CheckpointLevel::partner) partners = choose_partners();
    if (!partners) return tl::unexpected<Failure>(std::move(partners).error());
    Result<ckpt::ParityGroup> group;
    if (take.level == CheckpointLevel::parity) group = choose_group();
    if (!group) return tl::unexpected<Failure>(std::move(group).error());
    SSI_TRY(run_together(CheckpointEvent::before));
    auto version = begin_version(description, take);
    if (!version) return tl::unexpected<Failure>(std::move(version).error());
    state->version = version->version;
    ckpt::fault_point(ckpt::FaultPoint::version_agreed);
    auto writer = begin_member(*version, *group);
    if (!writer) return tl::unexpected<Failure>(std::move(writer).error());
    ckpt::fault_point(ckpt::FaultPoint::member_begun);
    begin_changes(take);
    saving = std::make_unique<ckpt::Saving>(
        ckpt::SavingDoors{node, cut, protection, *places, *votes,
                          take.incremental ? &changes : nullptr, *copies, scratch},
        std::move(*version), std::move(*writer),
        ckpt::PruneOptions{.keep = options.keep, .of_level = kept_of_levels(), .elsewhere = true},
        state);
    kept_globally = kept_in_global();
    saving->set_partners(std::move(*partners));
    saving->set_group(std::move(*group));
    ticket = std::move(state);
    SSI_TRY(agree(node, make_room(take.asynchronous)));
    return stop_and_begin(take.asynchronous);
}

// Told in the log, too: nobody need look at a ticket.
void Impl::save() {
    auto saved = saving->run();
    if (!saved && node.rank() == 0)
        SSI_LOG(node.doors().log, warn, "checkpoint", "version {} failed: {}", ticket->version,
                saved.error().to_string());
    const bool fine = saved.has_value();
    if (fine) ticket->was_saved();
    if (fine && saving->level() == CheckpointLevel::global)
        drain->add(ticket, kept_globally);   // before older ones are pruned
    else
        ticket->finish(std::move(saved));
    if (fine) saving->prune();   // nobody waits for it
}

// The chain of versions that need each other is as long as it may be after so many: then one is
// whole again. So is one after a version that was not kept track of, or failed.
void Impl::begin_changes(const TakeOptions& take) {
    if (!take.incremental) return changes.forget();
    // What it needs must be kept as well as it is itself.
    // So it does where it is kept in another way, as the two need not be where one of them is read.
    if (take.level != CheckpointLevel::local && take.level != base_level) changes.forget();
    base_level = take.level;
    const bool lost = ticket && !ticket->saved;
    if (lost || (changes.has_base() && !places->own().manifest(changes.base()))) changes.forget();
    const auto longest = static_cast<std::uint32_t>(config.integer("checkpoint.full_every")) - 1;
    const bool whole = !changes.has_base() || chain >= std::min(longest, ckpt::max_chain);
    chain = whole ? 0 : chain + 1;
    changes.begin(whole);
}

// Those that the policies name. What is to go to the global store counts as any other here.
std::map<std::uint32_t, std::size_t> Impl::kept_of_levels() const {
    std::map<std::uint32_t, std::size_t> kept;
    const auto& counts = requests->keep();
    for (std::uint32_t level = 0; level < counts.size(); ++level)
        if (counts[level] != 0 && level != static_cast<std::uint32_t>(CheckpointLevel::global))
            kept[level] = counts[level] == SSI_CHECKPOINT_KEEP_AS_SET ? options.keep
                                                                      : counts[level];
    return kept;
}

std::size_t Impl::kept_in_global() const {
    const std::uint32_t count = requests->keep()[static_cast<std::size_t>(CheckpointLevel::global)];
    return count == 0 || count == SSI_CHECKPOINT_KEEP_AS_SET ? options.keep : count;
}

std::vector<ckpt::Seat> Impl::seats() const {
    std::vector<ckpt::Seat> all;
    for (int rank = 0; rank < node.size(); ++rank)
        all.push_back({node.members().members[static_cast<std::size_t>(rank)].host_id,
                       places->leaders()[static_cast<std::size_t>(rank)]});
    return all;
}

// The same on every node, by what all know of each other.
Result<std::vector<int>> Impl::choose_partners() {
    auto chosen = ckpt::partners(seats(), config.boolean("checkpoint.allow_same_host"));
    if (!chosen) return chosen;
    for (int rank = 0; rank < node.size(); ++rank)
        copies->know(rank, (*chosen)[static_cast<std::size_t>(rank)]);
    return chosen;
}

// The same.
Result<ckpt::ParityGroup> Impl::choose_group() {
    const auto all = ckpt::failure_groups(
        seats(), static_cast<std::size_t>(config.integer("checkpoint.group")),
        config.boolean("checkpoint.allow_same_host"));
    if (!all) return tl::unexpected<Failure>(all.error());
    ckpt::ParityGroup mine;
    for (const std::vector<int>& group : *all) {
        for (const int from : group)
            for (const int to : group)
                if (from != to) copies->know(from, to);
        const auto own = std::ranges::find(group, node.rank());
        if (own != group.end()) mine = {group, static_cast<std::size_t>(own - group.begin())};
    }
    return mine;
}

// The first node's word, but for the number, which is new in every store.
Result<ckpt::Manifest> Impl::begin_version(std::string_view description, const TakeOptions& take) {
    ckpt::VersionNumber next = next_globally;
    Result<void> looked;
    for (ckpt::Store* store : places->all()) {
        const auto version = store->next_version();
        if (version)
            next = std::max(next, *version);
        else
            looked = tl::unexpected(ckpt::explained(version.error(), *store, 0));
    }
    SSI_TRY(agree(node, std::move(looked)));
    const auto agreed = ckpt::largest(node, next);
    if (!agreed) return tl::unexpected<Failure>(agreed.error());
    ckpt::Manifest version;
    if (node.rank() == 0) {
        version.dataset = new_dataset();
        version.version = *agreed;
        version.application = options.application;
        version.build = fmt::format("{} ({})", SSI_VERSION, ckpt::machine_name());
        version.session = session_name;
        version.time = clock().wall();
        version.level = static_cast<std::uint32_t>(take.level);
        version.description = description;
        version.user_number = take.number;
        version.user_bytes.assign(take.bytes.begin(), take.bytes.end());
        version.ranks = static_cast<std::uint32_t>(node.size());
        version.items = protection.items();
    }
    SSI_TRY(agree(node, node.rank() == 0 ? ckpt::check_manifest(version) : Result<void>()));
    ckpt::Bytes bytes;
    if (node.rank() == 0) bytes = ckpt::encode_manifest(version);
    SSI_TRY(ckpt::share(node, bytes));
    auto shared = ckpt::decode_manifest(bytes);
    Result<void> same;
    if (!shared)
        same = tl::unexpected<Failure>(shared.error());
    else if (shared->items != protection.items())
        same = fail(Errc::mismatch, fmt::format("node {} has protected other things than the first "
                                                "node, or in another order", node.id().value));
    SSI_TRY(agree(node, std::move(same)));
    return shared;
}

Result<std::unique_ptr<ckpt::MemberWriter>> Impl::begin_member(const ckpt::Manifest& version,
                                                               const ckpt::ParityGroup& group) {
    const auto rank = static_cast<std::uint32_t>(node.rank());
    auto writer = places->own().begin(
        {.dataset = version.dataset,
         .version = version.version,
         .member = rank,
         .rank = rank,
         .host = node.members().find(node.id())->host_name,
         .device = places->device(),
         .group = group.ranks.empty() ? 0 : static_cast<std::uint32_t>(group.ranks.front()) + 1,
         .bytes_per_second =
             static_cast<std::uint64_t>(config.integer("checkpoint.rate_bytes")),
         .buffers = &buffers});
    Result<void> mine;
    if (!writer) mine = tl::unexpected(ckpt::explained(writer.error(), places->own(), 0));
    if (auto begun = agree(node, std::move(mine)); !begun) {
        if (writer) (*writer)->abandon();
        return tl::unexpected<Failure>(std::move(begun).error());
    }
    return writer;
}

Result<void> Impl::stop_and_begin(bool copy) {
    const Nanoseconds stopped = clock().now();
    ckpt::StopOptions how;
    how.timeout_ms = config.integer("checkpoint.timeout_ms");
    if (const std::int64_t bytes = config.integer("checkpoint.shadow_bytes"); bytes != 0)
        how.cut.shadow_bytes = static_cast<std::uint64_t>(bytes);
    auto begun = ckpt::stop_and_begin(node, cut, protection.sets(), how, [&] {
        saving->forget_memory();
        keep_memory(copy);
        keep_files();
        for (const ckpt::Protected& one : protection.all())
            if (one.backend) saving->freeze(one);
        ckpt::fault_point(ckpt::FaultPoint::memory_kept);
    });
    ticket->stopped = clock().now() - stopped;
    ckpt::fault_point(ckpt::FaultPoint::gate_opened);
    return begun;
}

// For copies of memory, before anything is stopped.
Result<void> Impl::make_room(bool copy) {
    std::size_t all = 0;
    for (const ckpt::Protected& one : protection.all()) all += one.memory.size();
    try {
        if (copy && shadow.size() < all) shadow.resize(all);
    } catch (const std::bad_alloc&) {
        return fail(Errc::out_of_memory,
                    fmt::format("node {}: no memory for a copy of {} bytes of spans and arrays: "
                                "take it without `asynchronous`", node.id().value, all));
    }
    return {};
}

// What is saved while all ranks wait in take is read where it is.
void Impl::keep_memory(bool copy) {
    const auto rank = static_cast<std::uint64_t>(node.rank());
    std::size_t used = 0;
    for (const ckpt::Protected& one : protection.all()) {
        if (one.memory.empty()) continue;
        std::span<const std::byte> bytes = one.memory;
        if (copy) {
            std::memcpy(shadow.data() + used, bytes.data(), bytes.size());
            bytes = std::span<const std::byte>(shadow).subspan(used, bytes.size());
            used += bytes.size();
        }
        const ObjectId id{rank, one.offset};
        saving->add({{.item = one.item.id, .id = id, .total = bytes.size()}, bytes});
    }
}

void Impl::keep_files() {
    std::size_t file = 0;
    for (const ckpt::Protected& one : protection.all()) {
        if (!one.system) continue;
        try {
            saving->add_file(one.item.id,
                             ckpt::keep_file(*one.system, open_files[file++], one.content));
        } catch (const std::bad_alloc&) {
            saving->add_file(one.item.id,
                             fail(Errc::out_of_memory,
                                  fmt::format("no memory for a copy of file '{}'",
                                              one.item.name)));
        }
    }
}

}  // namespace ssi
