// SPDX-License-Identifier: BSD-3-Clause
// Locks, conditions, meetings and channels for C. A handle is the object itself, as it lives as
// long as the session.
#include <algorithm>
#include <cstring>
#include <span>
#include <string>

#include "handles.hpp"
#include "ssi/kddm/sync.hpp"

using namespace ssi;
using namespace ssi::capi;
namespace verbs = ssi::kddm::sync;

namespace {

template <class Handle>
verbs::Object& object_of(Handle* handle) {
    return *reinterpret_cast<verbs::Object*>(handle);
}

Nanoseconds nanoseconds(std::int64_t timeout_ms) {
    constexpr std::int64_t per_ms = 1'000'000;
    if (timeout_ms < 0 || timeout_ms > verbs::forever / per_ms) return verbs::forever;
    return timeout_ms * per_ms;
}

// Opens by `open`, which returns a Result<Object*>.
template <class Handle, class Open>
int open_as(ssi_session* session, const char* name, Handle** handle, Open&& open) noexcept {
    if (handle) *handle = nullptr;
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        SSI_TRY(need(name, "name"));
        SSI_TRY(need(handle, "the place for the handle"));
        const std::size_t length = std::strlen(name);
        if (length == 0 || length > 255)
            return fail(Errc::invalid_argument, "a name has 1 to 255 bytes, not " +
                                                    std::to_string(length));
        return with(open(session->session.internal_hub()), [&](verbs::Object* object) {
            *handle = reinterpret_cast<Handle*>(object);
        });
    });
}

template <class Handle, class Body>
int on(Handle* handle, const char* name, Body&& body) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(handle, name));
        return body(object_of(handle));
    });
}

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

int ssi_meeting_open(ssi_session* session, const char* name, uint32_t participants,
                     ssi_meeting** meeting) {
    return open_as(session, name, meeting,
                   [&](verbs::Hub& hub) { return hub.barrier(name, participants); });
}

int ssi_meeting_wait(ssi_meeting* meeting) {
    return on(meeting, "meeting",
              [](verbs::Object& object) { return verbs::arrive_and_wait(object); });
}

int ssi_channel_open(ssi_session* session, const char* name, uint32_t capacity,
                     size_t message_bytes, ssi_channel** channel) {
    return open_as(session, name, channel, [&](verbs::Hub& hub) {
        return hub.channel(name, capacity, message_bytes == 0 ? UINT64_MAX : message_bytes);
    });
}

int ssi_channel_send(ssi_channel* channel, const void* message, size_t length,
                     int64_t timeout_ms) {
    return on(channel, "channel", [&](verbs::Object& object) -> Result<void> {
        if (length != 0) SSI_TRY(need(message, "message"));
        return verbs::send(object, std::span(static_cast<const std::byte*>(message), length),
                          nanoseconds(timeout_ms));
    });
}

int ssi_channel_receive(ssi_channel* channel, void* buffer, size_t capacity, size_t* length,
                        int64_t timeout_ms) {
    return on(channel, "channel", [&](verbs::Object& object) -> Result<void> {
        if (capacity != 0) SSI_TRY(need(buffer, "buffer"));
        const auto messages = verbs::receive(object, 1, nanoseconds(timeout_ms));
        if (!messages) return tl::unexpected<Failure>(messages.error());
        const verbs::Bytes& message = messages->front();
        if (length) *length = message.size();
        const std::size_t fits = std::min(capacity, message.size());
        if (fits != 0) std::memcpy(buffer, message.data(), fits);
        if (fits < message.size())
            return fail(Errc::too_large, "the message has " + std::to_string(message.size()) +
                                             " bytes, but there is room for " +
                                             std::to_string(capacity));
        return {};
    });
}

int ssi_channel_close(ssi_channel* channel) {
    return on(channel, "channel", [](verbs::Object& object) { return verbs::close(object); });
}

int ssi_channel_select(ssi_channel* const* channels, size_t count, int64_t timeout_ms,
                       size_t* index) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(channels, "channels"));
        SSI_TRY(need(index, "index"));
        if (count == 0) return fail(Errc::invalid_argument, "select of no channel");
        std::vector<verbs::Object*> objects;
        for (std::size_t i = 0; i < count; ++i) {
            SSI_TRY(need(channels[i], "a channel"));
            objects.push_back(&object_of(channels[i]));
        }
        return with(verbs::select(objects, nanoseconds(timeout_ms)),
                    [&](std::size_t chosen) { *index = chosen; });
    });
}
