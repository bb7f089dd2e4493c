// SPDX-License-Identifier: BSD-3-Clause
// Update buffers.
#include "ssi/kddm/updates.hpp"

#include <bit>

#include "handles.hpp"

using namespace ssi;
using namespace ssi::capi;

struct ssi_updates {
    kddm::RawUpdates raw;
    kddm::NumberKind kind;
};

namespace {

// Runs `body(buffer, bits)` when the buffer is for numbers of N's kind.
template <class N, class Body>
int with_bits(ssi_updates* updates, N operand, Body&& body) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(updates, "updates"));
        if (kddm::make_atomic(kddm::AtomicOp::add, operand).kind != updates->kind)
            return fail(Errc::mismatch, "the buffer is for numbers of another kind");
        return body(updates->raw, std::bit_cast<std::uint64_t>(operand));
    });
}

template <class N>
int add(ssi_updates* updates, ssi_object_id id, std::uint32_t offset, N operand) noexcept {
    return with_bits(updates, operand,
                     [&](kddm::RawUpdates& raw, std::uint64_t bits) -> Result<void> {
                         if (raw.try_add(object(id), bits, offset)) [[likely]]
                             return {};
                         return raw.add(object(id), bits, offset);
                     });
}

// Numbers of 8 bytes are stored as their bits, whatever their kind.
template <class N>
int fetch(ssi_updates* updates, ssi_object_id id, std::uint32_t offset, N operand,
          N* before) noexcept {
    return with_bits(updates, operand,
                     [&](kddm::RawUpdates& raw, std::uint64_t bits) -> Result<void> {
                         SSI_TRY(need(before, "before"));
                         return raw.fetch(object(id), bits, offset,
                                          reinterpret_cast<std::uint64_t*>(before));
                     });
}

}  // namespace

int ssi_updates_create(ssi_set* set, ssi_operator op, ssi_number kind, ssi_updates** updates) {
    if (updates) *updates = nullptr;
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        SSI_TRY(need(updates, "updates"));
        SSI_TRY(check_updates(op, kind));
        const auto of_kind = static_cast<kddm::NumberKind>(kind);
        *updates = new ssi_updates{
            kddm::RawUpdates(set->raw, static_cast<kddm::AtomicOp>(op), of_kind), of_kind};
        return {};
    });
}

int ssi_updates_add_i64(ssi_updates* updates, ssi_object_id id, uint32_t offset,
                        int64_t operand) {
    return add(updates, id, offset, operand);
}
int ssi_updates_add_u64(ssi_updates* updates, ssi_object_id id, uint32_t offset,
                        uint64_t operand) {
    return add(updates, id, offset, operand);
}
int ssi_updates_add_f64(ssi_updates* updates, ssi_object_id id, uint32_t offset, double operand) {
    return add(updates, id, offset, operand);
}

int ssi_updates_fetch_i64(ssi_updates* updates, ssi_object_id id, uint32_t offset,
                          int64_t operand, int64_t* before) {
    return fetch(updates, id, offset, operand, before);
}
int ssi_updates_fetch_u64(ssi_updates* updates, ssi_object_id id, uint32_t offset,
                          uint64_t operand, uint64_t* before) {
    return fetch(updates, id, offset, operand, before);
}
int ssi_updates_fetch_f64(ssi_updates* updates, ssi_object_id id, uint32_t offset, double operand,
                          double* before) {
    return fetch(updates, id, offset, operand, before);
}

int ssi_updates_flush(ssi_updates* updates) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(updates, "updates"));
        return updates->raw.flush();
    });
}

// A buffer that is freed flushes, and ends the process when that would break the order of guards.
int ssi_updates_destroy(ssi_updates* updates) {
    if (!updates) return SSI_OK;
    const int result = ssi_updates_flush(updates);
    if (result != SSI_ERR_DEADLOCK) delete updates;
    return result;
}
