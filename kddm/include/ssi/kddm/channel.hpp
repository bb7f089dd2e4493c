// SPDX-License-Identifier: BSD-3-Clause
// Channel<T>: a named, bounded stream of messages between any tasks of the session, with many
// senders and many receivers. Every message is received once; messages of one sender are received
// in the order they were sent. Trivially copyable T travels as raw bytes; any other T is encoded by
// Boost.Serialization: include ssi/kddm/serialized.hpp and give T a serialize() function.
#pragma once

#include <array>
#include <chrono>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>

#include "ssi/kddm/sync.hpp"

namespace ssi {

namespace kddm {
template <class T>
struct Serialized;  // in ssi/kddm/serialized.hpp
}

struct ChannelOptions {
    std::uint32_t capacity = 64;   // messages sent and not yet received, 1 and above
};

// A handle; copies are the same channel. Get it from Session::channel. Throws ssi::Error: cancelled
// from a send on a closed channel; peer_lost when the channel's home is dead, and, after the death
// of any node, from whatever would have to wait. What a dead node had received is not delivered
// again; what was sent to a home that dies is gone, also when send has returned.
template <class T>
class Channel {
public:
    static constexpr bool raw = std::is_trivially_copyable_v<T>;
    static constexpr std::uint64_t type = raw ? sizeof(T) : UINT64_MAX;

    explicit Channel(kddm::sync::Object& object) : object_(&object) {}

    // Waits while the channel is full.
    void send(const T& message) {
        value_or_throw(encoded(message, [&](std::span<const std::byte> bytes) {
            return kddm::sync::send(*object_, bytes);
        }));
    }
    bool try_send(const T& message) { return send_within(message, 0); }   // false: full
    template <class Rep, class Period>
    bool send_for(const T& message, std::chrono::duration<Rep, Period> timeout) {
        return send_within(message, kddm::sync::nanoseconds(timeout));
    }
    // All of them, in order and in as few messages as possible: fast for small ones.
    void send_many(std::span<const T> messages) {
        std::vector<kddm::sync::Bytes> all;
        for (const T& message : messages)
            value_or_throw(encoded(message, [&](std::span<const std::byte> bytes) -> Result<void> {
                all.emplace_back(bytes.begin(), bytes.end());
                return {};
            }));
        value_or_throw(kddm::sync::send_many(*object_, all));
    }

    // Waits for a message; nothing when the channel is closed and everything has been received.
    std::optional<T> receive() { return receive_within(kddm::sync::forever, nullptr); }
    // Nothing when there is none now (in time), or at the end; `ended` tells which.
    std::optional<T> try_receive(bool* ended = nullptr) { return receive_within(0, ended); }
    template <class Rep, class Period>
    std::optional<T> receive_for(std::chrono::duration<Rep, Period> timeout,
                                 bool* ended = nullptr) {
        return receive_within(kddm::sync::nanoseconds(timeout), ended);
    }
    // At least one, as soon as there is one, and at most `most`; none at the end.
    std::vector<T> receive_many(std::uint32_t most) {
        auto messages = kddm::sync::receive(*object_, most);
        std::vector<T> values;
        if (!messages && messages.error().code == Errc::cancelled) return values;
        for (const auto& bytes : value_or_throw(std::move(messages)))
            values.push_back(decoded(bytes));
        return values;
    }

    // Sends fail from now on; receivers still get what was sent. By anybody, as often as you like.
    void close() { value_or_throw(kddm::sync::close(*object_)); }

