// SPDX-License-Identifier: BSD-3-Clause
#include "pieces.hpp"

#include <fmt/format.h>

#include <cstring>

namespace ssi::ckpt {
namespace {

constexpr std::uint64_t channel_type = UINT64_MAX;   // bytes of any length
constexpr std::uint8_t no_object = 0xff;

// In front of what the message says.
struct Prefix {
    std::uint32_t bytes = 0;
    std::uint8_t object = no_object;
    std::uint8_t reserved[3] = {};
};
static_assert(sizeof(Prefix) == 8);

// All nodes make it alike. Objects are {receiver, number}, at home at the sender.
Result<kddm::RawSet> objects_of(const PieceDoors& doors, int from) {
    kddm::SetOptions options;
    options.object_bytes = most_piece;
    options.placement = fmt::format("node:{}", node_of(doors.node, from).value);
    return doors.engine.create_or_open(fmt::format("ssi.checkpoint.pieces.{}", from), options);
}

ObjectId object_id(int to, std::uint8_t object) {
    return {static_cast<std::uint64_t>(to), object};
}

Result<void> open_channels(const PieceDoors& doors, int from, int to, kddm::sync::Object*& channel,
                           kddm::sync::Object*& taken) {
    auto there = doors.hub.channel(pieces_name(from, to), pieces_under_way, channel_type);
    if (!there) return tl::unexpected<Failure>(std::move(there).error());
    auto back = doors.hub.channel(taken_name(from, to), pieces_under_way, channel_type);
    if (!back) return tl::unexpected<Failure>(std::move(back).error());
    channel = *there;
    taken = *back;
    return {};
}

}  // namespace

std::string pieces_name(int from, int to) {
    return fmt::format("ssi.checkpoint.copy.{}.{}", from, to);
}
std::string taken_name(int from, int to) {
    return fmt::format("ssi.checkpoint.taken.{}.{}", from, to);
}

// ---- sending

Result<PieceSender> PieceSender::open(const PieceDoors& doors, int to) {
    PieceSender sender;
    sender.to_ = to;
    const int self = doors.node.rank();
    SSI_TRY(open_channels(doors, self, to, sender.channel_, sender.taken_));
    auto objects = objects_of(doors, self);
    if (!objects) return tl::unexpected<Failure>(std::move(objects).error());
    sender.objects_ = *objects;
    for (std::uint32_t i = pieces_under_way; i-- > 0;)
        sender.free_.push_back(static_cast<std::uint8_t>(i));
    return sender;
}

Result<void> PieceSender::wait_taken() {
    const auto messages = kddm::sync::receive(*taken_, pieces_under_way);
    if (!messages) return tl::unexpected<Failure>(messages.error());
    for (const Bytes& message : *messages) {
        if (message.size() != 1 || unread_ == 0 || message[0] >= std::byte{pieces_under_way})
            return fail(Errc::bad_message, "a piece is said to be read that was not sent");
        free_.push_back(std::to_integer<std::uint8_t>(message[0]));
        --unread_;
    }
    return {};
}

Result<std::span<std::byte>> PieceSender::room() {
    if (!filling_) {
        while (free_.empty()) SSI_TRY(wait_taken());
        auto guard = objects_.grab(object_id(to_, free_.back()));
        if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
        filling_ = std::move(*guard);
    }
    return filling_->writable();
}

Result<void> PieceSender::send(std::span<const std::byte> head, std::size_t bytes) {
    Prefix prefix;
    prefix.bytes = static_cast<std::uint32_t>(bytes);
    if (bytes != 0) prefix.object = free_.back();
    Bytes message(sizeof prefix + head.size());
    std::memcpy(message.data(), &prefix, sizeof prefix);
    if (!head.empty()) std::memcpy(message.data() + sizeof prefix, head.data(), head.size());
    if (bytes != 0) {
        SSI_TRY(filling_->put());
        filling_.reset();
    }
    SSI_TRY(kddm::sync::send(*channel_, message));
    if (bytes == 0) return {};
    free_.pop_back();
    ++unread_;
    return {};
}

Result<void> PieceSender::settle() {
    while (unread_ != 0) SSI_TRY(wait_taken());
    return {};
}

// ---- receiving

Result<PieceReceiver> PieceReceiver::open(const PieceDoors& doors, int from) {
    PieceReceiver receiver;
    receiver.to_ = doors.node.rank();
    SSI_TRY(open_channels(doors, from, receiver.to_, receiver.channel_, receiver.taken_));
    auto objects = objects_of(doors, from);
    if (!objects) return tl::unexpected<Failure>(std::move(objects).error());
    receiver.objects_ = *objects;
    return receiver;
}

Result<Piece> PieceReceiver::receive() {
    SSI_TRY(take());
    auto messages = kddm::sync::receive(*channel_, 1);
    if (!messages) return tl::unexpected<Failure>(messages.error());
    message_ = std::move(messages->front());
    Prefix prefix;
    if (message_.size() < sizeof prefix)
        return fail(Errc::bad_message, "a piece that is too short");
    std::memcpy(&prefix, message_.data(), sizeof prefix);
    if ((prefix.object != no_object && prefix.object >= pieces_under_way) ||
        (prefix.object == no_object) != (prefix.bytes == 0) || prefix.bytes > most_piece)
        return fail(Errc::bad_message, "a piece that makes no sense");
    if (prefix.bytes != 0) unread_ = prefix.object;
    return Piece{std::span(message_).subspan(sizeof prefix), prefix.bytes};
}

Result<void> PieceReceiver::read(std::span<std::byte> into) {
    if (!unread_) return fail(Errc::internal, "a piece without bytes, or that was read");
    auto read = objects_.read_into(object_id(to_, *unread_), 0, into);
    SSI_TRY(take());
    if (!read) return tl::unexpected<Failure>(std::move(read).error());
    return {};
}

Result<void> PieceReceiver::take() {
    if (!unread_) return {};
    const std::byte object{*std::exchange(unread_, std::nullopt)};
    return kddm::sync::send(*taken_, std::span(&object, 1));
}

}  // namespace ssi::ckpt
