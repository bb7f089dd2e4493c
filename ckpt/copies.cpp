// SPDX-License-Identifier: BSD-3-Clause
#include "copies.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "manifest.hpp"
#include "member_copy.hpp"
#include "store_files.hpp"
#include "ssi/kddm/cut.hpp"

namespace ssi::ckpt {
namespace {

// A piece of a file; the end of all, fine, or because something went wrong; how long a file is.
enum class What : std::uint8_t { piece, end, failed, length };

constexpr const char* piece_of_member = "a piece of a member";

std::string rebuild_name(int from, int to) {
    return fmt::format("ssi.checkpoint.rebuild.{}.{}", from, to);
}

Result<void> send_length(PieceSender& to, std::string_view name, std::uint64_t bytes) {
    Writer out;
    out.put(static_cast<std::uint8_t>(What::length));
    out.text(name);
    out.put(bytes);
    return to.send(out.bytes());
}

// The next one may come to the same channel by another sender.
Result<void> send_end(PieceSender& to, const Result<void>& outcome) {
    Bytes message(1, std::byte(outcome ? What::end : What::failed));
    if (!outcome) {
        const Bytes failure = encode_failure(outcome.error());
        message.insert(message.end(), failure.begin(), failure.end());
    }
    SSI_TRY(to.send(message));
    return to.settle();
}

Result<void> send_piece(PieceSender& to, const FilePiece& piece) {
    const auto memory = to.room();
    if (!memory) return tl::unexpected<Failure>(memory.error());
    std::ranges::copy(piece.bytes, memory->begin());
    return with_memory(piece_of_member, [&] {
        Writer head;
        head.put(static_cast<std::uint8_t>(What::piece));
        head.text(piece.name);
        head.put(piece.file_bytes);
        head.put(piece.place);
        return to.send(head.bytes(), piece.bytes.size());
    });
}

Result<void> send_file(PieceSender& to, const CopyOf& copy, Store& from, const std::string& name) {
    return read_file_of_member(from, copy.version, copy.member, name, most_piece,
                               [&](const FilePiece& piece) { return send_piece(to, piece); });
}

Result<void> send_files(PieceSender& to, const CopyOf& copy, Store& from) {
    const auto names = files_of_member(from, copy.version, copy.member);
    if (!names) return tl::unexpected<Failure>(names.error());
    for (const std::string& name : *names) SSI_TRY(send_file(to, copy, from, name));
    return {};
}

Result<void> take_in(MemberCopy& copy, PieceReceiver& from, const Piece& piece) {
    Reader in(piece.head);
    const auto what = static_cast<What>(in.get<std::uint8_t>());
    const std::string name = in.text();
    const auto bytes = in.get<std::uint64_t>();
    if (what == What::length && in.ok() && in.at_end()) return copy.end_file(name, bytes);
    const auto place = in.get<std::uint64_t>();
    if (what != What::piece || !in.ok() || !in.at_end())
        return fail(Errc::bad_message, "a piece of a member that is malformed");
    if (piece.bytes == 0) return copy.write({name, bytes, place, {}});
    const auto memory = copy.room({name, bytes, place, {}}, piece.bytes);
    if (!memory) return tl::unexpected<Failure>(memory.error());
    SSI_TRY(from.read(*memory));
    copy.write_room();
    return {};
}

}  // namespace

void Copies::know(int from, int to) {
    for (const std::string& name :
         {pieces_name(from, to), taken_name(from, to), rebuild_name(from, to)})
        kddm::Cut::leave_out(doors_.hub, name);
}

Result<kddm::sync::Object*> Copies::channel(int from, int to) {
    return doors_.hub.channel(rebuild_name(from, to), pieces_under_way, UINT64_MAX);
}

Result<PieceSender*> MemberSender::sender() {
    if (!sender_) {
        auto opened = PieceSender::open(copies_.doors(), to_);
        if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
        sender_ = std::move(*opened);
    }
    return &*sender_;
}

Result<void> MemberSender::write(std::string_view file, std::uint64_t most, std::uint64_t place,
                                 std::span<const std::byte> bytes) {
    auto to = sender();
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
    auto to = sender();
    if (!to) return tl::unexpected<Failure>(std::move(to).error());
    return send_length(**to, file, bytes);
}

Result<void> MemberSender::finish(const CopyOf& copy, Store& from, const Result<void>& saved) {
    auto to = sender();
    if (!to) return tl::unexpected<Failure>(std::move(to).error());
    Result<void> sent = saved;
    if (sent) sent = send_file(**to, copy, from, member_name);
    auto told = send_end(**to, sent);
    if (!sent) return sent;
    return told;
}

// Whatever goes wrong, the other one hears of an end.
Result<void> Copies::send(int to, const CopyOf& copy, Store& from, const Result<void>& ready) {
    auto opened = PieceSender::open(doors_, to);
    if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
    Result<void> sent = ready;
    if (sent) sent = with_memory(piece_of_member, [&] { return send_files(*opened, copy, from); });
    auto told = send_end(*opened, sent);
    if (!sent) return sent;
    return told;
}

// Goes on receiving when the store refuses: the other one would wait for ever.
Result<void> Copies::receive(int from, const CopyOf& copy, Store& into,
                             const MemberInfo* damaged, Result<void> ready) {
    auto opened = PieceReceiver::open(doors_, from);
    if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
    Result<std::unique_ptr<MemberCopy>> writer;
    Result<void> kept = std::move(ready);
    if (kept)
        writer = damaged ? MemberCopy::rebuild(into, *damaged)
                         : MemberCopy::begin(into, copy.dataset, copy.version, copy.member);
    const bool there = !writer && writer.error().code == Errc::exists;
    if (!writer && !there) kept = tl::unexpected<Failure>(writer.error());
    for (;;) {
        const auto piece = opened->receive();
        if (!piece) return tl::unexpected<Failure>(piece.error());
        if (piece->head.empty()) return fail(Errc::bad_message, "an empty piece of a member");
        const auto what = static_cast<What>(piece->head[0]);
        if (what == What::failed) return tl::unexpected(decode_failure(piece->head.subspan(1)));
        if (what == What::end) break;
        if (!kept || there) continue;
        kept = with_memory(piece_of_member, [&] { return take_in(**writer, *opened, *piece); });
    }
    if (kept && !there) kept = (*writer)->finish();
    return kept;
}

}  // namespace ssi::ckpt
