// SPDX-License-Identifier: BSD-3-Clause
// What a Store is inside, for the rest of ckpt.
#pragma once

#include <mutex>
#include <set>
#include <utility>

#include "ssi/ckpt/store.hpp"
#include "ssi/io/directory_lock.hpp"

namespace ssi::ckpt {

struct Store::State {
    explicit State(const StoreOptions& o) : options(o), disk(*o.disk) {}

    const StoreOptions options;
    io::Disk& disk;
    sys::Mutex mutex;                                        // of `writers`; held across no wait
    std::set<std::pair<VersionNumber, MemberIndex>> writers; // of members, in this process

    bool has_writer(VersionNumber version);                  // in this process
    // Whether somebody writes a member of it, in this process or another.
    Result<bool> being_written(VersionNumber version);
    Result<std::vector<VersionNumber>> versions();           // folders, ascending
    Result<std::vector<MemberIndex>> members(VersionNumber version);   // the same
    Result<Manifest> manifest(VersionNumber version);
    Result<MemberInfo> member(VersionNumber version, MemberIndex member);
    Result<VersionNumber> newest_begun();                    // of all times; 0: none
    Result<void> remember(VersionNumber version);            // that it was begun
    Result<void> retract(VersionNumber version);             // the manifest, durably
    // A member of a version that is not committed, and the folder if nothing else is in it.
    Result<void> drop_member(VersionNumber version, MemberIndex member);
    Result<void> erase(VersionNumber version);               // all of it, the manifest first
    // The versions that the members here refer to; io when that cannot be told.
    Result<std::vector<BaseVersion>> bases_of_members(VersionNumber version);
};

// Keeps a member from being begun, removed or cleaned up by others.
class MemberLock {
public:
    static Result<MemberLock> take(Store::State& store, VersionNumber version, MemberIndex member);
    MemberLock(MemberLock&& other) noexcept
        : store_(std::exchange(other.store_, nullptr)), name_(other.name_),
          directory_(std::move(other.directory_)) {}
    MemberLock& operator=(MemberLock&&) = delete;
    ~MemberLock();
    // The folder is there now: against other processes, too.
    Result<void> lock_folder();

private:
    MemberLock(Store::State& store, std::pair<VersionNumber, MemberIndex> name)
        : store_(&store), name_(name) {}
    Store::State* store_;
    std::pair<VersionNumber, MemberIndex> name_;
    io::DirectoryLock directory_;
};

io::SealedLogOptions log_of(io::Disk& disk, const MemberInfo& member);

}  // namespace ssi::ckpt
