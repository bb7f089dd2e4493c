// SPDX-License-Identifier: BSD-3-Clause
// Mutex: a lock of the whole session, by name. Fair, first come, first served. A node that locks
// again what nobody else wanted meanwhile sends no message; a contended lock changes hands by one.
#pragma once

#include <chrono>

#include "ssi/kddm/sync.hpp"

namespace ssi {

// A handle; copies are the same mutex. Get it from Session::mutex. Use with std::lock_guard,
// std::unique_lock and std::scoped_lock. Not recursive: a second lock by the same task aborts, and
// so does an unlock by another. Throws ssi::Error(peer_lost) when the mutex is lost with a node.
// Several mutexes are taken in one order everywhere, or they deadlock.
class Mutex {
public:
    explicit Mutex(kddm::sync::Object& object) : object_(&object) {}

    void lock() { value_or_throw(kddm::sync::lock(*object_)); }
    // False when somebody else has it, or waits for it; asks other nodes, but waits for no holder.
    bool try_lock() { return taken(kddm::sync::lock(*object_, 0), Errc::would_block); }
    template <class Rep, class Period>
    bool try_lock_for(std::chrono::duration<Rep, Period> timeout) {
        return taken(kddm::sync::lock(*object_, kddm::sync::nanoseconds(timeout)),
                     Errc::timed_out);
    }
    void unlock() { kddm::sync::unlock(*object_); }

    std::string_view name() const { return kddm::sync::name_of(*object_); }
    kddm::sync::Object& object() const { return *object_; }

    // A result as a bool; throws what is neither success nor `no`.
    static bool taken(Result<void> result, Errc no) {
        const bool got = result.has_value();
        if (!got && result.error().code != no && result.error().code != Errc::would_block)
            throw Error(std::move(result).error());
        return got;
    }

private:
    kddm::sync::Object* object_;
};

}  // namespace ssi
