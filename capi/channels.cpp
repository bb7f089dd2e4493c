// SPDX-License-Identifier: BSD-3-Clause
// Channels for C.
#include <algorithm>
#include <mutex>
#include <span>

#include "sync_inside.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace {

// The same channel has the same handle, as a set has.
ssi_channel* handle_of(ssi_session& session, verbs::Object* object, std::size_t message_bytes) {
    std::lock_guard lock(session.mutex);
    for (const auto& channel : session.channels)
        if (channel->object == object) return channel.get();
    session.channels.push_back(std::make_unique<ssi_channel>(object, message_bytes));
    return session.channels.back().get();
}

template <class Body>
int on_channel(ssi_channel* channel, Body&& body) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(channel, "channel"));
        return body(*channel->object);
    });
}

// Receivers count on the size: one in C++ cannot even decode any other.
Result<void> check_length(const ssi_channel& channel, std::size_t length) {
    if (channel.message_bytes == 0 || length == channel.message_bytes) return {};
    return fail(Errc::invalid_argument,
                "channel '" + std::string(verbs::name_of(*channel.object)) +
                    "' is of messages of " + std::to_string(channel.message_bytes) +
                    " bytes, not " + std::to_string(length));
}

Result<std::vector<verbs::Object*>> objects_of(ssi_channel* const* channels, std::size_t count) {
    if (count == 0) return fail(Errc::invalid_argument, "select of no channel");
    SSI_TRY(need(channels, "channels"));
    std::vector<verbs::Object*> objects;
    for (const ssi_channel* channel : std::span(channels, count)) {
        SSI_TRY(need(channel, "a channel"));
        objects.push_back(channel->object);
    }
    return objects;
}

// A message as a receiver gets it.
Result<void> give(const verbs::Bytes& message, void* buffer, std::size_t capacity,
                  std::size_t* length) {
    if (length) *length = message.size();
    return copy_out(message, buffer, capacity, "the message");
}

Result<std::size_t> select_within(std::span<verbs::Object* const> objects, Nanoseconds timeout) {
    auto chosen = verbs::select(objects, timeout);
    if (!chosen && timeout == 0 && chosen.error().code == Errc::timed_out)
        return fail(Errc::would_block, "select: no channel has a message now");
    return chosen;
}

bool is(const Result<std::vector<verbs::Bytes>>& result, Errc code) {
    return !result && result.error().code == code;
}

// Which of the channels has a message, and the message. Leaves out those that have ended; somebody
// else may be faster than we are after a select.
struct Received {
    std::size_t index;
    verbs::Bytes message;
};
Result<Received> receive_any(std::span<verbs::Object* const> channels, Nanoseconds timeout) {
    const verbs::Deadline deadline(*channels.front(), timeout);
    std::vector<verbs::Object*> open(channels.begin(), channels.end());
    std::vector<std::size_t> numbers(channels.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = i;
    while (!open.empty()) {
        const auto chosen = select_within(open, timeout == 0 ? 0 : deadline.left());
        if (!chosen) return tl::unexpected<Failure>(chosen.error());
        auto messages = verbs::receive(*open[*chosen], 1, 0);
        if (messages) return Received{numbers[*chosen], std::move(messages->front())};
        if (is(messages, Errc::cancelled)) {
            open.erase(open.begin() + static_cast<std::ptrdiff_t>(*chosen));
            numbers.erase(numbers.begin() + static_cast<std::ptrdiff_t>(*chosen));
        } else if (!is(messages, Errc::would_block)) {
            return tl::unexpected<Failure>(std::move(messages).error());
        }
    }
    return fail(Errc::cancelled, "all channels are closed, and everything has been received");
}

}  // namespace

int ssi_channel_open(ssi_session* session, const char* name, uint32_t capacity,
                     size_t message_bytes, ssi_channel** channel) {
    return open_as(
        session, name, channel,
        [&](verbs::Hub& hub) {
            return hub.channel(name, capacity, message_bytes == 0 ? UINT64_MAX : message_bytes);
        },
        [&](verbs::Object* object) { return handle_of(*session, object, message_bytes); });
}

const char* ssi_channel_name(const ssi_channel* channel) {
    return channel ? verbs::name_of(*channel->object).data() : nullptr;
}

