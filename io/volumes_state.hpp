// SPDX-License-Identifier: BSD-3-Clause
// What Volumes and the linkers of its sets share: this node's volumes with their logs, and the map.
#pragma once

#include <array>
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
    bool clean = false;                     // it has the mark of a clean close
    std::array<std::unique_ptr<ObjectLog>, 2> logs;   // by KeptIn; end before their disk
};

inline constexpr std::array every_log{KeptIn::metadata, KeptIn::data};
constexpr std::size_t log_index(KeptIn where) { return static_cast<std::size_t>(where); }

// Where a set's objects are: which log, and which slot each.
struct KeptPlace {
    KeptIn where = KeptIn::metadata;
    kddm::PlacementFunction slot_of = nullptr;   // null: stable_slot
};

struct Volumes::State {
    node::Node* node = nullptr;
    kddm::Engine* engine = nullptr;
    VolumesOptions options;
    std::vector<std::unique_ptr<LocalVolume>> mine;
    Superblock map;                          // the newest; its index means nothing
    std::vector<VolumeInfo> volumes;         // in the order of the map
    // By index in the map, and KeptIn; null: another node's.
    std::vector<std::array<ObjectLog*, 2>> logs;
    bool is_new = false;
    bool was_clean = false;

    // By which sets are placed here that have no placement of their own.
    std::string placement() const { return "volumes/" + map.whole.text(); }
    std::vector<NodeId> homes() const;       // by slot
    // This node's logs of that kind.
    template <class F>
    Result<void> each_log(KeptIn where, F&& f) const {
        for (const auto& both : logs)
            if (ObjectLog* log = both[log_index(where)]) SSI_TRY(f(*log));
        return {};
    }
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
    Result<ObjectLog*> log_of(ObjectId id, const KeptPlace& place) const;
    Result<void> sync(KeptIn where);   // takes a use of its own
    // With a use. All logs begin to become durable; who then commits them one by one waits once.
    void start_commits(KeptIn where);

    sys::Mutex mutex;              // of the two below
    sys::Condition unused;
    std::uint64_t uses = 0;
    bool closed = false;
};

// A set's number on volumes: the same wherever and whenever it is kept under that name. Never 0.
SetId kept_number(std::string_view name);
std::shared_ptr<kddm::Linker> make_log_linker(std::shared_ptr<Volumes::State> state, SetId number,
                                              KeptPlace place);
// mount.cpp
// Collective: the same failure everywhere, that of the first node that has one.
Result<void> agree(node::Node& node, const Result<void>& mine);
Result<void> mount_volumes(Volumes::State& state);
std::uint64_t segment_bytes(const VolumesOptions& options, KeptIn where);
// The mark that a volume was closed cleanly.
Result<bool> find_mark(Disk& disk);
Result<void> set_mark(Disk& disk);
Result<void> remove_mark(Disk& disk);   // fine when there is none

}  // namespace ssi::io
