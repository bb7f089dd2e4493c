// SPDX-License-Identifier: BSD-3-Clause
// SharedMutex: a lock of the whole session that many readers or one writer have. Fair: readers that
// come after a waiting writer wait behind it.
#pragma once

#include "ssi/kddm/mutex.hpp"

namespace ssi {

// A handle; copies are the same mutex. Get it from Session::shared_mutex. Use with std::lock_guard,
// std::unique_lock and std::shared_lock. Nodes keep what they had, so reading again what nobody
// wrote sends no message. Misuse aborts, losses throw, as with Mutex; the death of a reader harms
// nobody.
class SharedMutex {
public:
    explicit SharedMutex(kddm::sync::Object& object) : object_(&object) {}

    void lock() { value_or_throw(kddm::sync::lock_shared(*object_, true)); }
    bool try_lock() { return attempt(true, 0, Errc::would_block); }
    template <class Rep, class Period>
    bool try_lock_for(std::chrono::duration<Rep, Period> timeout) {
        return attempt(true, kddm::sync::nanoseconds(timeout), Errc::timed_out);
    }
    void unlock() { kddm::sync::unlock_shared(*object_, true); }

    void lock_shared() { value_or_throw(kddm::sync::lock_shared(*object_, false)); }
    bool try_lock_shared() { return attempt(false, 0, Errc::would_block); }
    template <class Rep, class Period>
    bool try_lock_shared_for(std::chrono::duration<Rep, Period> timeout) {
        return attempt(false, kddm::sync::nanoseconds(timeout), Errc::timed_out);
    }
    void unlock_shared() { kddm::sync::unlock_shared(*object_, false); }

    std::string_view name() const { return kddm::sync::name_of(*object_); }

private:
    bool attempt(bool exclusive, Nanoseconds timeout, Errc no) {
        return Mutex::taken(kddm::sync::lock_shared(*object_, exclusive, timeout), no);
    }
    kddm::sync::Object* object_;
};

}  // namespace ssi
