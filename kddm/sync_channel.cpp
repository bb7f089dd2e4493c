// SPDX-License-Identifier: BSD-3-Clause
// The verbs on channels.
#include <deque>
#include <optional>

#include "channel_machine.hpp"
#include "sync_hub.hpp"

namespace ssi::kddm::sync {
namespace {

// Timed verbs: a withdrawal may be answered by either.
Result<void> outcome_of(const Object& channel, Waiter& w, Nanoseconds timeout) {
    if (w.outcome == Errc::would_block && timeout != 0) w.outcome = Errc::timed_out;
    return result_of(channel, w);
}

// Until the machine is done with it; `timeout` may withdraw it.
void wait_answered(Object& channel, Waiter& w, const char* verb, Nanoseconds timeout) {
    channel.hub.wait(channel, w, verb, timeout, [&](Outbox& out) {
        machine_of<ChannelMachine>(channel).withdraw(w, out);
    });
}

Result<void> check_size(const Object& channel, std::size_t bytes) {
    if (bytes <= max_message_bytes) return {};
    return fail(Errc::too_large, fmt::format("channel '{}': a message of {} bytes; the limit is {}",
                                             channel.name, bytes, max_message_bytes));
}

Result<void> put(Object& channel, std::uint32_t count, Bytes packed, Nanoseconds timeout) {
    auto& machine = machine_of<ChannelMachine>(channel);
    Waiter w = new_waiter(channel, timeout);
    {
        const Hub::Impl::Entrance entrance(channel.hub);
        channel.hub.step(channel,
                         [&](Outbox& out) { machine.put(w, count, std::move(packed), out); });
    }
    wait_answered(channel, w, "send", timeout);
    return outcome_of(channel, w, timeout);
}

}  // namespace

Result<Object*> Hub::channel(std::string_view name, std::uint32_t capacity, std::uint64_t type) {
    if (capacity == 0)
        return fail(Errc::invalid_argument,
                    fmt::format("channel '{}' of capacity 0: it needs room for at least 1 message",
                                name));
    Object& object = impl_->open(Kind::channel, name);
    auto& machine = machine_of<ChannelMachine>(object);
    Waiter w = new_waiter(object);
    {
        const Hub::Impl::Entrance entrance(*impl_);
        impl_->step(object, [&](Outbox& out) { machine.open(w, capacity, type, out); });
    }
    impl_->wait(object, w, "opening");
    if (auto opened = result_of(object, w); !opened)
        return tl::unexpected<Failure>(std::move(opened).error());
    return &object;
}

Result<void> send(Object& channel, std::span<const std::byte> message, Nanoseconds timeout) {
    SSI_TRY(check_size(channel, message.size()));
    Bytes packed;
    append_message(packed, message);
    return put(channel, 1, std::move(packed), timeout);
}

Result<void> send_many(Object& channel, const std::vector<Bytes>& messages) {
    std::size_t next = 0;
    while (next < messages.size()) {
        Bytes packed;
        std::uint32_t count = 0;
        // One at least, and no more than fits one message to the home.
        do {
            SSI_TRY(check_size(channel, messages[next].size()));
            append_message(packed, messages[next++]);
            ++count;
        } while (next < messages.size() &&
                 packed.size() + messages[next].size() <= most_batch_bytes);
        SSI_TRY(put(channel, count, std::move(packed), forever));
    }
    return {};
}

Result<std::vector<Bytes>> receive(Object& channel, std::uint32_t most, Nanoseconds timeout) {
    auto& machine = machine_of<ChannelMachine>(channel);
    Waiter w = new_waiter(channel, timeout);
    {
        const Hub::Impl::Entrance entrance(channel.hub);
        channel.hub.step(channel, [&](Outbox& out) { machine.take(w, std::max(most, 1u), out); });
    }
    wait_answered(channel, w, "receive", timeout);
    if (auto answered = outcome_of(channel, w, timeout); !answered)
        return tl::unexpected<Failure>(std::move(answered).error());
    std::vector<Bytes> messages;
    if (!split_messages(w.bytes, messages) || messages.size() != w.count)
        return fail(Errc::bad_message, fmt::format("channel '{}': a malformed answer from node {}",
                                                   channel.name, channel.place.home.value));
    return messages;
}

Result<void> close(Object& channel) {
    auto& machine = machine_of<ChannelMachine>(channel);
    Waiter w = new_waiter(channel);
    {
        const Hub::Impl::Entrance entrance(channel.hub);
        channel.hub.step(channel, [&](Outbox& out) { machine.close(w, out); });
    }
    channel.hub.wait(channel, w, "closing");
    return result_of(channel, w);
}

Result<std::size_t> select(std::span<Object* const> channels, Nanoseconds timeout) {
    if (channels.empty()) return fail(Errc::invalid_argument, "select over no channel");
    Hub::Impl& hub = channels.front()->hub;
    const bool bounded = timeout != forever;
    const Nanoseconds deadline = bounded ? hub.clock.now() + timeout : sys::Waiter::forever;
    sys::WaitCell any;
    std::deque<Waiter> watches;
    Hub::Impl::Entrance entrance(hub);
    for (Object* channel : channels) {
        Waiter& w = watches.emplace_back();
        w.txn = hub.next_txn();
        w.also = &any;
        hub.step(*channel,
                 [&](Outbox& out) { machine_of<ChannelMachine>(*channel).watch(w, out); });
    }
    entrance.end();
    ObjectWait note(hub.node, *channels.front(), "select");
    any.long_wait = &note;
    const bool ready = hub.waiter.wait_until(any, deadline);
    // Whoever makes `any` ready has its own cell to make ready afterwards: wait for all. When the
    // time is over the homes have the last word, else a short time would be over before they spoke.
    for (std::size_t i = 0; i < channels.size(); ++i) {
        hub.step(*channels[i], [&](Outbox& out) {
            auto& machine = machine_of<ChannelMachine>(*channels[i]);
            ready ? machine.unwatch(watches[i], out) : machine.withdraw(watches[i], out);
        });
        hub.wait(*channels[i], watches[i], "select");
    }
    // Not always the first, so that a busy channel does not hide the others.
    const std::size_t first = hub.next_txn() % channels.size();
    std::optional<std::size_t> failed;
    for (std::size_t k = 0; k < channels.size(); ++k) {
        const std::size_t i = (first + k) % channels.size();
        if (watches[i].outcome == Errc::ok) return i;
        if (watches[i].outcome != Errc::timed_out) failed = i;
    }
    if (failed) return tl::unexpected<Failure>(result_of(*channels[*failed],
                                                         watches[*failed]).error());
    return fail(Errc::timed_out, "select: no channel had a message in time");
}

Deadline::Deadline(const Object& object, Nanoseconds timeout)
    : clock_(object.hub.clock),
      end_(timeout == forever ? forever : object.hub.clock.now() + timeout) {}

Nanoseconds Deadline::left() const {
    return end_ == forever ? forever : std::max<Nanoseconds>(1, end_ - clock_.now());
}

}  // namespace ssi::kddm::sync
