// SPDX-License-Identifier: BSD-3-Clause
// Mounting is collective, in rounds: each node does its part, then all tell how it went, and go on
// only if it went well everywhere. So nothing starts half, and all fail with the same words.
//
//   look       open the directories, read the superblocks; tell what was found
//   form       of new directories: superblocks that say "forming"
//   unmark     from now on the volumes were not closed cleanly
//   open logs  recovery
//   formed     superblocks of new volumes say so: from now on they are asked for
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>

#include "log_format.hpp"
#include "mount_plan.hpp"
#include "ssi/base/random.hpp"
#include "ssi/io/libaio_disk.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/node/node.hpp"
#include "volumes_state.hpp"

namespace ssi::io {
namespace {

using State = Volumes::State;

constexpr const char* log_directories[] = {"log", "data"};   // by KeptIn; numbered from 1
constexpr const char* mark_name = "clean";

// What went wrong on a node; its text follows.
struct Told {
    std::uint32_t code = 0;
    std::int32_t sys_errno = 0;
};

}  // namespace

// Nobody hears more of other nodes than who was the first to fail: no memory by nodes.
Result<void> agree(node::Node& node, const Result<void>& mine) {
    constexpr std::uint64_t nobody = UINT64_MAX;
    const auto rank = static_cast<std::uint64_t>(node.rank());
    std::uint64_t first = mine ? nobody : rank;
    SSI_TRY(node.all_reduce(std::span(&first, 1), node::ReduceOp::min));
    if (first == nobody) return {};
    const NodeId at = node.members().members[first].node;
    Told told;
    std::vector<std::byte> bytes;
    if (first == rank) {
        const Failure& failure = mine.error();
        told = {static_cast<std::uint32_t>(failure.code), failure.sys_errno};
        bytes.resize(sizeof told + failure.text.size());
        std::memcpy(bytes.data(), &told, sizeof told);
        std::memcpy(bytes.data() + sizeof told, failure.text.data(), failure.text.size());
    }
    SSI_TRY(node.broadcast(at, bytes));
    if (bytes.size() < sizeof told)
        return fail(Errc::bad_message, "a failure of another node that says nothing", at);
    std::memcpy(&told, bytes.data(), sizeof told);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof told,
                                bytes.size() - sizeof told);
    return tl::unexpected<Failure>(Failure{static_cast<Errc>(told.code), told.sys_errno, at,
                                           fmt::format("volumes of node {}: {}", at.value, text)});
}

