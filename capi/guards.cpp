// SPDX-License-Identifier: BSD-3-Clause
// get, grab and put. A RawGuard lives inside the caller's ssi_guard, so that an acquisition
// allocates nothing. C programs copy structs and put twice: whatever a guard says is checked
// against what the task really holds before it is let go.
#include <cstring>
#include <memory>
#include <new>

#include "handles.hpp"

using namespace ssi;
using namespace ssi::capi;
using kddm::Access;
using kddm::RawGuard;
using kddm::RawSet;

namespace {

// Tells a guard that holds something from zeroes and from memory that never was one.
constexpr std::uint64_t cookie = 0x6472617567697373ull;

struct Inside {
    RawGuard raw;
    ssi_set* set;
    std::uint64_t cookie;
};
static_assert(sizeof(Inside) <= sizeof(ssi_guard::opaque) && alignof(Inside) <= 8);

Inside* inside(ssi_guard* guard) { return std::launder(reinterpret_cast<Inside*>(guard->opaque)); }

void show(ssi_guard& guard, RawGuard& raw) {
    guard.data = raw.bytes().data();
    guard.size = raw.bytes().size();
    guard.writable = raw.access() == Access::write ? raw.writable().data() : nullptr;
}

void fill(ssi_guard& guard, ssi_set* set, RawGuard&& raw) {
    show(guard, raw);
    new (guard.opaque) Inside{std::move(raw), set, cookie};
}

// The inside of a guard that the calling task holds.
Result<Inside*> held(ssi_guard* guard) {
    SSI_TRY(need(guard, "guard"));
    std::uint64_t word;
    std::memcpy(&word, reinterpret_cast<const char*>(guard->opaque) + offsetof(Inside, cookie),
                sizeof word);
    if (word != cookie)
        return fail(Errc::invalid_argument, "the guard holds nothing");
    Inside* in = inside(guard);
    const kddm::HeldHere here = in->set->raw.held_here(in->raw.id());
    if (in->raw.access() == Access::write ? !here.grabbed : here.gets == 0)
        return fail(Errc::invalid_argument, "this thread does not hold what the guard says: it was "
                                            "put already, or made by another thread");
    return in;
}

template <class Verb>
int acquire(ssi_set* set, ssi_object_id id, ssi_guard* guard, Access access, Verb&& verb) noexcept {
    if (guard) *guard = SSI_GUARD_INIT;
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        SSI_TRY(need(guard, "guard"));
        const ObjectId name = object(id);
        if (access == Access::write) {
            const kddm::HeldHere here = set->raw.held_here(name);
            if (here.grabbed)
                return fail(Errc::deadlock, "this thread has grabbed the object already: use that "
                                            "guard");
            if (here.gets != 0)
                return fail(Errc::deadlock, "this thread holds a get of the object: use "
                                            "ssi_upgrade on that guard");
        }
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

int ssi_put(ssi_guard* guard) {
    return call([&]() -> Result<void> {
        const auto in = held(guard);
        if (!in) return tl::unexpected<Failure>(in.error());
        RawGuard raw = std::move((*in)->raw);
        *guard = SSI_GUARD_INIT;
        return raw.put();
    });
}
