// SPDX-License-Identifier: BSD-3-Clause
// What Volumes and the linkers of its sets share: this node's volumes with their logs, and the map.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "superblock.hpp"
#include "ssi/io/directory_lock.hpp"
#include "ssi/io/object_log.hpp"
#include "ssi/io/volumes.hpp"
#include "ssi/kddm/linker.hpp"

namespace ssi::io {

// The set whose objects describe the sets that are kept: its ids are their numbers.
inline constexpr SetId catalogue{0};
// By which sets are placed here.
inline constexpr const char* volume_placement = "volumes";

struct LocalVolume {
    std::string directory;
    DirectoryLock lock;
    std::unique_ptr<Disk> disk;
    std::optional<Superblock> superblock;   // none: blank
    std::unique_ptr<ObjectLog> log;         // ends before its disk
};

struct Volumes::State {
    node::Node* node = nullptr;
    kddm::Engine* engine = nullptr;
    VolumesOptions options;
    std::vector<std::unique_ptr<LocalVolume>> mine;
    Superblock map;                          // the newest; its index means nothing
    std::vector<VolumeInfo> volumes;         // in the order of the map
    std::vector<ObjectLog*> logs;            // by index in the map; null: another node's

    // The log of the object's volume; internal when that is another node's.
    Result<ObjectLog*> log_of(ObjectId id) const;
    Result<void> sync();
};

// A set's number on volumes: the same wherever and whenever it is kept under that name. Never 0.
SetId kept_number(std::string_view name);
std::shared_ptr<kddm::Linker> make_log_linker(std::shared_ptr<Volumes::State> state, SetId number);
// mount.cpp
Result<void> mount_volumes(Volumes::State& state);

}  // namespace ssi::io
