// SPDX-License-Identifier: BSD-3-Clause
// What a Dataset is inside: its members' logs, their indexes once somebody needs them, and the
// older versions that references lead to.
#pragma once

#include <deque>
#include <map>
#include <mutex>

#include "dataset_record.hpp"
#include "ssi/ckpt/store.hpp"

namespace ssi::ckpt {

struct Placed;

// A record of a member, by the object and its place in it.
struct IndexEntry {
    SetId item;
    ObjectId id;
    std::uint64_t offset = 0;
    std::uint64_t version = 0;
    std::uint32_t length = 0;
    io::RecordKind kind = io::RecordKind::raw;
    bool piece = false;
    io::LogPlace place;
};
using Index = std::vector<IndexEntry>;   // ascending

// A record's payload, taken apart.
struct TakenApart {
    Part part;
    std::span<const std::byte> bytes;
    Base base;                           // of a reference
};

struct Dataset::Impl {
    explicit Impl(std::vector<Store*> s) : stores(std::move(s)) {}

    std::vector<Store*> stores;
    Manifest manifest;
    std::optional<Failure> damaged;      // why members are not here, if it is that
    struct Member {
        std::string name;                // for messages
        std::unique_ptr<io::SealedLogReader> reader;   // null: it is not here
        std::shared_ptr<const Index> index;   // under the mutex; null until needed
    };
    std::deque<Member> members;
    sys::Mutex mutex;                    // held across no wait
    std::map<VersionNumber, std::shared_ptr<Dataset>> bases;

    Result<void> open(VersionNumber version, const Expected& expected);
    void read_from(const Placed& placed);
    Result<Member*> member(MemberIndex index);
    Result<std::shared_ptr<const Index>> index_of(MemberIndex member);
    Result<std::shared_ptr<Dataset>> base(VersionNumber version);
    Result<std::unique_ptr<Dataset>> open_base(VersionNumber version);
    // The entries that have bytes [offset, offset + length) of the object, without a gap.
    static std::span<const IndexEntry> find(const Index& index, const Part& part,
                                            std::uint64_t length);
    Result<TakenApart> take_apart(const Member& member, const io::FoundRecord& record,
                                  std::span<const std::byte> payload) const;
    // A range of an object as this version has it, in the words of whoever asks. `depth`: how many
    // versions have been followed.
    Result<void> read_range(MemberIndex member, const Part& part, std::uint64_t length,
                            unsigned depth, const Visit& visit);
    Result<void> follow(const Base& base, const Part& part, std::uint64_t length, unsigned depth,
                        const Visit& visit);
    Result<void> has_range(MemberIndex member, const Part& part, std::uint64_t length);
    // Every record; `reference` for those that are references.
    using Reference = std::function<Result<void>(const TakenApart& taken, std::uint64_t length)>;
    Result<void> stream(MemberIndex member, const Visit& visit, const Reference& reference);
};

}  // namespace ssi::ckpt