namespace {

// A directory that was made outlasts a power cut only then.
Result<void> sync_parent(const std::filesystem::path& path) {
    const std::string parent = path.has_parent_path() ? path.parent_path().string() : ".";
    auto disk = make_libaio_disk(parent);
    if (!disk) return tl::unexpected<Failure>(std::move(disk).error());
    return (*disk)->sync_directory("");
}

Result<std::unique_ptr<Disk>> open_directory(State& state, LocalVolume& volume) {
    if (state.options.open_disk) return state.options.open_disk(volume.directory);
    std::error_code made;
    const std::filesystem::path path(volume.directory);
    const bool is_new = std::filesystem::create_directory(path, made);
    if (made)
        return fail_errno(Errc::io, made.value(), "make directory " + volume.directory);
    if (is_new) SSI_TRY(sync_parent(path));
    auto lock = DirectoryLock::take(volume.directory, true);
    if (!lock) return tl::unexpected<Failure>(std::move(lock).error());
    volume.lock = std::move(*lock);
    return make_libaio_disk(volume.directory, {.log = &state.node->doors().log});
}

Failure in_directory(const LocalVolume& volume, Failure failure) {
    const bool named = volume.directory.find('/') != std::string::npos &&
                       failure.text.find(volume.directory) != std::string::npos;
    if (!named)
        failure.text = fmt::format("{}: {}", volume.directory, failure.text);
    return failure;
}

Result<void> look(State& state) {
    for (const std::string& directory : state.options.directories) {
        auto volume = std::make_unique<LocalVolume>();
        volume->directory = directory;
        auto disk = open_directory(state, *volume);
        if (!disk) return tl::unexpected<Failure>(in_directory(*volume, disk.error()));
        volume->disk = std::move(*disk);
        auto superblock = read_superblock(*volume->disk);
        if (!superblock) return tl::unexpected<Failure>(in_directory(*volume, superblock.error()));
        volume->superblock = std::move(*superblock);
        auto clean = find_mark(*volume->disk);
        if (!clean) return tl::unexpected<Failure>(in_directory(*volume, clean.error()));
        volume->clean = *clean;
        state.mine.push_back(std::move(volume));
    }
    return {};
}

std::string label_of(const State& state, const LocalVolume& volume) {
    const node::Member* self = state.node->membership()->find(state.node->id());
    return fmt::format("{}:{}", self ? self->host_name : "", volume.directory);
}

FoundVolume found_of(const State& state, const LocalVolume& volume) {
    FoundVolume found;
    found.node = state.node->id();
    const std::string label = label_of(state, volume);
    std::memcpy(found.label, label.data(), std::min(label.size(), label_bytes - 1));
    if (!volume.superblock) return found;
    const Superblock& s = *volume.superblock;
    found.state = s.state == Superblock::State::formed ? FoundVolume::State::formed
                                                       : FoundVolume::State::forming;
    found.id = s.id();
    found.whole = s.whole;
    found.map_version = s.map_version;
    found.clean = volume.clean ? 1 : 0;
    return found;
}

// What all nodes found, by node. Nodes have different numbers of volumes, most of them none in a
// large session: one node collects as many rows as the most, and tells which are volumes.
Result<std::vector<FoundVolume>> exchange(State& state) {
    node::Node& node = *state.node;
    std::uint64_t most = state.mine.size();
    SSI_TRY(node.all_reduce(std::span(&most, 1), node::ReduceOp::max));
    if (most == 0) return std::vector<FoundVolume>{};
    FoundVolume nothing;
    nothing.node = no_node;
    std::vector<FoundVolume> own(most, nothing);
    for (std::size_t i = 0; i < state.mine.size(); ++i) own[i] = found_of(state, *state.mine[i]);
    const bool collects = node.rank() == 0;
    const NodeId collector = node.members().members.front().node;
    std::vector<FoundVolume> found(collects ? most * static_cast<std::size_t>(node.size()) : 0);
    SSI_TRY(node.gather(collector, std::as_bytes(std::span(own)),
                        std::as_writable_bytes(std::span(found))));
    std::erase_if(found, [](const FoundVolume& v) { return v.node == no_node; });
    const auto collected = std::as_bytes(std::span(found));
    std::vector<std::byte> bytes(collected.begin(), collected.end());
    SSI_TRY(node.broadcast(collector, bytes));
    found.resize(bytes.size() / sizeof(FoundVolume));
    std::memcpy(found.data(), bytes.data(), found.size() * sizeof(FoundVolume));
    return found;
}

VolumeId random_id() {
    Random random(Random::seed_from_system());
    return {random.next(), random.next()};
}

// A first start that did not come to its end leaves volumes that are forming: they keep their
// names, by which their logs know them.
Result<void> draw_map(const State& state, const std::vector<FoundVolume>& found, Superblock& map) {
    const std::uint32_t slots = state.options.slots;
    if (slots < found.size())
        return fail(Errc::invalid_argument,
                    fmt::format("{} slots are too few for {} volumes", slots, found.size()));
    map.whole = random_id();
    for (const FoundVolume& volume : found)
        map.volumes.push_back({volume.state == FoundVolume::State::blank ? random_id() : volume.id,
                               volume.label});
    for (std::uint32_t slot = 0; slot < slots; ++slot)
        map.slots.push_back(static_cast<std::uint16_t>(slot % found.size()));
    return {};
}

// One node makes the map, by its own options: that of the first volume.
Result<Superblock> make_map(State& state, std::vector<FoundVolume>& found) {
    Superblock drawn;
    Result<void> made;
    const bool ours = found[0].node == state.node->id();
    if (ours) made = draw_map(state, found, drawn);
    SSI_TRY(agree(*state.node, made));
    std::vector<std::byte> bytes;
    if (ours) bytes = encode(drawn);
    SSI_TRY(state.node->broadcast(found[0].node, bytes));
    auto map = decode_superblock(bytes);
    if (map)
        for (std::size_t i = 0; i < found.size(); ++i) found[i].id = map->volumes[i].id;
    return map;
}

Result<void> check_options(const State& state) {
    const std::uint32_t slots = state.options.slots;
    if (!std::has_single_bit(slots) || slots > most_slots)
        return fail(Errc::invalid_argument,
                    fmt::format("{} slots: a power of two up to {} is needed", slots, most_slots));
    return {};
}

// The local volume that stands at this place of `found`.
std::size_t first_of(const State& state, const std::vector<FoundVolume>& found) {
    const auto at = std::ranges::find(found, state.node->id(), &FoundVolume::node);
    return static_cast<std::size_t>(at - found.begin());
}

Result<void> write_all(State& state, const std::vector<FoundVolume>& found,
                       Superblock::State as) {
    const std::size_t first = first_of(state, found);
    for (std::size_t i = 0; i < state.mine.size(); ++i) {
        LocalVolume& volume = *state.mine[i];
        Superblock superblock = state.map;
        superblock.state = as;
        superblock.has_data = as == Superblock::State::formed;
        superblock.index = static_cast<std::uint32_t>(first + i);
        if (auto written = write_superblock(*volume.disk, superblock); !written)
            return tl::unexpected<Failure>(in_directory(volume, written.error()));
        volume.superblock = std::move(superblock);
    }
    return {};
}

// From the node that has it to those that have another, or none.
Result<Superblock> newest_map(State& state, const std::vector<FoundVolume>& found,
                              std::size_t newest) {
    const NodeId source = found[newest].node;
    std::vector<std::byte> bytes;
    if (source == state.node->id())
        bytes = encode(*state.mine[newest - first_of(state, found)]->superblock);
    SSI_TRY(state.node->broadcast(source, bytes));
    return decode_superblock(bytes);
}

// A volume of an earlier build has one log: the other is made.
Result<void> open_logs(State& state, bool forming) {
    for (auto& volume : state.mine) {
        for (const KeptIn where : every_log) {
            ObjectLogOptions options;
            options.log.disk = volume->disk.get();
            options.log.directory = log_directories[log_index(where)];
            options.log.identity = {volume->superblock->id(), log_index(where) + 1};
            options.log.create =
                forming || (where == KeptIn::data && !volume->superblock->has_data);
            options.log.segment_bytes = segment_bytes(state.options, where);
            options.log.limit_bytes = state.options.limit_bytes;
            options.tasks = &state.node->doors().tasks;
            auto log = ObjectLog::open(std::move(options));
            if (!log) return tl::unexpected<Failure>(in_directory(*volume, log.error()));
            volume->logs[log_index(where)] = std::move(*log);
        }
    }
    return {};
}

Result<void> unmark(State& state) {
    for (auto& volume : state.mine)
        if (auto removed = remove_mark(*volume->disk); !removed)
            return tl::unexpected<Failure>(in_directory(*volume, removed.error()));
    return {};
}

// A map that some volumes missed: written again there, under the number that it gives them.
Result<void> renew(State& state) {
    for (auto& volume : state.mine) {
        Superblock superblock = state.map;
        const auto at = std::ranges::find(superblock.volumes, volume->superblock->id(),
                                          &Superblock::Entry::id);
        superblock.index = static_cast<std::uint32_t>(at - superblock.volumes.begin());
        superblock.state = Superblock::State::formed;
        superblock.has_data = true;
        if (superblock == *volume->superblock) continue;
        if (auto written = write_superblock(*volume->disk, superblock); !written)
            return tl::unexpected<Failure>(in_directory(*volume, written.error()));
        volume->superblock = std::move(superblock);
    }
    return {};
}

Result<void> place(State& state, const std::vector<FoundVolume>& found) {
    const Superblock& map = state.map;
    state.logs.assign(map.volumes.size(), {});
    for (auto& volume : state.mine)
        for (const KeptIn where : every_log)
            state.logs[volume->superblock->index][log_index(where)] =
                volume->logs[log_index(where)].get();
    for (const Superblock::Entry& entry : map.volumes) {
        const auto at = std::ranges::find(found, entry.id, &FoundVolume::id);
        state.volumes.push_back({entry.id, at->node, at->label});
    }
    for (const std::uint16_t volume : map.slots) ++state.volumes[volume].slots;
    return state.engine->register_homes(state.placement(), state.homes());
}

}  // namespace

