// SPDX-License-Identifier: BSD-3-Clause
// What the verbs on named things share. The handle of a lock, condition or meeting is the object
// itself; that of a channel, which knows the size of its messages, is ours.
#pragma once

#include <cstring>
#include <string>

#include "handles.hpp"
#include "ssi/kddm/sync.hpp"

namespace ssi::capi {

namespace verbs = kddm::sync;

template <class Handle>
verbs::Object& object_of(Handle* handle) {
    return *reinterpret_cast<verbs::Object*>(handle);
}

template <class Handle>
const char* name_of(const Handle* handle) {
    if (!handle) return nullptr;
    return verbs::name_of(*reinterpret_cast<const verbs::Object*>(handle)).data();
}

// Opens by `open(hub)`, which returns a Result<Object*>; `made(object)` is the handle.
template <class Handle, class Open, class Make>
int open_as(ssi_session* session, const char* name, Handle** handle, Open&& open,
            Make&& made) noexcept {
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
            *handle = made(object);
        });
    });
}

template <class Handle, class Open>
int open_as(ssi_session* session, const char* name, Handle** handle, Open&& open) noexcept {
    return open_as(session, name, handle, open, [](verbs::Object* object) {
        return reinterpret_cast<Handle*>(object);
    });
}

template <class Handle, class Body>
int on(Handle* handle, const char* name, Body&& body) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(handle, name));
        return body(object_of(handle));
    });
}

}  // namespace ssi::capi
