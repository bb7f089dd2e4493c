// SPDX-License-Identifier: BSD-3-Clause
// Checkpoint: saves a whole session at one moment, and puts it back on any number of ranks. Start
// here; docs/checkpointing.md is the guide.
//
//     ssi::Checkpoint checkpoint(session, {.directory = "checkpoints"});
//     checkpoint.protect(cells);                               // a set
//     std::uint64_t step = 0;
//     if (auto from = value_or_throw(checkpoint.restart())) step = from->number;
//     for (; step < steps; ++step) {
//         if (checkpoint.need())
//             value_or_throw(checkpoint.take("", checkpoint.wanted({.number = step})));
//         if (checkpoint.should_exit()) return ssi::Checkpoint::exit_again;
//         ...
//     }
//
// What is protected is saved as of one moment, the cut, whatever other threads do meanwhile: sets
// object by object, with the messages in all channels of the session. A version counts when all of
// it is durable and its manifest is there; until then, and whatever fails, the versions before
// stay as they are, and the application goes on.
//
// One object in a session at a time. Functions that are said to be collective are called by one
// task of every rank, in the same order as other collectives of the session, and by a task that
// holds no guards. They return the same failure everywhere. The object goes before the session.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "ssi/ckpt/backend.hpp"
#include "ssi/ckpt/dataset.hpp"
#include "ssi/kddm/cut.hpp"
#include "ssi/kddm/session.hpp"

namespace ssi::fs {
class File;
class FileSystem;
}  // namespace ssi::fs

namespace ssi {

struct CheckpointOptions {
    // Of the store, made when its parent exists; %n stands for the node id. Ranks may have one
    // together, or each its own. Empty: checkpoint.directory of the configuration.
    std::string directory;
    // Of the global store, for level `global`: one that all hosts see, made when its parent exists.
    // Empty: checkpoint.global_directory. The first rank's counts.
    std::string global_directory;
    // Who may restart from it. Empty: the program's name.
    std::string application;
    // How many versions are kept, in the ranks' stores and in the global one. 0: checkpoint.keep.
    std::uint32_t keep = 0;
    // What makes need() true by itself (ssi/ckpt/policies.hpp). Empty: checkpoint.policy. The first
    // rank's counts.
    std::string policy;
    // At a restart: files of kDFS that were open by the first path are opened by the second
    // instead. After those of checkpoint.substitute. The first rank's count.
    std::vector<std::pair<std::string, std::string>> file_substitutions = {};
    // SIGUSR1: need() at the next point. SIGTERM: the same, and should_exit() from then on.
    bool signals = true;
};

// Where a version is kept.
enum class CheckpointLevel : std::uint8_t {
    local = 1,     // each member in its rank's store
    partner = 2,   // and in that of a rank on another host
    parity = 3,    // and of each group of ranks on several hosts so much that any one may be lost
    global = 4,    // as local, and then all of it in the global store, copied in the background
};

struct TakeOptions {
    std::uint64_t number = 0;             // comes back from restart: such as the step. Rank 0's.
    std::span<const std::byte> bytes;     // the same, at most 16 MiB
    // Returns as soon as the cut is made: what is changed afterwards is not in it. Otherwise when
    // it is durable.
    bool asynchronous = false;
    // Only what has changed since the last one that was taken so is written; what has not is read
    // from older versions, which are kept as long. At least each checkpoint.full_every-th is whole.
    bool incremental = false;
    // `partner` needs a store for each rank and several hosts (or checkpoint.allow_same_host),
    // `parity` also that no host has more ranks than all others together, `global` the global
    // store: else unsupported. The next take does not wait until one of level global was copied.
    CheckpointLevel level = CheckpointLevel::local;
};

// A file that is not in a variable of its own. Called by the task that takes or restarts.
struct CheckpointFile {
    std::function<fs::File*()> now;               // null: none is open; before anything is stopped
    std::function<void(fs::File&& file)> again;   // it was put back
};

// One checkpoint that was taken. Cheap to copy; may outlive the Checkpoint. Thread-safe.
class CheckpointTicket {
public:
    ckpt::VersionNumber version() const;
    bool test() const;                    // whether it is durable or has failed
    // Until then; what failed, the same on every rank. Of level global it is durable when it is in
    // the global store; that it did not come there (cancelled: a newer one was taken before it was
    // its turn) leaves it valid in the ranks' stores.
    Result<void> wait() const;
    struct Progress {
        bool saved = false;               // it is durable in the ranks' stores
        std::uint64_t saved_bytes = 0;    // of this node's part so far, a lower bound
        double stopped_seconds = 0;       // acquisitions waited at this node
        double seconds = 0;               // from the call of take until now, or until its end
    };
    Progress progress() const;

