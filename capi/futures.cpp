// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/kddm/future.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <string>
#include <tuple>

#include "future_inside.hpp"
#include "guard_inside.hpp"

using namespace ssi;
using namespace ssi::capi;
using kddm::Access;
using kddm::AtomicOp;
using kddm::NumberKind;
using Reply = std::vector<std::byte>;

namespace {

// Makes a future by `start`, which returns an ssi_future.
template <class Start>
int begin(ssi_set* set, ssi_future** future, Start&& start) noexcept {
    if (future) *future = nullptr;
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        SSI_TRY(need(future, "future"));
        *future = new ssi_future(start(set->raw));
        return {};
    });
}

template <class N>
int atomic(ssi_set* set, ssi_object_id id, std::uint32_t offset, AtomicOp op, N operand,
           ssi_future** future, N expected = {}) noexcept {
    return begin(set, future, [&](kddm::RawSet& raw) -> ssi_future {
        const auto operation = kddm::make_atomic(op, operand, expected);
        return {raw.atomic_async(object(id), operation, offset), set, object(id), Access::read,
                operation.kind};
    });
}

// Takes the result of a future of this kind and frees it.
template <class T, class Use>
int take(ssi_future* future, const char* kind, Use&& use) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(future, "future"));
        auto* of_kind = std::get_if<Future<T>>(&future->future);
        if (!of_kind)
            return fail(Errc::mismatch, std::string("the future is not of a ") + kind);
        const std::unique_ptr<ssi_future> owned(future);
        return with(of_kind->result(), use);
    });
}

template <class N>
int take_number(ssi_future* future, NumberKind kind, N* before) noexcept {
    if (future && std::holds_alternative<Future<std::uint64_t>>(future->future) &&
        future->kind != kind)
        return remember(Errc::mismatch, "the future is of a number of another type");
    return take<std::uint64_t>(future, "number", [&](std::uint64_t bits) {
        if (before) *before = std::bit_cast<N>(bits);
    });
}

Result<std::vector<kddm::Pending*>> pending(ssi_future* const* futures, std::size_t count) {
    SSI_TRY(need(futures, "futures"));
    std::vector<kddm::Pending*> all;
    for (ssi_future* future : std::span(futures, count)) {
        SSI_TRY(need(future, "a future"));
        all.push_back(&future->pending());
    }
    return all;
}

// Waiting for a guard acquires it, which ends the process when the task holds the object in a way
// that forbids that; and so would two futures of one object.
Result<void> check_acquirable(std::span<ssi_future* const> futures) {
    std::vector<std::tuple<SetId, ObjectId, bool>> wanted;
    for (const ssi_future* future : futures) {
        if (!future->of_guard() || future->waited) continue;
        const bool writes = future->access == Access::write;
        if (writes) SSI_TRY(check_not_held(*future->set, future->id));
        wanted.emplace_back(future->set->raw.id(), future->id, writes);
    }
    std::sort(wanted.begin(), wanted.end());
    for (std::size_t i = 1; i < wanted.size(); ++i) {
        const auto& [set, id, writes] = wanted[i];   // of equal names those that write come last
        if (writes && set == std::get<0>(wanted[i - 1]) && id == std::get<1>(wanted[i - 1]))
            return fail(Errc::deadlock, "two futures want the same object, and one of them to "
                                        "write: take one after the other");
    }
    return {};
}

}  // namespace

int ssi_get_async(ssi_set* set, ssi_object_id id, ssi_future** future) {
    return begin(set, future, [&](kddm::RawSet& raw) -> ssi_future {
        return {raw.get_async(object(id)), set, object(id)};
    });
}

int ssi_grab_async(ssi_set* set, ssi_object_id id, ssi_future** future) {
    return begin(set, future, [&](kddm::RawSet& raw) -> ssi_future {
        return {raw.grab_async(object(id)), set, object(id), Access::write};
    });
}

int ssi_apply_async(ssi_set* set, ssi_object_id id, const char* function, const void* arguments,
                    size_t arguments_size, ssi_future** future) {
    if (!function) return remember(Errc::invalid_argument, "function is NULL");
    if (arguments_size != 0 && !arguments)
        return remember(Errc::invalid_argument, "arguments is NULL");
    return begin(set, future, [&](kddm::RawSet& raw) -> ssi_future {
        const std::span given(static_cast<const std::byte*>(arguments), arguments_size);
        return {raw.apply_async(object(id), function, given), set, object(id)};
    });
}

int ssi_future_ready(ssi_future* future, int* ready) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(future, "future"));
        SSI_TRY(need(ready, "ready"));
        *ready = future->pending().ready();
        return {};
    });
}

int ssi_future_wait(ssi_future* future, int64_t timeout_ms) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(future, "future"));
        SSI_TRY(check_acquirable(std::span(&future, 1)));
        if (future->pending().wait_for(nanoseconds(timeout_ms))) {
            future->waited = true;
            return {};
        }
        if (timeout_ms == 0) return fail(Errc::would_block, "the future has no result yet");
        return fail(Errc::timed_out, "the future had no result within " +
                                         std::to_string(timeout_ms) + " ms");
    });
}

