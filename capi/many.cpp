// SPDX-License-Identifier: BSD-3-Clause
// Many objects at once.
#include "ssi/kddm/many.hpp"

#include <bit>
#include <span>

#include "guard_inside.hpp"
#include "ssi/kddm/updates.hpp"

using namespace ssi;
using namespace ssi::capi;
using kddm::Access;

namespace {

// Moves the distinct guards into the caller's array. Where an id is repeated the guard shows the
// object, too, and holds nothing.
void spread(ssi_set* set, kddm::RawGuards&& raw, std::span<ssi_guard> guards) {
    std::vector<std::size_t> first(raw.distinct().size(), guards.size());
    for (std::size_t i = 0; i < guards.size(); ++i) {
        const std::size_t place = raw.place(i);
        if (first[place] == guards.size()) {
            first[place] = i;
            fill(guards[i], set, std::move(raw.distinct()[place]));
        } else {
            show_again(guards[i], guards[first[place]]);
        }
    }
}

int acquire_many(ssi_set* set, const ssi_object_id* ids, std::size_t count, ssi_guard* guards,
                 Access access) noexcept {
    if (guards)
        for (std::size_t i = 0; i < count; ++i) guards[i] = SSI_GUARD_INIT;
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        if (count == 0) return {};
        SSI_TRY(need(ids, "ids"));
        SSI_TRY(need(guards, "guards"));
        const auto names = objects(ids, count);
        if (access == Access::write)
            for (const ObjectId name : names) SSI_TRY(check_not_held(*set, name));
        return with(access == Access::write ? set->raw.grab_many(names) : set->raw.get_many(names),
                    [&](kddm::RawGuards& raw) {
                        spread(set, std::move(raw), std::span(guards, count));
                    });
    });
}

}  // namespace

int ssi_get_many(ssi_set* set, const ssi_object_id* ids, size_t count, ssi_guard* guards) {
    return acquire_many(set, ids, count, guards, Access::read);
}

int ssi_grab_many(ssi_set* set, const ssi_object_id* ids, size_t count, ssi_guard* guards) {
    return acquire_many(set, ids, count, guards, Access::write);
}

int ssi_put_many(ssi_guard* guards, size_t count) {
    if (count == 0) return SSI_OK;
    if (!guards) return remember(Errc::invalid_argument, "guards is NULL");
    int first = SSI_OK;
    for (std::size_t i = 0; i < count; ++i)
        if (const int result = ssi_put(&guards[i]); first == SSI_OK) first = result;
    return first;
}

int ssi_prefetch_many(ssi_set* set, const ssi_object_id* ids, size_t count, ssi_access access) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        SSI_TRY(check_access(access));
        if (count == 0) return {};
        SSI_TRY(need(ids, "ids"));
        return set->raw.prefetch_many(objects(ids, count), static_cast<Access>(access));
    });
}

int ssi_prefetch_range(ssi_set* set, ssi_object_id first, uint64_t count, uint64_t stride,
                       ssi_access access) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        SSI_TRY(check_access(access));
        return set->raw.prefetch_range(object(first), count, stride, static_cast<Access>(access));
    });
}

int ssi_migrate(ssi_set* set, const ssi_object_id* ids, size_t count, uint32_t node) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        if (count != 0) SSI_TRY(need(ids, "ids"));
        return set->raw.migrate(objects(ids, count), NodeId(node));
    });
}

int ssi_update_many(ssi_set* set, ssi_operator op, ssi_number kind, const ssi_update* updates,
                    size_t count, void* before) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        SSI_TRY(check_updates(op, kind));
        if (count == 0) return {};
        SSI_TRY(need(updates, "updates"));
        std::vector<kddm::Update> all;
        all.reserve(count);
        for (const ssi_update& update : std::span(updates, count))
            all.push_back({object(update.id), update.operand.u64, update.offset});
        const std::span stood(static_cast<std::uint64_t*>(before), before ? count : 0);
        return set->raw.update_many(static_cast<kddm::AtomicOp>(op),
                                    static_cast<kddm::NumberKind>(kind), all, stood);
    });
}
