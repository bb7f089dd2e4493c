// SPDX-License-Identifier: BSD-3-Clause
// Locks, conditions and meetings for C. A handle is the object itself, as it lives as long as the
// session.
#include "sync_inside.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace {

Result<void> check_free(verbs::Object& lock) {
    if (verbs::held_here(lock) == verbs::Hold::none) return {};
    return fail(Errc::deadlock, "this thread has the mutex already: unlock it first");
}

Result<void> not_locked() {
    return fail(Errc::invalid_argument, "this thread has not locked the mutex");
}

}  // namespace

int ssi_mutex_open(ssi_session* session, const char* name, ssi_mutex** mutex) {
    return open_as(session, name, mutex, [&](verbs::Hub& hub) -> Result<verbs::Object*> {
        return &hub.mutex(name);
    });
}

int ssi_mutex_lock(ssi_mutex* mutex, int64_t timeout_ms) {
    return on(mutex, "mutex", [&](verbs::Object& object) -> Result<void> {
        SSI_TRY(check_free(object));
        return verbs::lock(object, nanoseconds(timeout_ms));
    });
}

int ssi_mutex_unlock(ssi_mutex* mutex) {
    return on(mutex, "mutex", [&](verbs::Object& object) -> Result<void> {
        if (verbs::held_here(object) == verbs::Hold::none) return not_locked();
        verbs::unlock(object);
        return {};
    });
}

int ssi_mutex_held(const ssi_mutex* mutex, int* held) {
    return on(const_cast<ssi_mutex*>(mutex), "mutex", [&](verbs::Object& object) -> Result<void> {
        SSI_TRY(need(held, "held"));
        *held = verbs::held_here(object) != verbs::Hold::none;
        return {};
    });
}

const char* ssi_mutex_name(const ssi_mutex* mutex) { return name_of(mutex); }

int ssi_shared_mutex_open(ssi_session* session, const char* name, ssi_shared_mutex** mutex) {
    return open_as(session, name, mutex, [&](verbs::Hub& hub) -> Result<verbs::Object*> {
        return &hub.shared_mutex(name);
    });
}

int ssi_shared_mutex_lock(ssi_shared_mutex* mutex, ssi_access access, int64_t timeout_ms) {
    return on(mutex, "mutex", [&](verbs::Object& object) -> Result<void> {
        if (access != SSI_READ && access != SSI_WRITE)
            return fail(Errc::invalid_argument, "access is neither SSI_READ nor SSI_WRITE");
        SSI_TRY(check_free(object));
        return verbs::lock_shared(object, access == SSI_WRITE, nanoseconds(timeout_ms));
    });
}

int ssi_shared_mutex_unlock(ssi_shared_mutex* mutex) {
    return on(mutex, "mutex", [&](verbs::Object& object) -> Result<void> {
        const verbs::Hold hold = verbs::held_here(object);
        if (hold == verbs::Hold::none) return not_locked();
        verbs::unlock_shared(object, hold == verbs::Hold::exclusive);
        return {};
    });
}

int ssi_shared_mutex_held(const ssi_shared_mutex* mutex, ssi_access* access) {
    return on(const_cast<ssi_shared_mutex*>(mutex), "mutex",
              [&](verbs::Object& object) -> Result<void> {
                  SSI_TRY(need(access, "access"));
                  const verbs::Hold hold = verbs::held_here(object);
                  *access = hold == verbs::Hold::none     ? SSI_NONE
                            : hold == verbs::Hold::shared ? SSI_READ
                                                          : SSI_WRITE;
                  return {};
              });
}

const char* ssi_shared_mutex_name(const ssi_shared_mutex* mutex) { return name_of(mutex); }

int ssi_condition_open(ssi_session* session, const char* name, ssi_condition** condition) {
    return open_as(session, name, condition, [&](verbs::Hub& hub) -> Result<verbs::Object*> {
        return &hub.condition(name);
    });
}

int ssi_condition_wait(ssi_condition* condition, ssi_mutex* mutex, int64_t timeout_ms,
                       int* locked) {
    bool still = false;
    const int result = on(condition, "condition", [&](verbs::Object& object) -> Result<void> {
        SSI_TRY(need(mutex, "mutex"));
        if (verbs::held_here(object_of(mutex)) == verbs::Hold::none) return not_locked();
        still = true;
        return verbs::wait(object, object_of(mutex), nanoseconds(timeout_ms), still);
    });
    if (locked) *locked = still;
    return result;
}

int ssi_condition_notify_one(ssi_condition* condition) {
    return on(condition, "condition",
              [](verbs::Object& object) { return verbs::notify(object, 1); });
}

int ssi_condition_notify_all(ssi_condition* condition) {
    return on(condition, "condition",
              [](verbs::Object& object) { return verbs::notify(object, UINT32_MAX); });
}

const char* ssi_condition_name(const ssi_condition* condition) { return name_of(condition); }

int ssi_meeting_open(ssi_session* session, const char* name, uint32_t participants,
                     ssi_meeting** meeting) {
    return open_as(session, name, meeting,
                   [&](verbs::Hub& hub) { return hub.barrier(name, participants); });
}

int ssi_meeting_wait(ssi_meeting* meeting) {
    return on(meeting, "meeting",
              [](verbs::Object& object) { return verbs::arrive_and_wait(object); });
}

const char* ssi_meeting_name(const ssi_meeting* meeting) { return name_of(meeting); }
