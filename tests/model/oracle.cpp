// SPDX-License-Identifier: BSD-3-Clause
#include "oracle.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ssi::model {

Oracle::Oracle(Verdict& verdict, std::uint32_t objects) : verdict_(verdict), objects_(objects) {}

void Oracle::called(std::uint32_t object, std::uint32_t op) {
    objects_[object].waiting.push_back({op, 0});
}

void Oracle::gave_up(std::uint32_t object, std::uint32_t op) {
    stop_waiting(objects_[object], object, op, false);
}

// Those who were called earlier and still wait have been passed once more. An operation that does
// not wait in line (try_grab) passes nobody.
void Oracle::stop_waiting(Object& object, std::uint32_t number, std::uint32_t op, bool served) {
    auto& waiting = object.waiting;
    const auto mine = std::find_if(waiting.begin(), waiting.end(),
                                   [&](const Waiting& w) { return w.op == op; });
    if (mine == waiting.end()) return;
    for (auto w = waiting.begin(); served && w != mine; ++w) {
        most_passed_ = std::max(most_passed_, ++w->passed);
        if (w->passed > patience_)
            verdict_.fail("fairness",
                          fmt::format("operation {} still waits for object {} though {} that came "
                                      "later were served",
                                      w->op, number, w->passed));
    }
    waiting.erase(mine);
}

void Oracle::acquired(std::uint32_t number, std::uint32_t op, std::uint32_t node, bool write,
                      const Seen& seen) {
    Object& object = objects_[number];
    stop_waiting(object, number, op, true);
    for (const Holder& holder : object.holders)
        if ((holder.write || write) && holder.op != op)
            verdict_.fail("exclusion",
                          fmt::format("operation {} on node {} {} object {} while operation {} on "
                                      "node {} {} it",
                                      op, node, write ? "grabbed" : "got", number, holder.op,
                                      holder.node, holder.write ? "grabs" : "holds"));
    object.holders.push_back({op, node, write});
    object.newest = std::max(object.newest, seen.version);
    if (seen.free) return;
    if (!seen.fresh) check_value(object, number, op, seen.value);
    check_version(object, number, op, seen);
}

void Oracle::check_value(Object& object, std::uint32_t number, std::uint32_t op,
                         std::uint64_t value) {
    if (!object.certain || (object.may_be_renewed && value == 0)) {
        object.value = value;
        object.certain = true;
    }
    if (value != object.value)
        verdict_.fail("value", fmt::format("operation {} found value {} in object {}, but the last "
                                           "release left {}",
                                           op, value, number, object.value));
}

void Oracle::check_version(Object& object, std::uint32_t number, std::uint32_t op,
                           const Seen& seen) {
    if (seen.fresh) return;
    if (seen.version < object.version)
        verdict_.fail("version", fmt::format("operation {} found version {} of object {} after {}",
                                             op, seen.version, number, object.version));
    if (seen.version == object.version && seen.value != object.version_value)
        verdict_.fail("version",
                      fmt::format("operation {} found value {} in version {} of object {}, where "
                                  "another found {}",
                                  op, seen.value, seen.version, number, object.version_value));
    object.version = seen.version;
    object.version_value = seen.value;
    check_pair(object, number, op, seen);
}

// Whoever is shown a version is shown the same value.
void Oracle::check_pair(Object& object, std::uint32_t number, std::uint32_t op, const Seen& seen) {
    const auto [at, fresh] = object.values.emplace(seen.version, seen.value);
    if (!fresh && at->second != seen.value)
        verdict_.fail("version",
                      fmt::format("operation {} found value {} in version {} of object {}, where "
                                  "another found {}",
                                  op, seen.value, seen.version, number, at->second));
}

void Oracle::read(std::uint32_t number, std::uint32_t op, std::uint64_t floor, const Seen& seen) {
    Object& object = objects_[number];
    if (seen.version < floor)
        verdict_.fail("version", fmt::format("operation {} read version {} of object {}, though {} "
                                             "had been seen before",
                                             op, seen.version, number, floor));
    object.newest = std::max(object.newest, seen.version);
    if (!seen.free) check_pair(object, number, op, seen);
}

void Oracle::released(std::uint32_t number, std::uint32_t op) {
    std::erase_if(objects_[number].holders, [&](const Holder& h) { return h.op == op; });
}

void Oracle::released(std::uint32_t number, std::uint32_t op, std::uint64_t new_value) {
    released(number, op);
    objects_[number].value = new_value;
    objects_[number].certain = true;
}

void Oracle::executed(std::uint32_t number, std::uint32_t op, bool in_place, std::uint64_t value,
                      std::uint64_t new_value) {
    Object& object = objects_[number];
    if (op >= executed_.size()) executed_.resize(op + 1);
    if (executed_[op])
        verdict_.fail(
            "executed_once",
            fmt::format("the function of operation {} ran again on object {}", op, number));
    executed_[op] = true;
    for (const Holder& holder : object.holders)
        if (!in_place || holder.op != op)
            verdict_.fail("exclusion",
                          fmt::format("the function of operation {} ran on object {} while "
                                      "operation {} on node {} held it",
                                      op, number, holder.op, holder.node));
    check_value(object, number, op, value);
    object.value = new_value;
}

bool Oracle::was_executed(std::uint32_t op) const {
    return op < executed_.size() && executed_[op];
}

void Oracle::release_hook(std::uint32_t number, std::uint32_t node, std::uint64_t value) {
    const Object& object = objects_[number];
    for (const Holder& holder : object.holders)
        if (holder.node == node && holder.write)
            verdict_.fail("release_hook",
                          fmt::format("the release hook ran for object {} on node {} while "
                                      "operation {} grabs it there",
                                      number, node, holder.op));
    if (object.certain && !object.may_be_renewed && value != object.value)
        verdict_.fail(
            "release_hook",
            fmt::format("the release hook of node {} found value {} in object {}, but the "
                        "last release left {}",
                        node, value, number, object.value));
}

void Oracle::node_died(std::uint32_t node) {
    for (Object& object : objects_) {
        for (const Holder& holder : object.holders)
            if (holder.node == node && holder.write) object.certain = false;
        std::erase_if(object.holders, [&](const Holder& h) { return h.node == node; });
    }
}

}  // namespace ssi::model
