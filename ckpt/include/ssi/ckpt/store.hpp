// SPDX-License-Identifier: BSD-3-Clause
// A store: a directory, behind a Disk, with the versions of one session's checkpoints, or with the
// members of them that this place keeps. Version N is the folder vN. Versions only grow: a number
// is not given out again after its version was removed.
// Thread-safe. Every verb may wait for the disk; no lock is held meanwhile. Whatever fails, other
// versions stay as they are.
#pragma once

#include <map>

#include "ssi/ckpt/dataset.hpp"
#include "ssi/io/disk.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::ckpt {

struct StoreOptions {
    io::Disk* disk = nullptr;            // must outlive the store
    // The disk's name is a directory of the operating system: members being written are locked
    // against other processes, too (io/directory_lock.hpp).
    bool lock = false;
    sys::Tasks* tasks = nullptr;         // for throttled members; null: threads
    const Clock* clock = nullptr;        // the same; null: the machine's
};

struct MemberOptions {
    DatasetId dataset;                   // the same for all members of a version
    VersionNumber version = 0;
    MemberIndex member = 0;
    std::uint32_t rank = 0;
    std::string host;
    std::string device;
    std::uint32_t group = 0;             // as in MemberInfo
    std::uint64_t bytes_per_second = 0;  // at most, to leave the disk to others; 0: no limit
    io::SealedLogBuffers* buffers = nullptr;   // used again by one writer after another
};

enum class VersionState : std::uint8_t {
    complete,      // a valid manifest, and all members that it names
    incomplete,    // no manifest, or a member is not there
    damaged,       // a manifest or member is not what was written, or of a newer format
};

struct VersionInfo {
    VersionNumber version = 0;
    VersionState state = VersionState::incomplete;
    bool writing = false;                // somebody writes a member of it now
    std::string why;                     // unless complete: what is missing or wrong, and where
    std::optional<Manifest> manifest;    // when one is valid
    std::vector<MemberIndex> present;    // members of it that are here
    std::vector<MemberIndex> parity;     // those whose parity of their groups is here
};

// What the stores have together, ascending by version. A manifest in one of them counts for all.
// Looks at manifests and names, not at data: that is verify().
Result<std::vector<VersionInfo>> list_versions(std::span<Store* const> stores);

struct Verified {
    std::uint64_t bytes = 0;             // read
    std::uint64_t records = 0;
    std::vector<std::string> faults;     // each with its file; none: all is as it was written
};
using VerifyProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t all_bytes)>;
// Reads every byte of a version, and of the older ones that it refers to.
Result<Verified> verify_version(std::span<Store* const> stores, VersionNumber version,
                                const VerifyProgress& progress = {});

struct PruneOptions {
    std::size_t keep = 1;                // the newest complete versions of levels not named below
    std::map<std::uint32_t, std::size_t> of_level = {};   // of these, so many of each
    // Members that are in none of the stores count as being in others, so that a valid manifest
    // makes a version complete: for a node that prunes its own store.
    bool elsewhere = false;
    bool dry_run = false;                // only tells what would be removed
};
struct Pruned {
    std::vector<VersionNumber> removed;
    std::vector<VersionNumber> needed;   // older than those to keep, but these refer to them
};
// From all stores: all complete versions but the newest ones to keep, what these refer to, and what
// somebody still writes. Damaged ones stay. Until its manifest is gone from all of them a version
// stays as it is. io: what a version that stays refers to cannot be told; then nothing is removed.
Result<Pruned> prune_versions(std::span<Store* const> stores, const PruneOptions& options);
// The same for one version, whatever its state. not_found; exists: a later version refers to it, or
// might; would_block: it is being written, or a later one that may refer to it.
Result<void> remove_version(std::span<Store* const> stores, VersionNumber version);

class Store {
public:
    // not_found or io when the directory cannot be read.
    static Result<std::unique_ptr<Store>> open(const StoreOptions& options);
    ~Store();
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    Result<std::vector<VersionInfo>> list();
    Result<std::optional<VersionNumber>> newest();       // complete
    Result<VersionNumber> next_version();                // not used yet, nor ever
    // exists: the member, the version, or a later one is there, or another dataset is written by
    // this number; would_block: somebody writes it now.
    Result<std::unique_ptr<MemberWriter>> begin(const MemberOptions& options);
    // The manifest, atomically and durably; the members it names that lie here must be finished.
    // mismatch: one is not what the manifest says; exists; not_found: a version it refers to is no
    // more here.
    Result<void> commit(const Manifest& manifest);
    // not_found, io (damaged), unsupported.
    Result<Manifest> manifest(VersionNumber version);
    Result<MemberInfo> member(VersionNumber version, MemberIndex member);
    // Of the parity that is kept with it here; the same failures.
    Result<std::uint64_t> parity_bytes(VersionNumber version, MemberIndex member);
    Result<Verified> verify(VersionNumber version, const VerifyProgress& progress = {});

    // As remove_version and prune_versions, for this store alone.
    Result<void> remove(VersionNumber version);
    Result<Pruned> prune(std::size_t keep);
    // What was begun and never committed, unless somebody still writes it. `committed`: versions
    // whose manifest is in another store: their members here stay.
    Result<std::vector<VersionNumber>> clean(std::span<const VersionNumber> committed = {});
    const std::string& name() const;

    struct State;                        // for the rest of ckpt
    State& state() { return *state_; }

private:
    explicit Store(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace ssi::ckpt
