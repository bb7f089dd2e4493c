// SPDX-License-Identifier: BSD-3-Clause
// get, grab and put.
#include "guard_inside.hpp"

using namespace ssi;
using namespace ssi::capi;
using kddm::Access;
using kddm::RawGuard;
using kddm::RawSet;

namespace ssi::capi {

Result<Inside*> held(ssi_guard* guard) {
    SSI_TRY(need(guard, "guard"));
    if (cookie_of(*guard) == second_cookie)
        return fail(Errc::invalid_argument, "the guard is that of a repeated id: use the first");
    if (cookie_of(*guard) != guard_cookie)
        return fail(Errc::invalid_argument, "the guard holds nothing");
    Inside* in = std::launder(reinterpret_cast<Inside*>(guard->opaque));
    const kddm::HeldHere here = in->set->raw.held_here(in->raw.id());
    if (in->raw.access() == Access::write ? !here.grabbed : here.gets == 0)
        return fail(Errc::invalid_argument, "this thread does not hold what the guard says: it was "
                                            "put already, or made by another thread");
    return in;
}

Result<void> check_not_held(const ssi_set& set, ObjectId id) {
    const kddm::HeldHere here = set.raw.held_here(id);
    if (here.grabbed)
        return fail(Errc::deadlock, "this thread has grabbed the object already: use that guard");
    if (here.gets != 0)
        return fail(Errc::deadlock, "this thread holds a get of the object: use ssi_upgrade on "
                                    "that guard");
    return {};
}

}  // namespace ssi::capi

namespace {

template <class Verb>
int acquire(ssi_set* set, ssi_object_id id, ssi_guard* guard, Access access, Verb&& verb) noexcept {
    if (guard) *guard = SSI_GUARD_INIT;
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        SSI_TRY(need(guard, "guard"));
        const ObjectId name = object(id);
        if (access == Access::write) SSI_TRY(check_not_held(*set, name));
        return with(verb(set->raw, name),
                    [&](RawGuard& raw) { fill(*guard, set, std::move(raw)); });
    });
}

}  // namespace

int ssi_get(ssi_set* set, ssi_object_id id, ssi_guard* guard) {
    return acquire(set, id, guard, Access::read, [](RawSet& s, ObjectId o) { return s.get(o); });
}
int ssi_grab(ssi_set* set, ssi_object_id id, ssi_guard* guard) {
    return acquire(set, id, guard, Access::write, [](RawSet& s, ObjectId o) { return s.grab(o); });
}
int ssi_grab_new(ssi_set* set, ssi_object_id id, ssi_guard* guard) {
    return acquire(set, id, guard, Access::write,
                   [](RawSet& s, ObjectId o) { return s.grab_new(o); });
}
int ssi_try_grab(ssi_set* set, ssi_object_id id, ssi_guard* guard) {
    return acquire(set, id, guard, Access::write,
                   [](RawSet& s, ObjectId o) { return s.try_grab(o); });
}

int ssi_upgrade(ssi_guard* guard, int* changed) {
    return call([&]() -> Result<void> {
        const auto in = held(guard);
        if (!in) return tl::unexpected<Failure>(in.error());
        RawGuard& raw = (*in)->raw;
        if (raw.access() == Access::write)
            return fail(Errc::invalid_argument, "the guard is exclusive already");
        const kddm::HeldHere here = (*in)->set->raw.held_here(raw.id());
        if (here.gets != 1 || here.grabbed)
            return fail(Errc::deadlock, "this thread has other guards of the object: put those "
                                        "first");
        const auto moved = raw.upgrade();
        if (!moved) {
            *guard = SSI_GUARD_INIT;
            return tl::unexpected<Failure>(moved.error());
        }
        show(*guard, raw);
        if (changed) *changed = *moved;
        return {};
    });
}

int ssi_resize(ssi_guard* guard, size_t size) {
    return call([&]() -> Result<void> {
        const auto in = held(guard);
        if (!in) return tl::unexpected<Failure>(in.error());
        RawGuard& raw = (*in)->raw;
        if (raw.access() != Access::write)
            return fail(Errc::invalid_argument, "resizing needs a guard made by ssi_grab, or "
                                                "ssi_upgrade");
        SSI_TRY(raw.resize(size));
        show(*guard, raw);
        return {};
    });
}

int ssi_guard_version(const ssi_guard* guard, uint64_t* version) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(version, "version"));
        return with(held(const_cast<ssi_guard*>(guard)),
                    [&](Inside* in) { *version = in->raw.version(); });
    });
}

int ssi_guard_id(const ssi_guard* guard, ssi_object_id* id) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(id, "id"));
        return with(held(const_cast<ssi_guard*>(guard)),
                    [&](Inside* in) { *id = c_id(in->raw.id()); });
    });
}

int ssi_held(const ssi_set* set, ssi_object_id id, uint32_t* gets, int* grabbed) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        const kddm::HeldHere here = set->raw.held_here(object(id));
        if (gets) *gets = here.gets;
        if (grabbed) *grabbed = here.grabbed;
        return {};
    });
}

int ssi_put_failed(ssi_guard* guard, int error, const char* text) {
    return call([&]() -> Result<void> {
        if (error <= SSI_OK || error > static_cast<int>(error_table().back().code))
            return fail(Errc::invalid_argument, std::to_string(error) + " is no error number");
        const auto in = held(guard);
        if (!in) return tl::unexpected<Failure>(in.error());
        const auto code = static_cast<Errc>(error);
        Failure failure{code, 0, no_node, text ? text : error_info(code).text};
        RawGuard raw = std::move((*in)->raw);
        *guard = SSI_GUARD_INIT;
        raw.fail(std::move(failure));
        return {};
    });
}

int ssi_put(ssi_guard* guard) {
    if (guard && cookie_of(*guard) == second_cookie) {
        *guard = SSI_GUARD_INIT;
        return SSI_OK;
    }
    return call([&]() -> Result<void> {
        const auto in = held(guard);
        if (!in) return tl::unexpected<Failure>(in.error());
        RawGuard raw = std::move((*in)->raw);
        *guard = SSI_GUARD_INIT;
        return raw.put();
    });
}
