// SPDX-License-Identifier: BSD-3-Clause
// What RemoteFileSystem and RemoteService say to each other, see docs/formats/remote_fs.md: frames
// over a stream socket of one host, each a header and a body.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "fs_wire.hpp"
#include "ssi/io/file_system.hpp"

namespace ssi::fs::remote {

inline constexpr std::uint32_t version = 1;
inline constexpr std::string_view socket_name = "kdfs";   // of the node's file descriptors
inline constexpr std::string_view verb_name = "fs";
inline constexpr std::size_t most_data = 4u << 20;         // bytes of a file in one frame
inline constexpr std::size_t most_body = most_data + (64u << 10);
inline constexpr std::size_t most_entries = 4096;          // of a listing in one frame

enum class Call : std::uint32_t {
    open = 1, close, read, write, truncate, file_stat, extents,
    stat, list, set_attributes, make_directory, remove_directory, unlink, rename, link, symlink,
    read_link, list_xattrs, get_xattr, set_xattr, space, sync, drop_caches, volumes,
    check, last = check,
};

struct RequestHeader {
    std::uint32_t body_bytes = 0;
    Call call{};
};
struct ReplyHeader {
    std::uint32_t body_bytes = 0;
    std::uint32_t code = 0;        // Errc; not 0: the body is the text
    std::int32_t sys_errno = 0;
    std::uint32_t node = 0;        // at fault
};
static_assert(sizeof(RequestHeader) == 8 && sizeof(ReplyHeader) == 16);

// All of it, or false: the other end is gone.
bool send_all(int socket, std::span<const std::byte> bytes);
bool receive_all(int socket, std::span<std::byte> bytes);

void put(Writer& out, const Striping& striping);
void put(Writer& out, const Attributes& attributes);
void put(Writer& out, const AttributeChange& change);
void put(Writer& out, const DirectoryEntry& entry);
void put(Writer& out, const Extent& extent);
void put(Writer& out, const CheckReport& report);
Striping get_striping(Reader& in);
Attributes get_attributes(Reader& in);
AttributeChange get_change(Reader& in);
DirectoryEntry get_entry(Reader& in);
Extent get_extent(Reader& in);
CheckReport get_report(Reader& in);

}  // namespace ssi::fs::remote
