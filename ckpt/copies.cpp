// SPDX-License-Identifier: BSD-3-Clause
#include "copies.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "manifest.hpp"
#include "member_copy.hpp"
#include "store_files.hpp"
#include "ssi/kddm/cut.hpp"

namespace ssi::ckpt {
namespace {

constexpr std::size_t most_piece = std::size_t{1} << 20;
constexpr std::uint32_t pieces_under_way = 8;
constexpr std::uint64_t channel_type = UINT64_MAX;   // bytes of any length

// A piece of a file; the end of all, fine, or because something went wrong; how long a file is.
enum class What : std::uint8_t { piece, end, failed, length };

std::string name_of(int from, int to) { return fmt::format("ssi.checkpoint.copy.{}.{}", from, to); }

Bytes message_of(const FilePiece& piece) {
    Writer head;
    head.put(static_cast<std::uint8_t>(What::piece));
    head.text(piece.name);
    head.put(piece.file_bytes);
    head.put(piece.place);
    Bytes message;
    message.reserve(head.bytes().size() + piece.bytes.size());
    message.assign(head.bytes().begin(), head.bytes().end());
    message.insert(message.end(), piece.bytes.begin(), piece.bytes.end());
    return message;
}

Bytes length_of(std::string_view name, std::uint64_t bytes) {
    Writer out;
    out.put(static_cast<std::uint8_t>(What::length));
    out.text(name);
    out.put(bytes);
    return {out.bytes().begin(), out.bytes().end()};
}

Bytes end_of(const Result<void>& outcome) {
    Bytes message(1, std::byte(outcome ? What::end : What::failed));
    if (outcome) return message;
    const Bytes failure = encode_failure(outcome.error());
    message.insert(message.end(), failure.begin(), failure.end());
    return message;
}

Result<void> send_piece(kddm::sync::Object& to, const FilePiece& piece) {
    try {
        return kddm::sync::send(to, message_of(piece));
    } catch (const std::bad_alloc&) {
        return fail(Errc::out_of_memory, "no memory for a piece of a member");
    }
}

Result<void> send_file(kddm::sync::Object& to, const CopyOf& copy, Store& from,
                       const std::string& name) {
    return read_file_of_member(from, copy.version, copy.member, name, most_piece,
                               [&](const FilePiece& piece) { return send_piece(to, piece); });
}

Result<void> take_in(MemberCopy& copy, What what, std::span<const std::byte> message) {
    Reader in(message);
    const std::string name = in.text();
    const auto bytes = in.get<std::uint64_t>();
    if (what == What::length && in.ok()) return copy.end_file(name, bytes);
    const auto place = in.get<std::uint64_t>();
    if (what != What::piece || !in.ok())
        return fail(Errc::bad_message, "a piece of a member that is malformed");
    return copy.write({name, bytes, place, in.rest()});
}

}  // namespace

void Copies::know(int from, int to) { kddm::Cut::leave_out(hub_, name_of(from, to)); }

Result<kddm::sync::Object*> Copies::channel(int from, int to) {
    return hub_.channel(name_of(from, to), pieces_under_way, channel_type);
}

Result<void> Copies::send_files(kddm::sync::Object& to, const CopyOf& copy, Store& from) {
    const auto names = files_of_member(from, copy.version, copy.member);
    if (!names) return tl::unexpected<Failure>(names.error());
    for (const std::string& name : *names) SSI_TRY(send_file(to, copy, from, name));
    return {};
}

Result<kddm::sync::Object*> MemberSender::channel() {
    if (channel_) return channel_;
    auto opened = copies_.channel(copies_.node_.rank(), to_);
    if (opened) channel_ = *opened;
    return opened;
}

Result<void> MemberSender::write(std::string_view file, std::uint64_t most, std::uint64_t place,
                                 std::span<const std::byte> bytes) {
    auto to = channel();
    if (!to) return tl::unexpected<Failure>(std::move(to).error());
    while (!bytes.empty()) {
        const auto some = bytes.first(std::min(bytes.size(), most_piece));
        SSI_TRY(send_piece(**to, {file, most, place, some}));
        bytes = bytes.subspan(some.size());
        place += some.size();
    }
    return {};
}

Result<void> MemberSender::end(std::string_view file, std::uint64_t bytes) {
    auto to = channel();
    if (!to) return tl::unexpected<Failure>(std::move(to).error());
    return kddm::sync::send(**to, length_of(file, bytes));
}

Result<void> MemberSender::finish(const CopyOf& copy, Store& from, const Result<void>& saved) {
    auto to = channel();
    if (!to) return tl::unexpected<Failure>(std::move(to).error());
    Result<void> sent = saved;
    if (sent) sent = send_file(**to, copy, from, member_name);
    auto told = kddm::sync::send(**to, end_of(sent));
    if (!sent) return sent;
    return told;
}

// Whatever goes wrong, the other one hears of an end.
Result<void> Copies::send(int to, const CopyOf& copy, Store& from, const Result<void>& ready) {
    auto opened = channel(node_.rank(), to);
    if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
    Result<void> sent = ready;
    try {
        if (sent) sent = send_files(**opened, copy, from);
    } catch (const std::bad_alloc&) {
        sent = fail(Errc::out_of_memory, "no memory for a piece of a member");
    }
    auto told = kddm::sync::send(**opened, end_of(sent));
    if (!sent) return sent;
    return told;
}

// Goes on receiving when the store refuses: the other one would wait for ever.
Result<void> Copies::receive(int from, const CopyOf& copy, Store& into) {
    auto opened = channel(from, node_.rank());
    if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
    auto writer = MemberCopy::begin(into, copy.dataset, copy.version, copy.member);
    const bool there = !writer && writer.error().code == Errc::exists;
    Result<void> kept;
    if (!writer && !there) kept = tl::unexpected<Failure>(writer.error());
    for (;;) {
        const auto messages = kddm::sync::receive(**opened, 1);
        if (!messages) return tl::unexpected<Failure>(messages.error());
        const std::span<const std::byte> message = messages->front();
        if (message.empty()) return fail(Errc::bad_message, "an empty piece of a member");
        const auto what = static_cast<What>(message[0]);
        if (what == What::failed) return tl::unexpected(decode_failure(message.subspan(1)));
        if (what == What::end) break;
        if (!kept || there) continue;
        kept = take_in(**writer, what, message.subspan(1));
    }
    if (kept && !there) kept = (*writer)->finish();
    return kept;
}

}  // namespace ssi::ckpt
