// SPDX-License-Identifier: BSD-3-Clause
// Saving: one version, from the cut to the commit, at one node, by one task.
//
//   save     the member: spans, channels, then what the cut hands out; durable. Of level 2: it goes
//            to the partner's store meanwhile, and others come to this one. Of level 3: its units
//            go to those of the group that keep parity of them; it keeps parity of others'
//   vote     every node tells how that went; the first one decides
//   commit   the manifest, in every store; or the member is removed
//   prune    what is older than what is kept
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "changes.hpp"
#include "copies.hpp"
#include "files.hpp"
#include "frozen.hpp"
#include "parity_take.hpp"
#include "places.hpp"
#include "protection.hpp"
#include "ssi/ckpt/checkpoint.hpp"
#include "ssi/kddm/cut.hpp"
#include "votes.hpp"

namespace ssi {

// Shared by the application and the task that saves.
struct CheckpointTicket::State {
    explicit State(const Clock& c) : clock(c), begun(c.now()) {}

    const Clock& clock;                  // of the session, until `done`
    const Nanoseconds begun;
    ckpt::VersionNumber version = 0;
    std::atomic<Nanoseconds> stopped{0};
    std::atomic<std::uint64_t> saved_bytes{0};

    sys::Mutex mutex;
    sys::Condition ended;                // of all below
    bool saved = false;                  // it is valid in the nodes' stores, since `saved_at`
    Nanoseconds saved_at = 0;
    bool done = false;
    Result<void> outcome;
    Nanoseconds end = 0;

    void was_saved();
    void finish(Result<void> result);
};

namespace ckpt {

// A part of memory as of the cut.
struct SavedMemory {
    Part part;
    std::span<const std::byte> bytes;
};

struct SavingDoors {
    node::Node& node;
    kddm::Cut& cut;
    const Protection& protection;
    Places& places;
    Votes& votes;
    Changes* changes;                    // null: everything is saved, and nothing remembered
    Copies& copies;
    Bytes& scratch;                      // for one object; as large as the largest needs
};

class Saving {
public:
    // `version`: the manifest but for members and counts. `writer`: of this node's member.
    Saving(SavingDoors doors, Manifest version, std::unique_ptr<MemberWriter> writer,
           PruneOptions keep, std::shared_ptr<CheckpointTicket::State> ticket)
        : doors_(doors), version_(std::move(version)), writer_(std::move(writer)),
          keep_(std::move(keep)), ticket_(std::move(ticket)) {}

    // By rank, whose store gets a copy of its member; none: no copies.
    void set_partners(std::vector<int> partners) { partners_ = std::move(partners); }
    // Whose members share a parity with this one's; none: no parity.
    void set_group(ParityGroup group) { group_ = std::move(group); }
    // Stays valid until run() has returned.
    void add(SavedMemory memory) { memory_.push_back(memory); }
    // Of this rank; a failure is one of the version.
    void add_file(SetId item, Result<KeptFile> kept) {
        files_.push_back({item, std::move(kept)});
    }
    void freeze(const Protected& state) { frozen_.freeze(state); }
    void forget_memory() {
        memory_.clear();
        files_.clear();
        frozen_.thaw();
    }
    // After the cut was opened. The same outcome on every node, but for peer_lost.
    Result<void> run();
    // Of what is older than what is kept, once it has succeeded.
    void prune();
    CheckpointLevel level() const { return static_cast<CheckpointLevel>(version_.level); }

private:
    struct SavedFile {
        SetId item;
        Result<KeptFile> kept;
    };
    struct Count {
        std::uint64_t objects = 0;
        std::uint64_t bytes = 0;
    };
    Result<MemberInfo> save();
    Result<MemberInfo> save_and_copy();
    Result<MemberInfo> save_with_parity();
    Result<void> receive(int from);
    template <class T>
    Result<T> explained(Result<T> result) const;
    CopyOf copy_of(int rank) const;
    Result<void> put(const Part& part, std::span<const std::byte> bytes);
    Result<void> put(const Changed& changed, std::span<const std::byte> bytes);
    void counted(const Part& part);
    Result<void> save_memory(const SavedMemory& memory);
    Result<void> save_all();
    Result<void> save_files();
    Result<void> sync_files();
    Result<void> save_states();
    Result<void> save_objects();
    Bytes ballot(const Result<MemberInfo>& saved) const;
    Bytes decide(const std::vector<Bytes>& ballots);
    Result<Manifest> count(const std::vector<Bytes>& ballots) const;
    Result<void> conclude(std::span<const std::byte> decision);
    Result<void> commit(const Manifest& manifest);
    void drop_copies();
    void drop_parity();

    SavingDoors doors_;
    Manifest version_;
    std::unique_ptr<MemberWriter> writer_;
    const PruneOptions keep_;
    std::shared_ptr<CheckpointTicket::State> ticket_;
    std::vector<SavedMemory> memory_;
    std::vector<SavedFile> files_;
    Frozen frozen_;
    std::map<SetId, Count> counts_;      // by item
    std::vector<int> partners_;
    ParityGroup group_;
};

}  // namespace ckpt
}  // namespace ssi
