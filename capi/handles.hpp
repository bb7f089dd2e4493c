// SPDX-License-Identifier: BSD-3-Clause
// What the C handles point to, and the border: call() runs a body that returns Result and turns
// whatever comes out of it, an exception too, into an error number and this task's last error.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ssi/kddm/session.hpp"
#include "ssi/ssi.h"
#include "ssi/sys/task.hpp"

struct ssi_set {
    ssi::kddm::RawSet raw;
};

struct ssi_channel {
    ssi::kddm::sync::Object* object;
    std::size_t message_bytes;   // 0: any
};

struct ssi_session {
    ssi::Session session;
    ssi::sys::Mutex mutex;                         // guards what follows, but `collective`
    std::vector<std::unique_ptr<ssi_set>> sets;    // one handle per set, however often it is opened
    std::vector<std::unique_ptr<ssi_channel>> channels;   // likewise
    ssi::sys::Mutex collective;                    // held by the task that is in one
    std::vector<std::shared_ptr<ssi_fs>> systems;  // mounted, in the order of that
    std::shared_ptr<ssi_checkpoint> checkpoint;    // the one that is open
};

namespace ssi {
class CheckpointCriticalSection;
}

namespace ssi::capi {

// Makes it the calling task's last error and returns its number.
int remember(const Failure& failure) noexcept;
int remember(Errc code, const char* text) noexcept;

template <class Body>
int call(Body&& body) noexcept {
    try {
        Result<void> result = body();
        return result ? SSI_OK : remember(result.error());
    } catch (const Error& error) {
        return remember(error.failure());
    } catch (const std::bad_alloc&) {
        return remember(Errc::out_of_memory, "the process has no memory left");
    } catch (const std::length_error&) {
        return remember(Errc::out_of_memory, "more elements than any memory has room for");
    } catch (const std::exception& error) {
        return remember(Errc::internal, error.what());
    } catch (...) {
        return remember(Errc::internal, "an exception of an unknown type");
    }
}

inline Result<void> need(const void* pointer, const char* name) {
    if (pointer) [[likely]]
        return {};
    return fail(Errc::invalid_argument, std::string(name) + " is NULL");
}

inline ObjectId object(ssi_object_id id) { return {id.hi, id.lo}; }
inline std::vector<ObjectId> objects(const ssi_object_id* ids, std::size_t count) {
    std::vector<ObjectId> names;
    names.reserve(count);
    for (std::size_t i = 0; i < count; ++i) names.push_back(object(ids[i]));
    return names;
}
inline ssi_object_id c_id(ObjectId id) { return {id.hi, id.lo}; }

// As the verbs of kddm take time limits.
inline Nanoseconds nanoseconds(std::int64_t timeout_ms) {
    constexpr std::int64_t per_ms = 1'000'000;
    if (timeout_ms < 0 || timeout_ms > kddm::sync::forever / per_ms) return kddm::sync::forever;
    return timeout_ms * per_ms;
}

inline Result<void> check_kind(ssi_number kind) {
    if (kind == SSI_I64 || kind == SSI_U64 || kind == SSI_F64) return {};
    return fail(Errc::invalid_argument, "kind is no ssi_number");
}
inline Result<void> check_updates(ssi_operator op, ssi_number kind) {
    if (op < SSI_ADD || op > SSI_EXCHANGE)
        return fail(Errc::invalid_argument, "op is no ssi_operator");
    return check_kind(kind);
}

inline Result<void> check_access(ssi_access access) {
    if (access == SSI_READ || access == SSI_WRITE) return {};
    return fail(Errc::invalid_argument, "access is neither SSI_READ nor SSI_WRITE");
}

// Fails with `value`'s failure, or hands the value to `use`.
template <class T, class Use>
Result<void> with(Result<T>&& value, Use&& use) {
    if (!value) return tl::unexpected<Failure>(std::move(value).error());
    use(*value);
    return {};
}

// A critical section that the calling task is in. Not its owner: what a task that ends has not left
// stays entered, as its guards stay held.
struct Entered {
    ssi_session* session;
    CheckpointCriticalSection* section;
};
// Those of the calling task, the innermost last.
std::vector<Entered>& entered();

// Collective: file systems that still are mounted are closed, the newest first.
Result<void> unmount_all(ssi_session& session);

// What fits of `bytes` goes to `to`; too_large, naming `what`, unless that is all.
Result<void> copy_out(std::span<const std::byte> bytes, void* to, std::size_t capacity,
                      const char* what);

}  // namespace ssi::capi
