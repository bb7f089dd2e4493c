// SPDX-License-Identifier: BSD-3-Clause
// Inode: the object with the attributes of a file, directory or symbolic link; behind them its
// extended attributes, then the bytes of a small file or the target of a link. An empty object: no
// such inode. docs/formats/kdfs.md has the layout.
#pragma once

#include <sys/stat.h>

#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "fs_ids.hpp"
#include "ssi/io/file_system.hpp"

namespace ssi::fs {

inline constexpr std::uint32_t most_inline_file = 3952;   // bytes of a file that are kept here
inline constexpr std::uint32_t most_xattr_bytes = 64u << 10;

struct InodeHead {
    std::uint32_t format = 1;
    std::uint32_t mode = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint64_t size = 0;            // bytes; changed by atomics, too
    std::uint64_t links = 0;
    std::int64_t access_ns = 0;
    std::int64_t modify_ns = 0;        // changed by atomics, too; of a directory: its buckets say
    std::int64_t change_ns = 0;
    std::uint64_t cuts = 0;            // how often bytes were cut off
    std::uint64_t parent = 0;          // of a directory
    std::uint32_t layout = 0;          // packed; of a file
    std::uint16_t flags = 0;
    std::uint8_t unit_shift = 0;       // of a directory, for files in it: of bytes; 0: inherited
    std::uint8_t count = 0;            // 0: inherited
    std::uint32_t xattr_bytes = 0;
    std::uint32_t inline_bytes = 0;
    std::uint8_t placement = 0;
    std::uint8_t unused[3] = {};
    std::uint32_t writer = 0;          // 1 + the only node that wrote pages; or many_writers

    static constexpr std::uint32_t many_writers = 0xffffffff;

    static constexpr std::uint16_t in_pages = 1;   // its bytes are pages; else all are here
    bool paged() const { return flags & in_pages; }
    bool is_directory() const { return S_ISDIR(mode); }
    std::size_t inline_offset() const { return sizeof(InodeHead) + xattr_bytes; }
};
static_assert(sizeof(InodeHead) == 96);

inline std::optional<InodeHead> inode_head(std::span<const std::byte> bytes) {
    if (bytes.size() < sizeof(InodeHead)) return std::nullopt;
    InodeHead head;
    std::memcpy(&head, bytes.data(), sizeof head);
    return head;
}
inline std::span<const std::byte> inline_of(std::span<const std::byte> bytes,
                                            const InodeHead& head) {
    if (head.inline_offset() + head.inline_bytes > bytes.size()) return {};
    return bytes.subspan(head.inline_offset(), head.inline_bytes);
}
inline std::vector<std::byte> make_inode_value(const InodeHead& head,
                                               std::span<const std::byte> rest = {}) {
    std::vector<std::byte> value(sizeof head + rest.size());
    std::memcpy(value.data(), &head, sizeof head);
    if (!rest.empty()) std::memcpy(value.data() + sizeof head, rest.data(), rest.size());
    return value;
}

Attributes attributes_of(InodeId inode, const InodeHead& head);
// Later of the two: what stat shows as change time, as writes raise the modification time alone.
inline std::int64_t change_time(const InodeHead& head) {
    return head.change_ns > head.modify_ns ? head.change_ns : head.modify_ns;
}

// Extended attributes: {u16 name bytes, u32 value bytes, name, value} each.
struct XattrView {
    std::string_view name;
    std::span<const std::byte> value;
};
std::vector<XattrView> xattrs_of(std::span<const std::byte> bytes);
std::vector<std::byte> pack_xattrs(const std::vector<XattrView>& xattrs);

// Permissions, as POSIX has them: R_OK, W_OK, X_OK.
bool may(const InodeHead& head, const Credentials& who, int wanted);
bool in_group(const Credentials& who, std::uint32_t gid);

}  // namespace ssi::fs