int ssi_future_wait_all(ssi_future* const* futures, size_t count) {
    if (count == 0) return SSI_OK;
    return call([&]() -> Result<void> {
        const auto all = pending(futures, count);
        if (!all) return tl::unexpected<Failure>(all.error());
        const std::span waiting(futures, count);
        SSI_TRY(check_acquirable(waiting));
        kddm::wait_all(*all);
        for (ssi_future* future : waiting) future->waited = true;
        return {};
    });
}

int ssi_future_wait_any(ssi_future* const* futures, size_t count, size_t* index) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(index, "index"));
        if (count == 0)
            return fail(Errc::invalid_argument, "a wait for any of no futures would never end");
        return with(pending(futures, count), [&](auto& all) { *index = kddm::wait_any(all); });
    });
}

int ssi_future_guard(ssi_future* future, ssi_guard* guard) {
    if (guard) *guard = SSI_GUARD_INIT;
    return call([&]() -> Result<void> {
        SSI_TRY(need(future, "future"));
        SSI_TRY(need(guard, "guard"));
        auto* of_guard = std::get_if<Future<kddm::RawGuard>>(&future->future);
        if (!of_guard) return fail(Errc::mismatch, "the future is not of a guard");
        SSI_TRY(check_acquirable(std::span(&future, 1)));
        const std::unique_ptr<ssi_future> owned(future);
        return with(of_guard->result(),
                    [&](kddm::RawGuard& raw) { fill(*guard, future->set, std::move(raw)); });
    });
}

int ssi_future_i64(ssi_future* future, int64_t* before) {
    return take_number(future, NumberKind::int64, before);
}
int ssi_future_u64(ssi_future* future, uint64_t* before) {
    return take_number(future, NumberKind::uint64, before);
}
int ssi_future_f64(ssi_future* future, double* before) {
    return take_number(future, NumberKind::float64, before);
}

int ssi_future_reply(ssi_future* future, void* reply, size_t capacity, size_t* length) {
    std::size_t replied = 0;
    const int result = take<Reply>(future, "reply", [&](const Reply& answer) {
        replied = answer.size();
        if (length) *length = replied;
        const std::size_t fits = std::min(replied, reply ? capacity : 0);
        if (fits != 0) std::memcpy(reply, answer.data(), fits);
    });
    if (result == SSI_OK && replied > (reply ? capacity : 0))
        return remember(Errc::too_large, "the reply has more bytes than there is room for");
    return result;
}

void ssi_future_cancel(ssi_future* future) { delete future; }

// Asynchronous atomics.

int ssi_fetch_add_i64_async(ssi_set* set, ssi_object_id id, uint32_t offset, int64_t delta,
                            ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::add, delta, future);
}
int ssi_fetch_add_u64_async(ssi_set* set, ssi_object_id id, uint32_t offset, uint64_t delta,
                            ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::add, delta, future);
}
int ssi_fetch_add_f64_async(ssi_set* set, ssi_object_id id, uint32_t offset, double delta,
                            ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::add, delta, future);
}
int ssi_fetch_min_i64_async(ssi_set* set, ssi_object_id id, uint32_t offset, int64_t value,
                            ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::min, value, future);
}
int ssi_fetch_min_u64_async(ssi_set* set, ssi_object_id id, uint32_t offset, uint64_t value,
                            ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::min, value, future);
}
int ssi_fetch_min_f64_async(ssi_set* set, ssi_object_id id, uint32_t offset, double value,
                            ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::min, value, future);
}
int ssi_fetch_max_i64_async(ssi_set* set, ssi_object_id id, uint32_t offset, int64_t value,
                            ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::max, value, future);
}
int ssi_fetch_max_u64_async(ssi_set* set, ssi_object_id id, uint32_t offset, uint64_t value,
                            ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::max, value, future);
}
int ssi_fetch_max_f64_async(ssi_set* set, ssi_object_id id, uint32_t offset, double value,
                            ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::max, value, future);
}
int ssi_exchange_i64_async(ssi_set* set, ssi_object_id id, uint32_t offset, int64_t value,
                           ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::exchange, value, future);
}
int ssi_exchange_u64_async(ssi_set* set, ssi_object_id id, uint32_t offset, uint64_t value,
                           ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::exchange, value, future);
}
int ssi_exchange_f64_async(ssi_set* set, ssi_object_id id, uint32_t offset, double value,
                           ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::exchange, value, future);
}
int ssi_compare_exchange_i64_async(ssi_set* set, ssi_object_id id, uint32_t offset,
                                   int64_t expected, int64_t desired, ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::compare_exchange, desired, future, expected);
}
int ssi_compare_exchange_u64_async(ssi_set* set, ssi_object_id id, uint32_t offset,
                                   uint64_t expected, uint64_t desired, ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::compare_exchange, desired, future, expected);
}
int ssi_compare_exchange_f64_async(ssi_set* set, ssi_object_id id, uint32_t offset,
                                   double expected, double desired, ssi_future** future) {
    return atomic(set, id, offset, AtomicOp::compare_exchange, desired, future, expected);
}