    std::string_view name() const { return kddm::sync::name_of(*object_); }
    kddm::sync::Object& object() const { return *object_; }

private:
    template <class Use>
    static Result<void> encoded(const T& message, Use&& use) {
        if constexpr (raw) {
            return use(std::as_bytes(std::span(&message, 1)));
        } else {
            const auto archive = kddm::Serialized<T>::archive(message);
            if (!archive) return tl::unexpected<Failure>(archive.error());
            return use(std::as_bytes(std::span(*archive)));
        }
    }
    static T decoded(const kddm::sync::Bytes& bytes) {
        if constexpr (raw) {
            if (bytes.size() != sizeof(T))
                throw Error(Failure{Errc::serialization, 0, no_node,
                                    "a message of another size than the channel's type"});
            std::array<std::byte, sizeof(T)> copy;
            std::memcpy(copy.data(), bytes.data(), sizeof(T));
            return std::bit_cast<T>(copy);
        } else {
            return value_or_throw(kddm::Serialized<T>::decode(bytes));
        }
    }
    bool send_within(const T& message, Nanoseconds timeout) {
        auto sent = encoded(message, [&](std::span<const std::byte> bytes) {
            return kddm::sync::send(*object_, bytes, timeout);
        });
        const bool full = !sent && (sent.error().code == Errc::would_block ||
                                    sent.error().code == Errc::timed_out);
        if (full) return false;
        value_or_throw(std::move(sent));
        return true;
    }
    std::optional<T> receive_within(Nanoseconds timeout, bool* ended) {
        auto messages = kddm::sync::receive(*object_, 1, timeout);
        if (ended) *ended = !messages && messages.error().code == Errc::cancelled;
        if (!messages) {
            const Errc code = messages.error().code;
            if (code == Errc::cancelled || code == Errc::would_block || code == Errc::timed_out)
                return std::nullopt;
        }
        return decoded(value_or_throw(std::move(messages)).front());
    }

    kddm::sync::Object* object_;
};

// What select does with a message of a channel.
template <class T, class F>
struct SelectCase {
    Channel<T> channel;
    F function;
};
template <class T, class F>
SelectCase<T, F> on(const Channel<T>& channel, F function) {
    return {channel, std::move(function)};
}

struct Selected {
    enum class What : std::uint8_t { received, timed_out, ended } what;
    std::size_t index = 0;   // of the case whose function was called
    explicit operator bool() const { return what == What::received; }
};

// Receives one message from whichever channel has one first and calls that case's function with it:
//     ssi::select(1s, ssi::on(jobs, [&](Job job) { ... }), ssi::on(stop, [&](int) { ... }));
// ended: all channels are closed and drained.
template <class... Cases>
Selected select_until(Nanoseconds timeout, Cases&&... cases) {
    std::array<kddm::sync::Object*, sizeof...(Cases)> objects{&cases.channel.object()...};
    std::array<bool, sizeof...(Cases)> over{};
    kddm::sync::Deadline deadline(*objects[0], timeout);
    for (;;) {
        std::vector<kddm::sync::Object*> open;
        std::vector<std::size_t> numbers;
        for (std::size_t i = 0; i < objects.size(); ++i) {
            if (over[i]) continue;
            open.push_back(objects[i]);
            numbers.push_back(i);
        }
        if (open.empty()) return {Selected::What::ended};
        auto ready = kddm::sync::select(open, deadline.left());
        if (!ready && ready.error().code == Errc::timed_out) return {Selected::What::timed_out};
        const std::size_t chosen = numbers[value_or_throw(std::move(ready))];
        bool received = false;
        std::size_t i = 0;
        auto attempt = [&](auto& c) {
            if (i++ != chosen) return;
            if (auto message = c.channel.try_receive(&over[chosen])) {
                received = true;
                c.function(std::move(*message));
            }
        };
        (attempt(cases), ...);
        if (received) return {Selected::What::received, chosen};
    }
}
template <class Rep, class Period, class... Cases>
Selected select(std::chrono::duration<Rep, Period> timeout, Cases&&... cases) {
    return select_until(kddm::sync::nanoseconds(timeout), std::forward<Cases>(cases)...);
}
template <class T, class F, class... Cases>
Selected select(SelectCase<T, F> first, Cases&&... cases) {
    return select_until(kddm::sync::forever, first, std::forward<Cases>(cases)...);
}

}  // namespace ssi
