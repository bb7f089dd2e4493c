// SPDX-License-Identifier: BSD-3-Clause
// The verbs that run at an object's home, and those that send it there; see workload_verbs.cpp.
#include <fmt/format.h>

#include <cstring>

#include "pattern.hpp"
#include "workload.hpp"

namespace ssi::model {
namespace {

using Kind = HistoryOp::Kind;

// What is shipped to a function; padding may follow.
struct FunctionArguments {
    std::uint32_t op;
    std::uint32_t object;
    std::uint64_t value;
    std::uint32_t in_place;
    std::uint32_t failing;
};

constexpr std::size_t long_arguments = 9000;  // more than the transport copies

std::vector<std::byte> pack(const FunctionArguments& arguments) {
    const bool padded = arguments.op % 64 == 0;
    std::vector<std::byte> bytes(padded ? long_arguments : sizeof(arguments));
    std::memcpy(bytes.data(), &arguments, sizeof(arguments));
    return bytes;
}

}  // namespace

// Runs the function on an object that this task has grabbed. The value it leaves is the one that
// the operation then finds in its guard.
bool Workload::apply_in_place(const Op& op, Hold& hold) {
    const std::uint64_t value = new_value(op) | 1ull << 50;
    auto reply = set_of(op, op.object)
                     .apply(catalog_.id_of(op.object), "replace",
                            pack({op.number, op.object, value, 1, 0}));
    if (!reply) {
        failed(op, reply.error());
        oracle_.released(op.object, op.number);
        return false;
    }
    const std::uint64_t now = tick();
    histories_[op.object].push_back({Kind::update, hold.since, now, hold.value, value, op.number});
    hold = {op.object, now, value, false};
    return true;
}

// As fetch_add, or, now and then, by compare_exchange while somebody comes between a few times.
Result<std::int64_t> Workload::add_to(const Op& op, std::int64_t delta) {
    auto& set = set_of(op, op.object);
    const ObjectId id = catalog_.id_of(op.object);
    std::int64_t expected = 0;
    for (int tries = op.number % 4 == 0 ? 10 : 0; tries > 0; --tries) {
        auto found = set.compare_exchange(id, expected, expected + delta);
        if (!found || *found == expected) return found;
        expected = *found;
    }
    return set.fetch_add(id, delta);
}

void Workload::do_fetch_add(const Op& op) {
    const auto delta = static_cast<std::int64_t>(1 + random_.below(1000));
    note(op, op.object, "called", static_cast<std::uint64_t>(delta), 0);
    const std::uint64_t call = tick();
    auto before = add_to(op, delta);
    if (!before) {
        failed(op, before.error());
        return;
    }
    note(op, op.object, "returned", static_cast<std::uint64_t>(*before), 0);
    counters_[op.object].push_back({true, call, tick(), *before, delta, op.number});
}

void Workload::do_apply(const Op& op, bool failing) {
    note(op, op.object, "called", new_value(op), 0);
    const std::uint64_t call = tick();
    auto reply =
        set_of(op, op.object)
            .apply(catalog_.id_of(op.object), op.number % 3 == 0 ? "replace_later" : "replace",
                   pack({op.number, op.object, new_value(op), 0, failing}));
    if (failing && !reply && reply.error().code == Errc::function_failed) return;
    if (!reply) {
        // It may have run, or run later: then its effect has no end.
        if (failed(op, reply.error())) doubtful_.push_back(op.number);
        return;
    }
    std::uint64_t before = 0;
    if (failing || reply->size() != sizeof(before) || !oracle_.was_executed(op.number))
        return world_.verdict.fail("executed_once",
                                   fmt::format("operation {} returned, but its function did not do "
                                               "what it was asked",
                                               op.number));
    std::memcpy(&before, reply->data(), sizeof(before));
    note(op, op.object, "returned", before, 0);
    histories_[op.object].push_back(
        {Kind::update, call, tick(), before, new_value(op), op.number});
}

// At the object's home, or in place.
Result<void> Workload::run_function(std::uint32_t node, kddm::ObjectView& object,
                                    std::span<const std::byte> bytes,
                                    std::vector<std::byte>& reply) {
    FunctionArguments arguments;
    std::memcpy(&arguments, bytes.data(), sizeof(arguments));
    const auto before = value_of(object.bytes());
    if (!before)
        world_.verdict.fail("torn", fmt::format("the function of operation {} on node {} found "
                                                "bytes that are no single value's",
                                                arguments.op, node));
    if (arguments.failing) return fail(Errc::invalid_argument, "asked to fail");
    oracle_.executed(arguments.object, arguments.op, arguments.in_place != 0, before.value_or(0),
                     arguments.value);
    if (catalog_.plan_of(arguments.object).options.kind == kddm::ObjectKind::variable)
        SSI_TRY(object.resize(variable_length(arguments.value)));
    fill(object.bytes(), arguments.value);
    const std::uint64_t value = before.value_or(0);
    const auto* first = reinterpret_cast<const std::byte*>(&value);
    reply.assign(first, first + sizeof(value));
    return {};
}

// The last guard of a revoked object is gone and its bytes have not left: they are still the
// newest.
void Workload::on_release(std::uint32_t node, std::uint32_t object,
                          std::span<const std::byte> bytes) {
    const auto value = value_of(bytes);
    if (!value)
        return world_.verdict.fail("torn",
                                   fmt::format("the release hook of node {} found bytes that "
                                               "are no single value's",
                                               node));
    oracle_.release_hook(object, node, *value);
}

void Workload::do_flush(const Op& op) {
    auto flushed = set_of(op, op.object).flush(catalog_.id_of(op.object));
    if (!flushed && flushed.error().code != Errc::would_block) failed(op, flushed.error());
}

void Workload::do_remove(const Op& op) {
    note(op, op.object, "called", 0, 0);
    const std::uint64_t call = tick();
    auto removed = set_of(op, op.object).remove(catalog_.id_of(op.object));
    if (!removed) {
        if (failed(op, removed.error())) doubtful_.push_back(op.number);
        return;
    }
    note(op, op.object, "returned", 0, 0);
    histories_[op.object].push_back({Kind::remove, call, tick(), 0, 0, op.number});
}

}  // namespace ssi::model
