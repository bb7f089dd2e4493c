// SPDX-License-Identifier: BSD-3-Clause
#include "page_wire.hpp"

#include <bit>
#include <cstring>

#include "pages_state.hpp"

namespace ssi::fs {
namespace {

static_assert(std::endian::native == std::endian::little, "the numbers go as they are");

void append(std::vector<std::byte>& to, const void* from, std::size_t length) {
    const std::size_t at = to.size();
    to.resize(at + length);
    if (length) std::memcpy(to.data() + at, from, length);
}
void append(std::vector<std::byte>& to, std::uint64_t number) { append(to, &number, 8); }
void append(std::vector<std::byte>& to, std::span<const PageRange> ranges) {
    append(to, ranges.size());
    append(to, ranges.data(), ranges.size_bytes());
}

struct Numbers {
    std::span<const std::byte> bytes;
    bool ok = true;

    std::uint64_t next() {
        std::uint64_t number = 0;
        ok = ok && bytes.size() >= 8;
        if (!ok) return 0;
        std::memcpy(&number, bytes.data(), 8);
        bytes = bytes.subspan(8);
        return number;
    }
    // Ascending, with pages in each.
    std::vector<PageRange> ranges() {
        const std::uint64_t count = next();
        ok = ok && count <= bytes.size() / sizeof(PageRange);
        if (!ok) return {};
        std::vector<PageRange> out(count);
        if (count != 0) std::memcpy(out.data(), bytes.data(), count * sizeof(PageRange));
        bytes = bytes.subspan(count * sizeof(PageRange));
        std::uint64_t last = 0;
        for (const PageRange& range : out) {
            ok = ok && range.first >= last && range.first < range.last &&
                 range.last <= most_page_index;
            last = range.last;
        }
        return out;
    }
};

}  // namespace

std::vector<std::byte> encode(FileKey file, std::span<const PageRange> ranges) {
    std::vector<std::byte> out;
    out.reserve(24 + ranges.size_bytes());
    append(out, file.inode.value);
    append(out, file.layout.packed());
    append(out, ranges);
    return out;
}

Result<PageRequest> decode_request(std::span<const std::byte> bytes) {
    Numbers in{bytes};
    PageRequest out;
    out.file.inode = InodeId(in.next());
    const std::uint64_t layout = in.next();
    out.file.layout = Layout::unpack(static_cast<std::uint32_t>(layout));
    out.ranges = in.ranges();
    if (!in.ok || !in.bytes.empty() || layout != out.file.layout.packed())
        return fail(Errc::bad_message, "a request for pages that is malformed");
    return out;
}

std::vector<std::byte> encode(const PageMap& map) {
    std::vector<std::byte> out;
    append(out, map.next);
    append(out, map.present);
    append(out, map.in_memory);
    return out;
}

Result<PageMap> decode_map(std::span<const std::byte> bytes) {
    Numbers in{bytes};
    PageMap out;
    out.next = in.next();
    out.present = in.ranges();
    out.in_memory = in.ranges();
    if (!in.ok || !in.bytes.empty())
        return fail(Errc::bad_message, "an answer about pages that is malformed");
    return out;
}

}  // namespace ssi::fs
