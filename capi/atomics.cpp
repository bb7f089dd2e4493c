// SPDX-License-Identifier: BSD-3-Clause
#include <bit>

#include "handles.hpp"

using namespace ssi;
using namespace ssi::capi;
using kddm::AtomicOp;

namespace {

template <class N>
int atomic(ssi_set* set, ssi_object_id id, std::uint32_t offset, AtomicOp op, N operand,
           N* before) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        return with(set->raw.atomic(object(id), kddm::make_atomic(op, operand), offset),
                    [&](std::uint64_t bits) {
                        if (before) *before = std::bit_cast<N>(bits);
                    });
    });
}

template <class N>
int compare_exchange(ssi_set* set, ssi_object_id id, std::uint32_t offset, N* expected, N desired,
                     int* stored) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        SSI_TRY(need(expected, "expected"));
        const auto wanted = std::bit_cast<std::uint64_t>(*expected);
        const auto operation = kddm::make_atomic(AtomicOp::compare_exchange, desired, *expected);
        return with(set->raw.atomic(object(id), operation, offset), [&](std::uint64_t bits) {
            *expected = std::bit_cast<N>(bits);
            if (stored) *stored = bits == wanted;
        });
    });
}

}  // namespace

int ssi_fetch_add_i64(ssi_set* set, ssi_object_id id, uint32_t offset,
                      int64_t delta, int64_t* before) {
    return atomic(set, id, offset, AtomicOp::add, delta, before);
}
int ssi_fetch_add_u64(ssi_set* set, ssi_object_id id, uint32_t offset,
                      uint64_t delta, uint64_t* before) {
    return atomic(set, id, offset, AtomicOp::add, delta, before);
}
int ssi_fetch_add_f64(ssi_set* set, ssi_object_id id, uint32_t offset,
                      double delta, double* before) {
    return atomic(set, id, offset, AtomicOp::add, delta, before);
}
int ssi_fetch_min_i64(ssi_set* set, ssi_object_id id, uint32_t offset,
                      int64_t value, int64_t* before) {
    return atomic(set, id, offset, AtomicOp::min, value, before);
}
int ssi_fetch_min_u64(ssi_set* set, ssi_object_id id, uint32_t offset,
                      uint64_t value, uint64_t* before) {
    return atomic(set, id, offset, AtomicOp::min, value, before);
}
int ssi_fetch_min_f64(ssi_set* set, ssi_object_id id, uint32_t offset,
                      double value, double* before) {
    return atomic(set, id, offset, AtomicOp::min, value, before);
}
int ssi_fetch_max_i64(ssi_set* set, ssi_object_id id, uint32_t offset,
                      int64_t value, int64_t* before) {
    return atomic(set, id, offset, AtomicOp::max, value, before);
}
int ssi_fetch_max_u64(ssi_set* set, ssi_object_id id, uint32_t offset,
                      uint64_t value, uint64_t* before) {
    return atomic(set, id, offset, AtomicOp::max, value, before);
}
int ssi_fetch_max_f64(ssi_set* set, ssi_object_id id, uint32_t offset,
                      double value, double* before) {
    return atomic(set, id, offset, AtomicOp::max, value, before);
}
int ssi_exchange_i64(ssi_set* set, ssi_object_id id, uint32_t offset,
                     int64_t value, int64_t* before) {
    return atomic(set, id, offset, AtomicOp::exchange, value, before);
}
int ssi_exchange_u64(ssi_set* set, ssi_object_id id, uint32_t offset,
                     uint64_t value, uint64_t* before) {
    return atomic(set, id, offset, AtomicOp::exchange, value, before);
}
int ssi_exchange_f64(ssi_set* set, ssi_object_id id, uint32_t offset,
                     double value, double* before) {
    return atomic(set, id, offset, AtomicOp::exchange, value, before);
}
int ssi_compare_exchange_i64(ssi_set* set, ssi_object_id id, uint32_t offset,
                             int64_t* expected, int64_t desired, int* stored) {
    return compare_exchange(set, id, offset, expected, desired, stored);
}
int ssi_compare_exchange_u64(ssi_set* set, ssi_object_id id, uint32_t offset,
                             uint64_t* expected, uint64_t desired, int* stored) {
    return compare_exchange(set, id, offset, expected, desired, stored);
}
int ssi_compare_exchange_f64(ssi_set* set, ssi_object_id id, uint32_t offset,
                             double* expected, double desired, int* stored) {
    return compare_exchange(set, id, offset, expected, desired, stored);
}
