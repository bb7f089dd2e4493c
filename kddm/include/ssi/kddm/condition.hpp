// SPDX-License-Identifier: BSD-3-Clause
// Condition: a condition variable of the whole session, used with a Mutex.
#pragma once

#include <mutex>

#include "ssi/kddm/mutex.hpp"

namespace ssi {

// A handle; copies are the same condition. Get it from Session::condition. First come, first woken.
// Wakes may be spurious, so wait for a predicate, and change what it looks at under the mutex.
// After the death of any node waiting throws peer_lost: whoever would notify may be dead. The lock
// is held again then, unless the mutex is lost too: ask lock.owns_lock().
class Condition {
public:
    explicit Condition(kddm::sync::Object& object) : object_(&object) {}

    void wait(std::unique_lock<Mutex>& lock) { (void)wait(lock, kddm::sync::forever); }
    template <class Predicate>
    void wait(std::unique_lock<Mutex>& lock, Predicate predicate) {
        while (!predicate()) wait(lock);
    }
    // False when the time passed first.
    template <class Rep, class Period>
    bool wait_for(std::unique_lock<Mutex>& lock, std::chrono::duration<Rep, Period> timeout) {
        return wait(lock, kddm::sync::nanoseconds(timeout));
    }
    void notify_one() { value_or_throw(kddm::sync::notify(*object_, 1)); }
    void notify_all() { value_or_throw(kddm::sync::notify(*object_, UINT32_MAX)); }

    std::string_view name() const { return kddm::sync::name_of(*object_); }

private:
    bool wait(std::unique_lock<Mutex>& lock, Nanoseconds timeout) {
        bool locked = true;
        auto woken =
            kddm::sync::wait(*object_, lock.mutex()->object(), timeout, locked);
        if (!locked) (void)lock.release();
        return Mutex::taken(std::move(woken), Errc::timed_out);
    }
    kddm::sync::Object* object_;
};

}  // namespace ssi
