// SPDX-License-Identifier: BSD-3-Clause
// Check: whether the tree holds together: each node looks at what its logs have and asks the homes
// of what that refers to. Collective; nobody uses the file system meanwhile. Repairs come as
// rounds: what one brings to light, the next one mends.
#pragma once

#include <map>
#include <unordered_map>

#include "fs_core.hpp"

namespace ssi::fs {

class Check {
public:
    Check(Core& core, bool repair, bool recovering);
    Result<CheckReport> run();
    // Of another node: answers to its questions. A leaf call.
    Result<std::vector<std::byte>> answer(std::span<const std::byte> arguments);

private:
    enum class Ask : std::uint8_t { directory, bucket, reference, pages };
    enum class Answer : std::uint8_t { fine, absent, other_type, second, no_pages };
    struct Question {
        Ask ask{};
        std::uint8_t type = 0;
        std::uint16_t bit = 0;       // the bucket has split off by it
        BucketKey split_off{};       // what that is
        InodeId inode;               // a directory's, for buckets
        BucketKey key{};             // of a bucket
        InodeId directory{};         // of a reference
    };
    struct BucketState {
        InodeId directory;
        BucketKey key;
        std::uint32_t volume = 0;
        std::uint16_t depth = 0;
        BucketPlaces places{};
        bool broken = false;
    };
    struct EntryState {
        std::size_t bucket;          // in buckets_
        InodeId inode;
        std::uint64_t hash = 0;
        std::uint8_t type = 0;
        std::string name;
    };
    struct InodeState {
        InodeHead head;
        std::uint64_t references = 0;
        std::uint64_t directory = 0; // the last that refers to it
        bool unreadable = false;     // nothing is concluded from it
    };

    Result<void> load();
    Result<void> load_bucket(std::uint32_t volume, ObjectId id);
    Result<void> load_inode(std::uint32_t volume, ObjectId id);
    Result<std::vector<Answer>> ask(const std::vector<Question>& questions);
    NodeId asked(const Question& question) const;
    Answer answer_one(const Question& question);
    Result<void> look_at_buckets();
    Result<void> look_at_entries();
    Result<void> look_at_inodes();
    Result<void> look_at_pages();
    Result<void> remove_object(SetId number, std::uint32_t volume, kddm::RawSet& set, ObjectId id);
    Result<void> erase_entry(const EntryState& entry);
    Result<void> mend_inode(InodeId inode, const InodeState& state);
    void problem(std::string text);

    Core& core_;
    const bool repair_, recovering_;
    CheckReport report_;
    std::uint64_t repaired_ = 0;     // in this round
    // Buckets that could not be read, of any node: what they name is not known, so nothing is taken
    // away for want of a name.
    std::uint64_t blind_ = 0;
    std::vector<BucketState> buckets_;
    std::vector<EntryState> entries_;
    sys::Mutex mutex_;               // of what answers look at
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> bucket_at_;
    std::unordered_map<std::uint64_t, InodeState> inodes_;
};

}  // namespace ssi::fs
