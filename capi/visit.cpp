// SPDX-License-Identifier: BSD-3-Clause
// Loops over what is here.
#include <functional>

#include "guard_inside.hpp"

using namespace ssi;
using namespace ssi::capi;
using kddm::RawGuard;

namespace {

// How a visitor's number leaves the loop.
struct Stop {
    int number;
};

// The guard while its visitor runs. Whatever happens it is let go afterwards, unless the visitor
// has put it or taken it over.
class Visit {
public:
    Visit(ssi_set* set, RawGuard&& raw) { fill(guard, set, std::move(raw)); }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    ~Visit() {
        try {
            (void)taken_back();
        } catch (...) {   // no memory to say why: it was put already
        }
    }
    Result<void> put() { return taken_back().put(); }

    ssi_guard guard;

private:
    RawGuard taken_back() {
        if (cookie_of(guard) != guard_cookie) return {};
        const auto in = held(&guard);
        RawGuard raw;
        if (in) raw = std::move((*in)->raw);
        guard = SSI_GUARD_INIT;
        return raw;
    }
};

// Calls the visitor in a loop by `loop(set, visit)`.
template <class Loop>
int for_each(ssi_set* set, ssi_visitor visitor, void* context, std::uint64_t* visited,
             Loop&& loop) noexcept {
    std::uint64_t count = 0;
    int number = 0;
    const int result = call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        SSI_TRY(need(reinterpret_cast<const void*>(visitor), "visit"));
        const auto visit = [&](RawGuard& raw) {
            const ssi_object_id id = c_id(raw.id());
            Visit one(set, std::move(raw));
            ++count;
            if (const int said = visitor(id, &one.guard, context)) throw Stop{said};
            value_or_throw(one.put());
        };
        try {
            return with(loop(set->raw, visit), [](std::uint64_t) {});
        } catch (const Stop& stop) {
            number = stop.number;
            return {};
        }
    });
    if (visited) *visited = count;
    return number != 0 ? number : result;
}

}  // namespace

int ssi_for_each_local(ssi_set* set, ssi_visitor visit, void* context, uint64_t* visited) {
    return for_each(set, visit, context, visited, [](kddm::RawSet& raw, const auto& each) {
        return raw.for_each_local(each);
    });
}

int ssi_for_each_owned(ssi_set* set, ssi_access access, ssi_visitor visit, void* context,
                       uint64_t* visited) {
    if (visited) *visited = 0;
    if (const int wrong = call([&] { return check_access(access); }); wrong != SSI_OK)
        return wrong;
    return for_each(set, visit, context, visited, [&](kddm::RawSet& raw, const auto& each) {
        return raw.for_each_owned(each, static_cast<kddm::Access>(access));
    });
}
