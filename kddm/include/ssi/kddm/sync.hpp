// SPDX-License-Identifier: BSD-3-Clause
// Hub: synchronisation on one node: named mutexes, shared mutexes, conditions, barriers and
// channels of the session. For the layers above and for the simulator, with Results; applications
// use Session and the classes of mutex.hpp, shared_mutex.hpp, condition.hpp, barrier.hpp and
// channel.hpp, which throw.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/base/clock.hpp"
#include "ssi/base/ids.hpp"
#include "ssi/base/result.hpp"

namespace ssi::node {
class Node;
}

namespace ssi::kddm::sync {

// Deliberate bugs, for proving that the checkers catch them. Never set in real runs.
enum class Plant : std::uint8_t {
    none,
    lock_for_two,          // a mutex's token is passed on and kept
    lock_never_passed,     // a node serves its own tasks first, for ever
    writer_beside_reader,  // a shared mutex is granted while a reader still has it
    early_barrier,         // a barrier opens before the last has arrived
    lost_wakeup,           // a notification finds a waiter and does not wake it
    channel_duplicates,    // a message is delivered twice
    channel_loses,         // a message is dropped
    channel_reorders,      // messages of one sender overtake each other
    channel_overfills,     // more messages than the capacity are accepted
};
const char* plant_name(Plant plant);
std::vector<Plant> all_plants();

inline constexpr Nanoseconds forever = INT64_MAX;
// As the verbs below take it: a time that is over is 1, as 0 means something else.
template <class Rep, class Period>
Nanoseconds nanoseconds(std::chrono::duration<Rep, Period> duration) {
    const auto limit = std::chrono::duration_cast<std::chrono::duration<double, std::nano>>(
        duration);
    if (limit.count() >= 9e18) return forever;
    return limit.count() < 1 ? 1 : static_cast<Nanoseconds>(limit.count());
}

// One named thing as this node knows it. Lives as long as its Hub.
struct Object;
std::string_view name_of(const Object& object);
NodeId home_of(const Object& object);

// One per node. Owns all objects of the node. Thread-safe. Outlives whoever uses its objects.
class Hub {
public:
    explicit Hub(node::Node& node, Plant plant = Plant::none);
    // Asserts that no task of this node holds a mutex, unless a node was lost or an exception
    // unwinds.
    ~Hub();
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;

    // The objects of that name, made when they are new. No message is sent.
    Object& mutex(std::string_view name);
    Object& shared_mutex(std::string_view name);
    Object& condition(std::string_view name);
    // mismatch when this node knows it with another number; others find out when they arrive.
    Result<Object*> barrier(std::string_view name, std::uint32_t participants);
    // Asks the channel's home: mismatch when it exists with another capacity or type.
    Result<Object*> channel(std::string_view name, std::uint32_t capacity, std::uint64_t type);

    struct Impl;
    Impl& impl() { return *impl_; }

private:
    std::unique_ptr<Impl> impl_;
};

// Verbs on mutexes. Timeouts: 0 only tries, `forever` waits. would_block: somebody else has it;
// timed_out; peer_lost: the home or whoever had the lock is dead.
Result<void> lock(Object& mutex, Nanoseconds timeout = forever);
void unlock(Object& mutex);
Result<void> lock_shared(Object& mutex, bool exclusive, Nanoseconds timeout = forever);
void unlock_shared(Object& mutex, bool exclusive);

// How the calling task has a mutex (shared or not) now. For languages without guards that clean up.
enum class Hold : std::uint8_t { none, shared, exclusive };
Hold held_here(const Object& mutex);

// Waits for a notification with the mutex unlocked; the mutex is locked again afterwards, also
// after timed_out and peer_lost of the condition, but not after a failure with locked == false.
Result<void> wait(Object& condition, Object& mutex, Nanoseconds timeout, bool& locked);
Result<void> notify(Object& condition, std::uint32_t count);  // UINT32_MAX: all

Result<void> arrive_and_wait(Object& barrier);

// Verbs on channels. Messages are bytes, at most max_message_bytes each. cancelled: the channel is
// closed, and for receivers also drained.
using Bytes = std::vector<std::byte>;
inline constexpr std::size_t max_message_bytes = 64u << 20;

Result<void> send(Object& channel, std::span<const std::byte> message,
                  Nanoseconds timeout = forever);
// All of them, in order, in as few messages as possible; waits for room.
Result<void> send_many(Object& channel, const std::vector<Bytes>& messages);
// At least one, at most `most`.
Result<std::vector<Bytes>> receive(Object& channel, std::uint32_t most,
                                   Nanoseconds timeout = forever);
Result<void> close(Object& channel);   // idempotent
// The index of a channel from which a receive would return at once, unless another is faster.
Result<std::size_t> select(std::span<Object* const> channels, Nanoseconds timeout = forever);
// A time limit over several waits, by the clock of the object's node.
class Deadline {
public:
    Deadline(const Object& object, Nanoseconds timeout);
    Nanoseconds left() const;   // at least 1

private:
    const Clock& clock_;
    Nanoseconds end_;
};

}  // namespace ssi::kddm::sync