// Bulk data goes to the disk in long writes, and each new segment waits for the disk some times. A
// small log needs segments by the dozen all the same, for room to compact in.
std::uint64_t segment_bytes(const VolumesOptions& options, KeptIn where) {
    if (where == KeptIn::metadata) return options.segment_bytes;
    if (options.data_segment_bytes != 0) return options.data_segment_bytes;
    const std::uint64_t wanted = std::min<std::uint64_t>(8 * options.segment_bytes, 1u << 30);
    if (options.limit_bytes == 0) return wanted;
    const std::uint64_t most = options.limit_bytes / 32 / log_block_bytes * log_block_bytes;
    return std::max(options.segment_bytes, std::min(wanted, most));
}

std::vector<NodeId> Volumes::State::homes() const {
    std::vector<NodeId> homes;
    for (const std::uint16_t volume : map.slots) homes.push_back(volumes[volume].node);
    return homes;
}

Result<bool> find_mark(Disk& disk) {
    const auto file = disk.open(mark_name, OpenMode::read);
    if (file) return true;
    if (file.error().code == Errc::not_found) return false;
    return tl::unexpected<Failure>(file.error());
}

Result<void> set_mark(Disk& disk) {
    const auto file = disk.open(mark_name, OpenMode::create);
    if (!file) return tl::unexpected<Failure>(file.error());
    return disk.sync_directory("");
}

