// SPDX-License-Identifier: BSD-3-Clause
#include "parity_take.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "manifest.hpp"

namespace ssi::ckpt {
namespace {

// A unit; the end of all, fine, or because something went wrong.
enum class What : std::uint8_t { unit, end, failed };
constexpr std::size_t head_bytes = 1 + sizeof(std::uint64_t);   // and of which row

Bytes message_of(What what, std::span<const std::byte> bytes) {
    Bytes message(1 + bytes.size(), std::byte(what));
    std::ranges::copy(bytes, message.begin() + 1);
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

}  // namespace

// ---- sending

Result<void> ParitySender::open() {
    const int self = group_.ranks[group_.place];
    while (channels_.size() < group_.ranks.size()) {
        const int to = group_.ranks[channels_.size()];
        if (to == self) {
            channels_.push_back(nullptr);
            continue;
        }
        auto opened = copies_.channel(self, to);
        if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
        channels_.push_back(*opened);
    }
    return {};
}

Result<void> ParitySender::write(std::string_view file, std::uint64_t /*most*/,
                                 std::uint64_t place, std::span<const std::byte> bytes) {
    if (place == 0) files_.push_back(0);
    if (files_.empty() || file != io::sealed_file_name(files_.size()) || place != files_.back() ||
        bytes.size() % io::block_bytes != 0)
        return fail(Errc::internal, fmt::format("{}, byte {}: parity is made of files in their "
                                                "order, block by block", file, place));
    files_.back() += bytes.size();
    try {
        while (!bytes.empty()) {
            if (message_.empty()) {
                message_.reserve(head_bytes + parity_unit_bytes);
                message_.resize(head_bytes);
            }
            const auto some = bytes.first(
                std::min(bytes.size(), head_bytes + parity_unit_bytes - message_.size()));
            message_.insert(message_.end(), some.begin(), some.end());
            bytes = bytes.subspan(some.size());
            if (message_.size() == head_bytes + parity_unit_bytes) SSI_TRY(send_unit());
        }
    } catch (const std::bad_alloc&) {
        return fail(Errc::out_of_memory, "no memory for a unit of a member");
    }
    return {};
}

Result<void> ParitySender::end(std::string_view file, std::uint64_t bytes) {
    if (!files_.empty() && files_.back() == bytes) return {};
    return fail(Errc::internal, fmt::format("{} has other than the {} bytes that were written",
                                            file, bytes));
}

Result<void> ParitySender::send_unit() {
    SSI_TRY(open());
    const std::uint64_t row = row_of(unit_, group_.place, group_.ranks.size());
    message_[0] = std::byte(What::unit);
    std::memcpy(message_.data() + 1, &row, sizeof row);
    SSI_TRY(kddm::sync::send(*channels_[keeper_of(row, group_.ranks.size())], message_));
    ++unit_;
    message_.clear();
    return {};
}

Result<ParityMember> ParitySender::close(const Result<MemberInfo>& saved) {
    if (!saved) return tl::unexpected<Failure>(saved.error());
    if (!message_.empty()) SSI_TRY(send_unit());
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
    for (kddm::sync::Object* channel : channels_)
        if (channel)
            if (auto sent = kddm::sync::send(*channel, message); !sent && told)
                told = std::move(sent);
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
    std::vector<kddm::sync::Object*> channels;
    const int self = group_.ranks[group_.place];
    for (const int from : group_.ranks) {
        auto opened = from == self ? Result<kddm::sync::Object*>(nullptr)
                                   : copies_.channel(from, self);
        if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
        channels.push_back(*opened);
    }
    ended_[group_.place] = true;
    auto writer = ParityWriter::begin(into_, own_.dataset, own_.version, own_.member);
    if (writer)
        writer_ = std::move(*writer);
    else
        keep(tl::unexpected<Failure>(std::move(writer).error()));
    for (std::uint64_t row = group_.place;; row += group_.ranks.size()) {
        const auto any = receive_row(channels, row);
        if (!any) return tl::unexpected<Failure>(any.error());
        if (!*any) return {};
    }
}

Result<bool> ParityKeeper::receive_row(std::span<kddm::sync::Object* const> channels,
                                       std::uint64_t row) {
    std::span<std::byte> sum;
    std::size_t length = 0;
    bool any = false;
    for (std::size_t place = 0; place < channels.size(); ++place) {
        if (ended_[place]) continue;
        const auto messages = kddm::sync::receive(*channels[place], 1);
        if (!messages) return tl::unexpected<Failure>(messages.error());
        const Bytes& message = messages->front();
        if (!message.empty() && message[0] == std::byte(What::unit)) any = true;
        if (any && kept_ && sum.empty()) {
            const auto memory = writer_->next();
            if (memory)
                sum = *memory;
            else
                keep(tl::unexpected<Failure>(memory.error()));
        }
        const auto bytes = take_in(place, row, message, sum);
        if (bytes)
            length = std::max(length, *bytes);
        else
            keep(tl::unexpected<Failure>(bytes.error()));
    }
    if (any && kept_) keep(writer_->add(length));
    return any;
}

// How long the unit was; a message of another kind is the member's last.
Result<std::size_t> ParityKeeper::take_in(std::size_t place, std::uint64_t row,
                                          const Bytes& message, std::span<std::byte> sum) {
    const auto what = message.empty() ? What::end : static_cast<What>(message[0]);
    if (what != What::unit) ended_[place] = true;
    if (what == What::failed)
        return tl::unexpected(decode_failure(std::span(message).subspan(1)));
    if (what == What::end) {
        auto member = decode_end(message);
        if (!member) return tl::unexpected<Failure>(std::move(member).error());
        members_[place] = std::move(*member);
        return std::size_t{0};
    }
    std::uint64_t of = 0;
    if (message.size() > head_bytes) std::memcpy(&of, message.data() + 1, sizeof of);
    const auto bytes = std::span(message).subspan(std::min(head_bytes, message.size()));
    if (of != row || bytes.empty() || bytes.size() > parity_unit_bytes ||
        bytes.size() % io::block_bytes != 0)
        return fail(Errc::bad_message, fmt::format("a unit of row {} that is none, or of another "
                                                   "row", row));
    if (!sum.empty()) add_to_parity(sum, bytes);
    return bytes.size();
}

Result<void> ParityKeeper::finish(ParityMember mine) {
    members_[group_.place] = std::move(mine);
    auto done = writer_->finish(std::move(members_));
    if (!done) writer_.reset();
    return done;
}

}  // namespace ssi::ckpt
