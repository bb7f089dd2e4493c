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
#include "ssi/sys/task.hpp"

namespace ssi::io {

// The set whose objects describe the sets that are kept: its ids are their numbers.
inline constexpr SetId catalogue{0};
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

    // By which sets are placed here.
    std::string placement() const { return "volumes/" + map.whole.text(); }
    // The log of the object's volume; internal when that is another node's. In a Use.
    Result<ObjectLog*> log_of(ObjectId id) const;
    Result<void> sync();                     // in a Use

    // Linkers come when they like, on threads of theirs: close waits for those that are inside, and
    // whoever comes later is refused (cancelled).
    class Use {
    public:
        explicit Use(State& state);
        ~Use();
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;
        Result<void> allowed() const;

    private:
        State& state_;
        bool inside_ = false;
    };
    void shut();

private:
    sys::Mutex mutex_;
    sys::Condition left_;
    std::size_t users_ = 0;
    bool closed_ = false;
};

// A set's number on volumes: the same wherever and whenever it is kept under that name. Never 0.
SetId kept_number(std::string_view name);
std::shared_ptr<kddm::Linker> make_log_linker(std::shared_ptr<Volumes::State> state, SetId number);
// mount.cpp
Result<void> mount_volumes(Volumes::State& state);

}  // namespace ssi::io