    struct State;                         // for the rest of ckpt
    explicit CheckpointTicket(std::shared_ptr<State> state) : state_(std::move(state)) {}

private:
    std::shared_ptr<State> state_;
};

// An open file that was put back.
struct RestartedFile {
    std::string name;                     // as it was protected
    std::uint32_t rank = 0;               // that had it open
    std::string path;
    int flags = 0;                        // of open(2)
    std::uint64_t position = 0;
    std::uint64_t size = 0;
};

// Where a run went on from.
struct Restarted {
    ckpt::VersionNumber version = 0;
    std::uint64_t number = 0;             // as given to take
    std::vector<std::byte> bytes;
    std::string description;
    std::uint32_t saved_ranks = 0;
    Nanoseconds time = 0;                 // when it was taken, since the Unix epoch
    std::uint64_t restored_bytes = 0;     // by this node
    // Members of all versions that had lost one of two copies, or had one that was damaged, and
    // have two again; of level parity, that were lost or damaged, or whose parity was.
    std::uint64_t rebuilt_members = 0;
    // Of all ranks that saved, by name and rank; those of ranks that there are none of any more are
    // not open.
    std::vector<RestartedFile> files;
    // Newer versions that could not be used, a sentence each.
    std::vector<std::string> passed_over;
};

enum class CheckpointEvent : std::uint8_t {
    before,     // in take, before anything is stopped: prepare what is saved
    after,      // in take, when the application goes on, also after a failure
    restarted,  // in restart, when all is put back
};

class Checkpoint {
public:
    // What a program exits with that has left after a last checkpoint, to be run again.
    static constexpr int exit_again = 75;

    // Collective. Makes the store where there is none, and removes what was never committed.
    Checkpoint(Session& session, CheckpointOptions options = {});
    // Of parts of a session, for the layers above and for tests.
    Checkpoint(node::Node& node, kddm::Engine& engine, kddm::sync::Hub& hub,
               CheckpointOptions options);
    // Waits for what is being saved, and copied to the global store.
    ~Checkpoint();
    Checkpoint(const Checkpoint&) = delete;
    Checkpoint& operator=(const Checkpoint&) = delete;

    // -- what is saved: before the first take or restart, the same names on every rank. Throws
    // ssi::Error: invalid_argument, exists (a name is taken), unsupported.

