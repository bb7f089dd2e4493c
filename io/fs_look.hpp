// SPDX-License-Identifier: BSD-3-Clause
// Look: whether the tree holds together, asked by one node while all others go on using it. It
// reads what there is as any user would, and changes nothing. What is told:
// - A name without an inode, a bucket that nothing leads to: looked at in the order in which
//   operations make and end these, so that nobody's operation looks like it.
// - An inode with more or fewer names than it counts, pages without an inode: seen twice, the same
//   each time, and in between the inode has not changed. A listing gives every name that is there
//   all the while once, and names of an inode come and go with a change of it; only an unlink and a
//   mkdir over two volumes are seen half done, for as long as one message takes.
// What is another thing each time it is looked at is counted as unsettled.
//
// LookedAt: the nodes' share. Each writes down what its logs have as a look begins, and counts the
// names that the looking node sees of its inodes. Leaf calls.
#pragma once

#include <map>
#include <unordered_map>

#include "fs_core.hpp"

namespace ssi::fs {

enum class LookStep : std::uint8_t { begin, inodes, buckets, paged, count, names, garbage, end };

// Of an inode, what was seen of its names.
struct SeenNames {
    InodeId inode;
    std::uint64_t directory = 0;     // of the last one
    std::uint32_t names = 0;
    std::uint8_t type = 0;           // as they say: S_IFMT >> 12
    std::uint8_t other_type = 0;     // 1: they do not agree
    std::uint8_t unused[2] = {};
};
struct SeenName {
    InodeId inode;
    std::uint64_t directory = 0;
    std::uint8_t type = 0;
    std::uint8_t unused[7] = {};
};

class LookedAt {
public:
    static constexpr std::size_t most_at_once = 1024;   // objects in an answer
    explicit LookedAt(Core& core) : core_(core) {}
    // {step, number of the look, what the step takes}; thread-safe.
    Result<std::vector<std::byte>> serve(NodeId from, std::span<const std::byte> arguments);

private:
    struct Tables {
        std::vector<SeenNames> inodes;          // ascending
        std::vector<ObjectId> buckets;
        std::vector<InodeId> paged;
    };
    Tables tables_now() const;
    std::vector<std::byte> count(Tables& tables, Reader& reader) const;
    std::vector<std::byte> garbage(Reader& reader) const;

    Core& core_;
    sys::Mutex mutex_;
    std::map<std::pair<NodeId, std::uint64_t>, Tables> looks_;
};

class Look {
public:
    Look(Core& core, const std::atomic<bool>& stop);
    Result<CheckReport> run();

private:
    struct Head {
        std::uint64_t version = 0;
        std::optional<InodeHead> head;          // none: there is no such inode
        bool unreadable = false;
    };
    using Bytes = std::vector<std::byte>;

    Result<void> look_once();
    Result<void> walk(NodeId node);
    Result<void> walk_directory(InodeId directory);
    Result<void> tell_homes();
    Result<void> missing(const SeenName& seen, const std::string& name);
    Result<void> compare_names(NodeId node);
    void compare(const SeenNames& names, const Head& found);
    Result<void> look_at_buckets(NodeId node);
    Result<void> look_at_pages(NodeId node);
    Result<Bytes> ask(NodeId node, LookStep step, std::span<const std::byte> more = {});
    // One part after another of what the node wrote down, until it has no more.
    template <class T, class F>
    Result<void> each_part(NodeId node, LookStep step, F&& f);
    Result<std::vector<Head>> heads(std::span<const InodeId> inodes);
    Result<std::vector<std::optional<Bytes>>> buckets(std::span<const ObjectId> ids);
    Result<bool> has_bucket(ObjectId id);
    Result<void> unreadable(const Failure& failure, std::string what);
    void found(std::string text, std::uint64_t version = 0);

    Core& core_;
    const std::atomic<bool>& stop_;
    const std::uint64_t number_;
    std::map<std::string, std::uint64_t> found_;   // in this look: text, version of the inode
    std::uint64_t beyond_ = 0;                     // that found_ has no room for
    bool blind_ = false;                           // some names could not be read
    CheckReport report_;
    std::map<NodeId, std::vector<std::pair<SeenName, std::string>>> untold_;
    std::size_t untold_count_ = 0;
};

}  // namespace ssi::fs
