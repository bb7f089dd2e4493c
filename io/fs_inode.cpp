// SPDX-License-Identifier: BSD-3-Clause
#include "fs_inode.hpp"

#include <unistd.h>

#include <algorithm>

namespace ssi::fs {

Attributes attributes_of(InodeId inode, const InodeHead& head) {
    Attributes a;
    a.inode = inode.value;
    a.mode = head.mode;
    a.uid = head.uid;
    a.gid = head.gid;
    a.links = head.links;
    a.size = head.size;
    a.blocks = (head.size + 511) / 512;
    a.access_ns = head.access_ns;
    a.modify_ns = head.modify_ns;
    a.change_ns = change_time(head);
    if (S_ISREG(head.mode)) {
        const Layout layout = Layout::unpack(head.layout);
        a.striping.unit_bytes = std::uint64_t{page_bytes} << layout.unit_shift;
        a.striping.count = layout.count;
    } else if (S_ISDIR(head.mode)) {
        a.striping.unit_bytes = head.unit_shift ? std::uint64_t{1} << head.unit_shift : 0;
        a.striping.count = head.count;
        a.striping.placement = static_cast<Placement>(head.placement);
    }
    return a;
}

std::vector<XattrView> xattrs_of(std::span<const std::byte> bytes) {
    std::vector<XattrView> found;
    while (bytes.size() >= 6) {
        std::uint16_t name_bytes = 0;
        std::uint32_t value_bytes = 0;
        std::memcpy(&name_bytes, bytes.data(), 2);
        std::memcpy(&value_bytes, bytes.data() + 2, 4);
        bytes = bytes.subspan(6);
        if (name_bytes > bytes.size() || value_bytes > bytes.size() - name_bytes) break;
        found.push_back({{reinterpret_cast<const char*>(bytes.data()), name_bytes},
                         bytes.subspan(name_bytes, value_bytes)});
        bytes = bytes.subspan(name_bytes + value_bytes);
    }
    return found;
}

std::vector<std::byte> pack_xattrs(const std::vector<XattrView>& xattrs) {
    std::vector<std::byte> bytes;
    const auto add = [&](const void* from, std::size_t length) {
        const auto* first = static_cast<const std::byte*>(from);
        bytes.insert(bytes.end(), first, first + length);
    };
    for (const XattrView& x : xattrs) {
        const auto name_bytes = static_cast<std::uint16_t>(x.name.size());
        const auto value_bytes = static_cast<std::uint32_t>(x.value.size());
        add(&name_bytes, 2);
        add(&value_bytes, 4);
        add(x.name.data(), x.name.size());
        add(x.value.data(), x.value.size());
    }
    return bytes;
}

bool in_group(const Credentials& who, std::uint32_t gid) {
    return who.gid == gid || std::ranges::find(who.groups, gid) != who.groups.end();
}

bool may(const InodeHead& head, const Credentials& who, int wanted) {
    if (who.uid == 0)   // but nobody executes what nobody may execute
        return !(wanted & X_OK) || S_ISDIR(head.mode) || (head.mode & 0111);
    const unsigned shift = who.uid == head.uid ? 6 : in_group(who, head.gid) ? 3 : 0;
    return (head.mode >> shift & static_cast<unsigned>(wanted) & 7u) ==
           static_cast<unsigned>(wanted);
}

}  // namespace ssi::fs