    // All objects of a set that is kept in memory (unsupported: one with another linker).
    void protect(const kddm::RawSet& set);
    template <class T>
    void protect(kddm::Set<T> set) {
        protect_set(set.raw(), &typeid(T));
    }
    // Memory of this rank, saved while no rank is out of take. It comes back on the same number of
    // ranks, of the same length, into the memory protected by that name then; restart on another
    // number is refused.
    void protect_span(std::string_view name, std::span<std::byte> memory);
    template <RawValue T>
    void protect_span(std::string_view name, std::span<T> values) {
        protect_span(name, std::as_writable_bytes(values));
    }
    // This rank's piece of an array over all ranks: elements [offset, offset + piece.size()) of
    // `length`. Comes back on any number of ranks, however it is divided then. Pieces of ranks do
    // not overlap; what no rank had saved is left as it is.
    template <RawValue T>
    void protect_array(std::string_view name, std::span<T> piece, std::uint64_t offset,
                       std::uint64_t length) {
        protect_elements(name, std::as_writable_bytes(piece), offset, length, sizeof(T),
                         &typeid(T));
    }
    // The same where the type of the elements is not known: offset and length count elements.
    void protect_array_bytes(std::string_view name, std::span<std::byte> piece,
                             std::uint64_t offset, std::uint64_t length,
                             std::uint32_t element_bytes);
    // A file of kDFS that this rank has open, or has not, when a checkpoint is taken; both outlive
    // this. Saved are the path that it was opened by, flags, position and length, as of a moment
    // when no rank is out of take; what this node wrote to it is durable when the version is. After
    // restart the rank of that number has it open again, and what was appended since has been cut
    // off; bytes before that are as they are by then. With `content` they are part of the version,
    // copied while all ranks wait: for files that are not long.
    void protect_file(std::string_view name, fs::FileSystem& system, fs::File& file,
                      bool content = false);
    void protect_file(std::string_view name, fs::FileSystem& system, CheckpointFile file,
                      bool content = false);
    // What a backend saves of this node: a state that is none of the session's, such as a process
    // of its own. It comes back on the same number of ranks; restart on another is refused. It
    // outlives this.
    void protect_state(std::string_view name, CheckpointBackend& backend);
    // Callbacks run on every rank, in the order they were given, in the calling task. A failure or
    // an exception of `before` fails the take, of `restarted` the restart; of `after` it is a line
    // in the log. No other rank waits for `after`; for the others no longer than
    // checkpoint.meet_ms.
    void on(CheckpointEvent event, std::function<Result<void>()> callback);

    // -- taking

    // Collective. Waits for the one before to be durable. Failures: timed_out (not at rest within
    // checkpoint.timeout_ms; names what was in the way; or a rank has not come, or not come back
    // from a callback, within checkpoint.meet_ms: it gets the same failure when it comes), io (no
    // space among it), peer_lost, and whatever a callback gave.
    Result<CheckpointTicket> take(std::string_view description, TakeOptions options = {});
    // Collective: whether one should be taken now: a policy wants it (checkpoint.policy), such as
    // after some time, or somebody asked for it (a signal, `ssi checkpoint take`). The same on
    // every rank. Does not return between `ssi checkpoint freeze` and `thaw`.
    bool need();
    // After need(): its options, with the level, and whether it is incremental, as those policies
    // want them that have an opinion. After a need() that was false: `own`.
    TakeOptions wanted(TakeOptions own = {}) const;
    // After need(): whether SIGTERM had come to any rank by then, or `ssi checkpoint halt`, or a
    // policy wants the program to leave.
    bool should_exit() const;

    // -- putting back

    // Collective, while the protected sets are as they were created and no channel was opened.
    // The newest version that is whole; nothing when there is none at all. Every byte is verified;
    // what turns out to be damaged is taken back, and an older version put in instead. Failures:
    // mismatch (another application or machine, or other things protected, or of other types),
    // unsupported, exists (objects are in use), invalid_argument (a file that is to be substituted
    // is none of it), io (versions, but none that can be used), peer_lost.
    Result<std::optional<Restarted>> restart();
    // That one or a failure (not_found).
    Result<Restarted> restart(ckpt::VersionNumber version);
    // Collective: what restart would go on from, by the manifests alone, before anything need be
    // protected: for programs whose sets depend on what was saved.
    Result<std::optional<Restarted>> find();
    Result<Restarted> find(ckpt::VersionNumber version);

    struct Impl;

private:
    void protect_set(const kddm::RawSet& set, const std::type_info* type);
    void protect_elements(std::string_view name, std::span<std::byte> piece, std::uint64_t offset,
                          std::uint64_t length, std::uint32_t element_bytes,
                          const std::type_info* type);
    std::unique_ptr<Impl> impl_;
};

// Until the scope ends, this task's steps belong together: no cut falls between them. Such as
// receiving a message and changing an object accordingly. Nestable; do not wait in it for others.
class CheckpointCriticalSection {
public:
    explicit CheckpointCriticalSection(Session& session) : section_(session.internal_engine()) {}

private:
    kddm::CriticalSection section_;
};

}  // namespace ssi
