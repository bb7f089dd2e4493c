// SPDX-License-Identifier: BSD-3-Clause
// Writing: whoever writes a page whole takes it without asking for its bytes. A part of one is
// written in place when the page is here, or is likely to stay; else it is shipped to the page's
// home, so that pages do not bounce between nodes that write small pieces of one file in turn.
#include <algorithm>
#include <cstring>

#include "pages_state.hpp"

namespace ssi::fs {
namespace {

// Memory for a page that grows: much at once, as every move copies what is there.
std::size_t room_for(std::size_t length) {
    return std::min<std::size_t>(page_bytes, std::max<std::size_t>(2 * length, 4096));
}

// Into a page as long as it may be; what it had is kept.
template <class Grow>
Result<void> put_bytes(std::span<const std::byte> old, std::size_t at,
                       std::span<const std::byte> bytes, Grow&& grow) {
    const std::size_t had = old.size(), end = at + bytes.size();
    std::span<std::byte> page;
    auto grown = grow(std::max(had, end), end > had);
    if (!grown) return tl::unexpected<Failure>(std::move(grown).error());
    page = *grown;
    if (at > had) std::memset(page.data() + had, 0, at - had);
    std::memcpy(page.data() + at, bytes.data(), bytes.size());
    return {};
}

}  // namespace

// At the home, in the handler: `arguments` are the place in the page, then the bytes.
Result<void> write_shipped(kddm::ObjectView& page, std::span<const std::byte> arguments) {
    std::uint32_t at = 0;
    if (arguments.size() < sizeof at) return fail(Errc::bad_message, "a page write without place");
    std::memcpy(&at, arguments.data(), sizeof at);
    const auto bytes = arguments.subspan(sizeof at);
    if (at > page_bytes || bytes.size() > page_bytes - at)
        return fail(Errc::bad_message, "a write beyond the end of a page");
    return put_bytes(page.bytes(), at, bytes,
                     [&](std::size_t length, bool grows) -> Result<std::span<std::byte>> {
                         if (grows)
                             if (auto done = page.resize(length); !done)
                                 return tl::unexpected<Failure>(std::move(done).error());
                         return page.bytes();
                     });
}

Result<void> Pages::Impl::write_page(ObjectId id, std::size_t at,
                                     std::span<const std::byte> bytes, bool stays) {
    const bool whole = bytes.size() == page_bytes;
    const bool in_place = whole || stays || home_of(id) == node.id() ||
                          set.find(id) == kddm::Access::write;
    if (!in_place) {
        std::vector<std::byte> arguments(sizeof(std::uint32_t) + bytes.size());
        const auto place = static_cast<std::uint32_t>(at);
        std::memcpy(arguments.data(), &place, sizeof place);
        std::memcpy(arguments.data() + sizeof place, bytes.data(), bytes.size());
        auto done = set.apply(id, page_write_function, arguments);
        if (!done) return page_failure(std::move(done).error());
        return {};
    }
    auto guard = whole ? set.grab_new(id) : set.grab(id);
    if (!guard) return page_failure(std::move(guard).error());
    auto done = put_bytes(guard->bytes(), at, bytes,
                          [&](std::size_t length, bool grows) -> Result<std::span<std::byte>> {
                              if (grows)
                                  if (auto resized =
                                          guard->resize_for_overwrite(length, room_for(length));
                                      !resized)
                                      return tl::unexpected<Failure>(std::move(resized).error());
                              return guard->writable();
                          });
    if (!done) return page_failure(std::move(done).error());
    return {};
}

Result<void> Pages::Impl::write(FileKey file, std::uint64_t offset,
                                std::span<const std::byte> bytes, Stream* stream) {
    if (bytes.empty()) return {};
    limit_written();
    const PageRange touched{page_of(offset), pages_of(offset + bytes.size())};
    std::vector<PageRange> charged;
    SSI_TRY(charge(file, touched, charged));
    const bool sequential = stream && offset == stream->next_write;
    std::size_t done = 0;
    Result<void> result;
    while (done < bytes.size() && result) {
        const std::uint64_t place = offset + done;
        const std::size_t at = place & (page_bytes - 1);
        const std::size_t length = std::min<std::size_t>(page_bytes - at, bytes.size() - done);
        result = write_page(page_id(file.inode, file.layout, page_of(place)), at,
                            bytes.subspan(done, length), sequential);
        if (result) done += length;
    }
    if (done != 0) note_written(file, {touched.first, pages_of(offset + done)});
    if (!result && !charged.empty())
        discharge(file, [&] { return written.discharge(file, charged); });
    if (stream && result) {
        stream->next_write = offset + bytes.size();
        write_behind(file, offset, stream->next_write, sequential, *stream);
    }
    return result;
}

}  // namespace ssi::fs
