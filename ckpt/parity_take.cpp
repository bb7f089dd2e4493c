// SPDX-License-Identifier: BSD-3-Clause
#include "parity_take.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "manifest.hpp"

namespace ssi::ckpt {
namespace {

// A unit; the end of all, fine, or because something went wrong.
enum class What : std::uint8_t { unit, end, failed };
constexpr std::size_t head_bytes = 1 + sizeof(std::uint64_t);   // and of which row
static_assert(parity_unit_bytes <= most_piece);
constexpr const char* row_of_parity = "a row of parity";

Bytes message_of(What what, std::span<const std::byte> bytes) {
    Bytes message;
    message.reserve(1 + bytes.size());
    message.push_back(std::byte(what));
    message.insert(message.end(), bytes.begin(), bytes.end());
    return message;
}

Bytes end_of(const Result<ParityMember>& member) {
    if (!member) return message_of(What::failed, encode_failure(member.error()));
    Writer out;
    put_member(out, *member);
    return message_of(What::end, out.bytes());
}

Result<ParityMember> decode_end(std::span<const std::byte> message) {
    Reader in(message);
    (void)in.get<std::uint8_t>();
    ParityMember member = get_parity_member(in);
    if (in.ok() && in.at_end()) return member;
    return fail(Errc::bad_message, "the end of a member that is malformed");
}

Result<ParityMember> decode_failed(std::span<const std::byte> message) {
    if (message.empty()) return fail(Errc::bad_message, "an empty unit of a member");
    return tl::unexpected(decode_failure(message.subspan(1)));
}

}  // namespace

// ---- sending

Result<void> ParitySender::open() {
    while (senders_.size() < group_.ranks.size()) {
        if (senders_.size() == group_.place) {
            senders_.emplace_back();
            continue;
        }
        auto opened = PieceSender::open(copies_.doors(), group_.ranks[senders_.size()]);
        if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
        senders_.emplace_back(std::move(*opened));
    }
    return {};
}

PieceSender& ParitySender::keeper() {
    const std::size_t size = group_.ranks.size();
    return *senders_[keeper_of(row_of(unit_, group_.place, size), size)];
}

Result<void> ParitySender::write(std::string_view file, std::uint64_t /*most*/,
                                 std::uint64_t place, std::span<const std::byte> bytes) {
    if (place == 0) files_.push_back(0);
    if (files_.empty() || file != io::sealed_file_name(files_.size()) || place != files_.back() ||
        bytes.size() % io::block_bytes != 0)
        return fail(Errc::internal, fmt::format("{}, byte {}: parity is made of files in their "
                                                "order, block by block", file, place));
    files_.back() += bytes.size();
    SSI_TRY(open());
    while (!bytes.empty()) {
        const auto memory = keeper().room();
        if (!memory) return tl::unexpected<Failure>(memory.error());
        const auto some = bytes.first(std::min(bytes.size(), parity_unit_bytes - filled_));
        std::memcpy(memory->data() + filled_, some.data(), some.size());
        filled_ += some.size();
        bytes = bytes.subspan(some.size());
        if (filled_ == parity_unit_bytes) SSI_TRY(send_unit());
    }
    return {};
}

Result<void> ParitySender::end(std::string_view file, std::uint64_t bytes) {
    if (!files_.empty() && files_.back() == bytes) return {};
    return fail(Errc::internal, fmt::format("{} has other than the {} bytes that were written",
                                            file, bytes));
}

Result<void> ParitySender::send_unit() {
    const std::uint64_t row = row_of(unit_, group_.place, group_.ranks.size());
    std::array<std::byte, head_bytes> head{std::byte(What::unit)};
    std::memcpy(head.data() + 1, &row, sizeof row);
    SSI_TRY(keeper().send(head, std::exchange(filled_, 0)));
    ++unit_;
    return {};
}

Result<ParityMember> ParitySender::close(const Result<MemberInfo>& saved) {
    if (!saved) return tl::unexpected<Failure>(saved.error());
    if (filled_ != 0) SSI_TRY(send_unit());
    ParityMember mine{saved->member, saved->log.digest, files_};
    if (mine.bytes() == saved->log.bytes && files_.size() == saved->log.segments) return mine;
    return fail(Errc::internal, "parity was made of another member than was written");
}

// Whatever goes wrong, all others hear of an end.
Result<ParityMember> ParitySender::finish(const Result<MemberInfo>& saved) {
    SSI_TRY(open());
    auto mine = close(saved);
    const Bytes message = end_of(mine);
    Result<void> told;
    for (auto& sender : senders_) {
        if (!sender) continue;
        auto sent = sender->send(message);
        if (sent) sent = sender->settle();
        if (!sent && told) told = std::move(sent);
    }
    if (mine && !told) return tl::unexpected<Failure>(std::move(told).error());
    return mine;
}

// ---- keeping

void ParityKeeper::keep(Result<void> outcome) {
    if (kept_ && !outcome) kept_ = std::move(outcome);
}

// Goes on receiving when something went wrong: the others would wait for ever.
Result<void> ParityKeeper::receive() {
    auto received = receive_all();
    if (!received || !kept_) writer_.reset();
    return received ? kept_ : received;
}

Result<void> ParityKeeper::receive_all() {
    for (std::size_t place = 0; place < group_.ranks.size(); ++place) {
        receivers_.emplace_back();
        if (place == group_.place) continue;
        auto opened = PieceReceiver::open(copies_.doors(), group_.ranks[place]);
        if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
        receivers_.back() = std::move(*opened);
    }
    ended_[group_.place] = true;
    auto writer = ParityWriter::begin(into_, own_.dataset, own_.version, own_.member);
    if (writer)
        writer_ = std::move(*writer);
    else
        keep(tl::unexpected<Failure>(std::move(writer).error()));
    for (std::uint64_t row = group_.place;; row += group_.ranks.size()) {
        const auto any = receive_row(row);
        if (!any) return tl::unexpected<Failure>(any.error());
        if (!*any) return {};
    }
}

Result<bool> ParityKeeper::receive_row(std::uint64_t row) {
    sum_ = {};
    length_ = 0;
    bool any = false;
    for (std::size_t place = 0; place < receivers_.size(); ++place) {
        if (ended_[place]) continue;
        const auto piece = receivers_[place]->receive();
        if (!piece) return tl::unexpected<Failure>(piece.error());
        const auto what = piece->head.empty() ? What::failed : static_cast<What>(piece->head[0]);
        if (what == What::unit) {
            any = true;
            if (kept_) keep(with_memory(row_of_parity, [&] { return add(place, *piece, row); }));
            continue;
        }
        ended_[place] = true;
        auto member = what == What::failed ? decode_failed(piece->head) : decode_end(piece->head);
        if (member)
            members_[place] = std::move(*member);
        else
            keep(tl::unexpected<Failure>(std::move(member).error()));
    }
    if (any && kept_) keep(with_memory(row_of_parity, [&] { return writer_->add(length_); }));
    return any;
}

// The first of a row is read to where its parity stands.
Result<void> ParityKeeper::add(std::size_t place, const Piece& piece, std::uint64_t row) {
    std::uint64_t of = 0;
    if (piece.head.size() == head_bytes) std::memcpy(&of, piece.head.data() + 1, sizeof of);
    if (piece.head.size() != head_bytes || of != row || piece.bytes == 0 ||
        piece.bytes > parity_unit_bytes || piece.bytes % io::block_bytes != 0)
        return fail(Errc::bad_message, fmt::format("a unit of row {} that is none, or of another "
                                                   "row", row));
    if (length_ == 0) {
        const auto memory = writer_->next();
        if (!memory) return tl::unexpected<Failure>(memory.error());
        sum_ = *memory;
        length_ = piece.bytes;
        return receivers_[place]->read(sum_.first(length_));
    }
    if (!unit_) unit_.emplace();
    const auto unit = unit_->bytes().first(piece.bytes);
    SSI_TRY(receivers_[place]->read(unit));
    if (piece.bytes > length_) std::ranges::fill(sum_.subspan(length_, piece.bytes - length_),
                                                 std::byte{0});
    length_ = std::max(length_, piece.bytes);
    add_to_parity(sum_, unit);
    return {};
}

Result<void> ParityKeeper::finish(ParityMember mine) {
    members_[group_.place] = std::move(mine);
    auto done = writer_->finish(std::move(members_));
    if (!done) writer_.reset();
    return done;
}

}  // namespace ssi::ckpt