// Also when it was not found: a removal that a crash interrupted may be undone by the next.
Result<void> remove_mark(Disk& disk) {
    const auto removed = disk.remove(mark_name);
    if (!removed && removed.error().code != Errc::not_found) return removed;
    return disk.sync_directory("");
}

Result<void> mount_volumes(State& state) {
    node::Node& node = *state.node;
    Result<void> looked = check_options(state);
    if (looked) looked = look(state);
    SSI_TRY(agree(node, looked));
    auto found = exchange(state);
    if (!found) return tl::unexpected<Failure>(std::move(found).error());
    auto plan = plan_mount(*found);
    if (!plan) return tl::unexpected<Failure>(std::move(plan).error());
    auto map = plan->forming ? make_map(state, *found) : newest_map(state, *found, plan->newest);
    if (!map) return tl::unexpected<Failure>(std::move(map).error());
    state.map = std::move(*map);
    if (plan->forming)
        SSI_TRY(agree(node, write_all(state, *found, Superblock::State::forming)));
    else
        SSI_TRY(check_complete(*found, state.map));
    state.is_new = plan->forming;
    state.was_clean = plan->forming || std::ranges::all_of(*found, &FoundVolume::clean);
    SSI_TRY(agree(node, unmark(state)));
    SSI_TRY(agree(node, open_logs(state, plan->forming)));
    SSI_TRY(agree(node, plan->forming
                            ? write_all(state, *found, Superblock::State::formed)
                            : renew(state)));
    SSI_TRY(agree(node, place(state, *found)));
    return {};
}

}  // namespace ssi::io
