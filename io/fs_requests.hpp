// SPDX-License-Identifier: BSD-3-Clause
// What operations on names are asked for and answer, between the parts of Core and from node to
// node.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "fs_bucket.hpp"
#include "fs_ids.hpp"
#include "fs_inode.hpp"
#include "ssi/base/small_vector.hpp"
#include "ssi/io/file_system.hpp"

namespace ssi::fs {

inline constexpr std::uint32_t no_volume = 0xffffffff;

// Which volumes have to be committed for something to be durable.
class VolumeList {
public:
    VolumeList() = default;
    VolumeList(std::uint32_t only) { add(only); }
    void add(std::uint32_t volume) {
        for (const std::uint32_t v : volumes_)
            if (v == volume) return;
        volumes_.push_back(volume);
    }
    std::span<const std::uint32_t> all() const { return volumes_; }

private:
    SmallVector<std::uint32_t, 6> volumes_;
};

// What a name leads to.
struct Place {
    InodeId inode;
    std::uint8_t type = 0;       // S_IFMT >> 12
    bool is_directory() const { return type == S_IFDIR >> 12; }
    bool is_symlink() const { return type == S_IFLNK >> 12; }
};
enum class LastName : std::uint8_t { plain, dot, dot_dot, root };
// Where a name is, or would be.
struct Parent {
    InodeId directory;
    std::string name;            // plain alone
    LastName last = LastName::plain;
    bool slash = false;          // one follows
    VolumeList volumes;          // that lead there
};

// What an operation at the home of a bucket asks for. `key` is a guess.
struct NameRequest {
    InodeId directory;
    BucketKey key;
    std::uint64_t hash = 0;
    std::string_view name;
    const Credentials* who = nullptr;
    NodeId by = no_node;         // who asks
    bool opens = false;          // the file, if it is made: counted before others see it
};
struct NewInode {
    InodeHead head;                          // complete but for times
    std::span<const std::byte> content;      // of a symbolic link
};
// What is left to do for an inode that is gone.
struct Gone {
    bool gone = false;
    bool paged = false;
    std::uint32_t layout = 0;
    std::uint64_t size = 0;
};
struct NameReply {
    bool absent = false;                     // no such bucket: try its elder
    bool moved = false;                      // not this bucket: try `key`
    BucketKey key;                           // else: where it was done
    std::uint16_t depth = 0;
    BucketPlaces places{};                   // that the bucket knows of
    bool split = false;                      // the bucket should be
    bool made = false;                       // the inode is new
    Place place;
    bool elsewhere = false;                  // its link is still to be taken away, at its home
    Gone gone;
};

}  // namespace ssi::fs
