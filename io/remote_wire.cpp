// SPDX-License-Identifier: BSD-3-Clause
#include "remote_wire.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace ssi::fs::remote {
namespace {

template <class T>
void put(Writer& out, const std::optional<T>& value) {
    out.put(std::uint8_t{value.has_value()}).put(value.value_or(T{}));
}
template <class T>
std::optional<T> get_optional(Reader& in) {
    const bool there = in.get<std::uint8_t>() != 0;
    const T value = in.get<T>();
    return there ? std::optional<T>(value) : std::nullopt;
}

}  // namespace

bool send_all(int socket, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
}

bool receive_all(int socket, std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        const auto got = ::recv(socket, bytes.data(), bytes.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(got));
    }
    return true;
}

void put(Writer& out, const Striping& striping) {
    out.put(striping.unit_bytes).put(striping.count).put(striping.placement);
}
Striping get_striping(Reader& in) {
    Striping striping;
    striping.unit_bytes = in.get<std::uint64_t>();
    striping.count = in.get<std::uint32_t>();
    striping.placement = in.get<Placement>();
    return striping;
}

void put(Writer& out, const Attributes& of) {
    out.put(of.inode).put(of.mode).put(of.uid).put(of.gid).put(of.links).put(of.size);
    out.put(of.blocks).put(of.access_ns).put(of.modify_ns).put(of.change_ns);
    put(out, of.striping);
}
Attributes get_attributes(Reader& in) {
    Attributes of;
    of.inode = in.get<std::uint64_t>();
    of.mode = in.get<std::uint32_t>();
    of.uid = in.get<std::uint32_t>();
    of.gid = in.get<std::uint32_t>();
    of.links = in.get<std::uint64_t>();
    of.size = in.get<std::uint64_t>();
    of.blocks = in.get<std::uint64_t>();
    of.access_ns = in.get<std::int64_t>();
    of.modify_ns = in.get<std::int64_t>();
    of.change_ns = in.get<std::int64_t>();
    of.striping = get_striping(in);
    return of;
}

void put(Writer& out, const AttributeChange& change) {
    put(out, change.mode);
    put(out, change.uid);
    put(out, change.gid);
    put(out, change.size);
    put(out, change.access_ns);
    put(out, change.modify_ns);
    out.put(std::uint8_t{change.access_now}).put(std::uint8_t{change.modify_now});
    out.put(std::uint8_t{change.striping.has_value()});
    put(out, change.striping.value_or(Striping{}));
}
AttributeChange get_change(Reader& in) {
    AttributeChange change;
    change.mode = get_optional<std::uint32_t>(in);
    change.uid = get_optional<std::uint32_t>(in);
    change.gid = get_optional<std::uint32_t>(in);
    change.size = get_optional<std::uint64_t>(in);
    change.access_ns = get_optional<std::int64_t>(in);
    change.modify_ns = get_optional<std::int64_t>(in);
    change.access_now = in.get<std::uint8_t>() != 0;
    change.modify_now = in.get<std::uint8_t>() != 0;
    const bool striped = in.get<std::uint8_t>() != 0;
    const Striping striping = get_striping(in);
    if (striped) change.striping = striping;
    return change;
}

void put(Writer& out, const DirectoryEntry& entry) {
    out.text(entry.name).put(entry.inode).put(entry.type).put(entry.cookie);
    put(out, entry.attributes);
}
DirectoryEntry get_entry(Reader& in) {
    DirectoryEntry entry;
    entry.name = in.text();
    entry.inode = in.get<std::uint64_t>();
    entry.type = in.get<std::uint32_t>();
    entry.cookie = in.get<std::uint64_t>();
    entry.attributes = get_attributes(in);
    return entry;
}

void put(Writer& out, const Extent& extent) {
    out.put(extent.offset).put(extent.length).put(extent.volume).put(extent.node.value);
    out.put(std::uint8_t{extent.in_memory});
}
Extent get_extent(Reader& in) {
    Extent extent;
    extent.offset = in.get<std::uint64_t>();
    extent.length = in.get<std::uint64_t>();
    extent.volume = in.get<std::uint32_t>();
    extent.node = NodeId(in.get<std::uint32_t>());
    extent.in_memory = in.get<std::uint8_t>() != 0;
    return extent;
}

void put(Writer& out, const CheckReport& report) {
    out.put(report.directories).put(report.files).put(report.others).put(report.entries);
    out.put(report.problems).put(report.unsettled);
    out.put(static_cast<std::uint32_t>(report.texts.size()));
    for (const std::string& text : report.texts) out.text(text);
}
CheckReport get_report(Reader& in) {
    CheckReport report;
    report.directories = in.get<std::uint64_t>();
    report.files = in.get<std::uint64_t>();
    report.others = in.get<std::uint64_t>();
    report.entries = in.get<std::uint64_t>();
    report.problems = in.get<std::uint64_t>();
    report.unsettled = in.get<std::uint64_t>();
    for (auto left = in.get<std::uint32_t>(); left > 0 && in.ok(); --left)
        report.texts.emplace_back(in.text());
    return report;
}

}  // namespace ssi::fs::remote
