// SPDX-License-Identifier: BSD-3-Clause
// Reading: pages that are not here are asked for together, then each is copied out under a guard of
// its own. Who reads a file from front to back is read ahead of.
#include <algorithm>
#include <cstring>

#include "pages_state.hpp"

namespace ssi::fs {
namespace {

constexpr std::uint64_t first_window = 4;      // pages
constexpr std::uint64_t most_window = 128;     // 8 MiB
constexpr std::uint64_t most_skipped = 8;      // times what is read
// Asked for at once by one read; more would take memory that the copying needs.
constexpr std::uint64_t most_asked = 256;

}  // namespace

Result<void> Pages::Impl::ask_for(FileKey file, PageRange pages) {
    std::vector<ObjectId> ids;
    for (std::uint64_t i = pages.first; i < pages.last; ++i) {
        const ObjectId id = page_id(file.inode, file.layout, i);
        if (set.find(id) == kddm::Access::none) ids.push_back(id);
    }
    if (ids.empty()) return {};
    return set.prefetch_many(ids);
}

void Pages::Impl::read_ahead(FileKey file, std::uint64_t offset, std::size_t length,
                             Stream& stream) {
    const std::uint64_t end = offset + length;
    const std::uint64_t next = pages_of(end);
    // Who leaves out what other ranks read meanwhile still goes through all pages, or most.
    const bool sequential = offset >= stream.next_read &&
                            offset - stream.next_read <= most_skipped * (length + page_bytes);
    stream.next_read = end;
    if (!sequential || offset == 0) {
        stream.window = 0;
        stream.ahead = next;
    }
    if (!sequential) return;
    stream.ahead = std::max(stream.ahead, next);
    if (stream.ahead - next > stream.window / 2) return;
    const std::uint64_t grown = std::max(stream.window * 2, 2 * pages_of(length));
    stream.window = std::clamp(grown, first_window, most_window);
    const std::uint64_t until =
        std::min({next + stream.window, pages_of(stream.end), most_page_index});
    if (until <= stream.ahead) return;
    // A hint: what goes wrong is told to whoever reads the page.
    (void)ask_for(file, {stream.ahead, until});
    stream.ahead = until;
}

Result<void> Pages::Impl::copy_page(ObjectId id, std::size_t at, std::span<std::byte> out) {
    auto guard = set.get(id);
    if (!guard) return page_failure(std::move(guard).error());
    const std::span<const std::byte> bytes = guard->bytes();
    const std::size_t there = bytes.size() > at ? std::min(out.size(), bytes.size() - at) : 0;
    if (there != 0) std::memcpy(out.data(), bytes.data() + at, there);
    if (there < out.size()) std::memset(out.data() + there, 0, out.size() - there);
    return {};
}

Result<void> Pages::Impl::read(FileKey file, std::uint64_t offset, std::span<std::byte> out,
                               Stream* stream) {
    if (out.empty()) return {};
    const std::uint64_t last = pages_of(offset + out.size());
    std::uint64_t asked = page_of(offset);
    const bool many = last - asked > 1;
    if (stream) read_ahead(file, offset, out.size(), *stream);
    std::size_t done = 0;
    while (done < out.size()) {
        const std::uint64_t place = offset + done;
        const std::uint64_t index = page_of(place);
        if (many && index >= asked) {
            asked = std::min(last, index + most_asked);
            SSI_TRY(ask_for(file, {index, asked}));
        }
        const std::size_t at = place & (page_bytes - 1);
        const std::size_t length = std::min<std::size_t>(page_bytes - at, out.size() - done);
        SSI_TRY(copy_page(page_id(file.inode, file.layout, index), at,
                          out.subspan(done, length)));
        done += length;
    }
    return {};
}

}  // namespace ssi::fs