int ssi_channel_send(ssi_channel* channel, const void* message, size_t length,
                     int64_t timeout_ms) {
    return on_channel(channel, [&](verbs::Object& object) -> Result<void> {
        if (length != 0) SSI_TRY(need(message, "message"));
        SSI_TRY(check_length(*channel, length));
        return verbs::send(object, std::span(static_cast<const std::byte*>(message), length),
                          nanoseconds(timeout_ms));
    });
}

int ssi_channel_send_many(ssi_channel* channel, const void* messages, size_t stride,
                          const size_t* lengths, size_t count) {
    return on_channel(channel, [&](verbs::Object& object) -> Result<void> {
        if (count != 0 && stride != 0) SSI_TRY(need(messages, "messages"));
        const auto* first = static_cast<const std::byte*>(messages);
        std::vector<verbs::Bytes> all;
        all.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t length = lengths ? lengths[i] : stride;
            if (length > stride)
                return fail(Errc::invalid_argument,
                            "message " + std::to_string(i) + " has " + std::to_string(length) +
                                " bytes, but the stride is " + std::to_string(stride));
            SSI_TRY(check_length(*channel, length));
            if (length > verbs::max_message_bytes)
                return fail(Errc::too_large, "a message has at most 64 MiB");
            all.emplace_back(first + i * stride, first + i * stride + length);
        }
        return verbs::send_many(object, all);
    });
}

int ssi_channel_receive(ssi_channel* channel, void* buffer, size_t capacity, size_t* length,
                        int64_t timeout_ms) {
    return on_channel(channel, [&](verbs::Object& object) -> Result<void> {
        if (capacity != 0) SSI_TRY(need(buffer, "buffer"));
        const auto messages = verbs::receive(object, 1, nanoseconds(timeout_ms));
        if (!messages) return tl::unexpected<Failure>(messages.error());
        return give(messages->front(), buffer, capacity, length);
    });
}

int ssi_channel_receive_many(ssi_channel* channel, void* buffer, size_t stride, size_t* lengths,
                             size_t most, size_t* count, int64_t timeout_ms) {
    if (count) *count = 0;
    return on_channel(channel, [&](verbs::Object& object) -> Result<void> {
        SSI_TRY(need(count, "count"));
        if (most == 0) return fail(Errc::invalid_argument, "most is 0: receive at least 1");
        if (stride != 0) SSI_TRY(need(buffer, "buffer"));
        const auto at_once = static_cast<std::uint32_t>(std::min<std::size_t>(most, UINT32_MAX));
        const auto messages = verbs::receive(object, at_once, nanoseconds(timeout_ms));
        if (!messages) return tl::unexpected<Failure>(messages.error());
        *count = messages->size();
        Result<void> first;
        for (std::size_t i = 0; i < messages->size(); ++i) {
            auto given = give((*messages)[i], static_cast<std::byte*>(buffer) + i * stride, stride,
                              lengths ? lengths + i : nullptr);
            if (first) first = std::move(given);
        }
        return first;
    });
}

int ssi_channel_close(ssi_channel* channel) {
    return on_channel(channel, [](verbs::Object& object) { return verbs::close(object); });
}

int ssi_channel_select(ssi_channel* const* channels, size_t count, int64_t timeout_ms,
                       size_t* index) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(index, "index"));
        const auto objects = objects_of(channels, count);
        if (!objects) return tl::unexpected<Failure>(objects.error());
        return with(select_within(*objects, nanoseconds(timeout_ms)),
                    [&](std::size_t chosen) { *index = chosen; });
    });
}

int ssi_channel_receive_any(ssi_channel* const* channels, size_t count, void* buffer,
                            size_t capacity, size_t* length, size_t* index, int64_t timeout_ms) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(index, "index"));
        if (capacity != 0) SSI_TRY(need(buffer, "buffer"));
        const auto objects = objects_of(channels, count);
        if (!objects) return tl::unexpected<Failure>(objects.error());
        const auto received = receive_any(*objects, nanoseconds(timeout_ms));
        if (!received) return tl::unexpected<Failure>(received.error());
        *index = received->index;
        return give(received->message, buffer, capacity, length);
    });
}
