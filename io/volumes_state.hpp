// SPDX-License-Identifier: BSD-3-Clause
// What Volumes and the linkers of its sets share: this node's volumes with their logs, and the map.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
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
    // Keeps the logs open while it is there: write-backs go on when nobody knows of them.
    class Use {
    public:
        explicit Use(State& state) : state_(&state) {}
        Use(Use&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
        Use& operator=(Use&&) = delete;
        ~Use();

    private:
        State* state_;
    };
    Result<Use> use();             // cancelled when the volumes were closed
    void end_uses();               // nobody begins one any more, nobody is in one
    // With a use. The log of the object's volume; internal when that is another node's.
    Result<ObjectLog*> log_of(ObjectId id) const;
    Result<void> sync();           // takes a use of its own

    sys::Mutex mutex;              // of the two below
    sys::Condition unused;
    std::uint64_t uses = 0;
    bool closed = false;
};

// A set's number on volumes: the same wherever and whenever it is kept under that name. Never 0.
SetId kept_number(std::string_view name);
std::shared_ptr<kddm::Linker> make_log_linker(std::shared_ptr<Volumes::State> state, SetId number);
// mount.cpp
// Collective: the same failure everywhere, that of the first node that has one.
Result<void> agree(node::Node& node, const Result<void>& mine);
Result<void> mount_volumes(Volumes::State& state);

}  // namespace ssi::io
