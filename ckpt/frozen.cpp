// SPDX-License-Identifier: BSD-3-Clause
#include "frozen.hpp"

#include <fmt/format.h>

#include <utility>

#include "collect.hpp"

namespace ssi::ckpt {
namespace {

// With whose state it is.
Result<void> told(const Protected& one, const std::function<Result<void>()>& verb) {
    auto done = guarded(verb);
    if (done) return done;
    Failure failure = std::move(done).error();
    std::string whose;
    (void)guarded([&]() -> Result<void> {
        whose = one.backend->describe();
        return {};
    });
    failure.text = fmt::format("state '{}' ({}): {}", one.item.name, whose, failure.text);
    return tl::unexpected(std::move(failure));
}

}  // namespace

Result<void> probe(std::span<const Protected> all) {
    for (const Protected& one : all)
        if (one.backend) SSI_TRY(told(one, [&] { return one.backend->probe(); }));
    return {};
}

Result<void> put_back(const Protected& one, std::span<const std::byte> bytes) {
    SSI_TRY(told(one, [&] { return one.backend->kill(); }));
    return told(one, [&] { return one.backend->restore(bytes); });
}

void Frozen::freeze(const Protected& one) {
    if (!failed_) return;
    std::uint64_t bytes = 0;
    failed_ = told(one, [&]() -> Result<void> {
        states_.reserve(states_.size() + 1);   // it must be thawed
        const auto frozen = one.backend->freeze();
        if (!frozen) return tl::unexpected<Failure>(frozen.error());
        bytes = *frozen;
        return {};
    });
    if (failed_) states_.push_back({&one, bytes});
}

Result<void> Frozen::save(const State& state, const Put& put) {
    std::uint64_t place = 0;
    SSI_TRY(told(*state.one, [&] {
        return state.one->backend->save([&](std::span<const std::byte> bytes) -> Result<void> {
            if (bytes.size() > state.bytes - place)
                return fail(Errc::invalid_argument,
                            fmt::format("it gives more than the {} bytes it had said",
                                        state.bytes));
            if (bytes.empty()) return {};
            const auto at = std::exchange(place, place + bytes.size());
            return put(state.one->item.id, state.bytes, at, bytes);
        });
    }));
    if (place == state.bytes) return {};
    return told(*state.one, [&]() -> Result<void> {
        return fail(Errc::invalid_argument,
                    fmt::format("it gave {} of the {} bytes it had said", place, state.bytes));
    });
}

Result<void> Frozen::save(const Put& put) {
    Result<void> saved = failed_;
    for (const State& state : states_)
        if (saved) saved = save(state, put);
    thaw();
    return saved;
}

void Frozen::thaw() {
    for (const State& state : std::exchange(states_, {}))
        (void)guarded([&]() -> Result<void> {
            state.one->backend->thaw();
            return {};
        });
    failed_ = {};
}

}  // namespace ssi::ckpt
