// SPDX-License-Identifier: BSD-3-Clause
// Volumes: directories on the nodes' own disks, and what a session keeps there. Sets that are kept
// on volumes are found again by the next session, with as many nodes as it has.
//
//     auto volumes = value_or_throw(io::Volumes::mount(session, {.directories = {path}}));
//     auto table = session.set<Row>("table", volumes->keep<Row>("table"));
//     { auto row = table.grab(7); ... }
//     table.sync();                         // on every node: what it homes is on its disks
//
// An object belongs to a slot, a slot to a volume, and its home is the node that mounted that
// volume: only that node writes the object's log. The map of slots is part of every volume, and
// fixed when they are made. A node may mount several volumes, or none. A session starts with all
// volumes of the newest map, or not at all. docs/formats/volume.md is what lies in a directory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/base/result.hpp"
#include "ssi/io/disk.hpp"
#include "ssi/io/log_record.hpp"
#include "ssi/io/object_log.hpp"
#include "ssi/kddm/set.hpp"

namespace ssi {
class Session;
namespace kddm {
class Engine;
}
namespace node {
class Node;
}
}  // namespace ssi

namespace ssi::io {

struct VolumesOptions {
    // Of this node, each a volume; one that is not there is made (its parent must be there). The
    // order does not matter. Empty: a diskless node.
    std::vector<std::string> directories;
    std::uint32_t slots = 1024;              // of new volumes: a power of two up to 65536
    std::uint64_t segment_bytes = 4u << 20;  // of their logs of metadata
    std::uint64_t data_segment_bytes = 0;    // of their logs of data; 0: eight times as many
    std::uint64_t limit_bytes = 0;           // most that a log may take; 0: what the disk has
    // How a directory becomes a Disk; by default LibaioDisk. Tests bring disks of their own.
    std::function<Result<std::unique_ptr<Disk>>(const std::string& directory)> open_disk;
};

struct VolumeInfo {
    VolumeId id;
    NodeId node;                   // that mounted it
    std::string label;             // host and directory
    std::uint32_t slots = 0;       // of its own
};

// Each volume has two logs. Objects that are many and small, or change in part, live in the first;
// the bulk of data in the second, so that compaction and recovery of either have their own pace.
enum class KeptIn : std::uint8_t { metadata, data };

// What a log may take of values, and how much more that is than it has.
struct LogRoom {
    std::uint64_t total_bytes = 0;
    std::uint64_t free_bytes = 0;
};

// Thread-safe but for mount, close and destruction. Outlives the sets that it keeps, but not the
// session.
class Volumes {
public:
    // Collective. New directories become volumes when all of them are new. Failures are the same on
    // every node, and name the one at fault: not_found (a volume of the map is mounted by nobody,
    // or there is none at all), exists (one is mounted twice), mismatch (volumes of several
    // sessions, or some new beside others that are not), would_block (in use), parse (damaged),
    // unsupported (of a newer format), io.
    static Result<std::unique_ptr<Volumes>> mount(Session& session, VolumesOptions options);
    static Result<std::unique_ptr<Volumes>> mount(node::Node& node, kddm::Engine& engine,
                                                  VolumesOptions options);
    ~Volumes();   // closes, but not cleanly: see was_clean
    Volumes(const Volumes&) = delete;
    Volumes& operator=(const Volumes&) = delete;

    // Options with which a set is kept here under `name`: `options` with linker and placement of
    // ours. Collective, so that every home knows the set before anybody opens it; failures are the
    // same on every node. mismatch when the name is kept already with objects of another kind or
    // size, or in the other log. `slot_of` (null: stable_slot) must be the same in every session,
    // and look at nothing but the object's id.
    Result<kddm::SetOptions> keep(std::string_view name, kddm::SetOptions options,
                                  KeptIn where = KeptIn::metadata,
                                  kddm::PlacementFunction slot_of = nullptr);
    // The same for Session::set<T>; throws.
    template <class T>
    kddm::SetOptions keep(std::string_view name, kddm::SetOptions options = {},
                          KeptIn where = KeptIn::metadata,
                          kddm::PlacementFunction slot_of = nullptr) {
        return value_or_throw(keep(name, kddm::options_of<T>(std::move(options)), where, slot_of));
    }
    // What this node's logs have taken is durable. RawSet::sync does that, too, for the logs that
    // keep the set, after it has written the set's objects back.
    Result<void> sync();

    VolumeId id() const;                              // of all together
    const std::vector<VolumeInfo>& volumes() const;   // of the session, in the order of the map
    bool is_new() const;     // this mount made them
    // All were closed by close() last time, with success; or they are new. The mark is gone from
    // the disks before mount changes anything else there.
    bool was_clean() const;

    // For whoever writes logs himself. Volumes by their place in volumes().
    std::uint32_t slots() const;
    std::uint32_t volume_of(SlotId slot) const;
    NodeId node_of(std::uint32_t volume) const;
    // Null: another node's, or closed. Only while a hold of it is there: close() waits for those.
    ObjectLog* log(std::uint32_t volume, KeptIn where) const;
    // Of one that is mounted here: the room of its log of data. With a hold.
    Result<DiskSpace> space(std::uint32_t volume) const;
    Result<std::shared_ptr<const void>> hold() const;   // cancelled when they were closed
    // Of a log of this node: by its limit, or by what the disk has now. Compaction keeps a part for
    // itself. With a hold.
    Result<LogRoom> room(std::uint32_t volume, KeptIn where) const;
    static SetId number_of(std::string_view name);      // of a set in the logs: its name's, ever

    // Not collective; waits for what is being read and written. Sets that are kept here must not
    // be used any more, by any node: what this one homes is out of reach.
    Result<void> close();

    struct State;

private:
    explicit Volumes(std::shared_ptr<State> state);
    Result<void> end(bool cleanly);
    std::shared_ptr<State> state_;
};

}  // namespace ssi::io
