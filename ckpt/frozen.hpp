// SPDX-License-Identifier: BSD-3-Clause
// Frozen: states of backends from the cut until they are saved. Whatever happens, they are thawed.
#pragma once

#include <vector>

#include "protection.hpp"
#include "ssi/ckpt/backend.hpp"

namespace ssi::ckpt {

// Of all that are protected: what the first one that refuses says.
Result<void> probe(std::span<const Protected> all);
// In place of what there is of it.
Result<void> put_back(const Protected& one, std::span<const std::byte> bytes);

class Frozen {
public:
    Frozen() = default;
    ~Frozen() { thaw(); }
    Frozen(const Frozen&) = delete;
    Frozen& operator=(const Frozen&) = delete;

    // A failure is one of save().
    void freeze(const Protected& one);
    // `put` gets each state's item, its length, and a piece of it with its place.
    using Put = std::function<Result<void>(SetId item, std::uint64_t total, std::uint64_t place,
                                           std::span<const std::byte> bytes)>;
    Result<void> save(const Put& put);
    void thaw();

private:
    struct State {
        const Protected* one = nullptr;
        std::uint64_t bytes = 0;
    };
    Result<void> save(const State& state, const Put& put);

    std::vector<State> states_;
    Result<void> failed_;
};

}  // namespace ssi::ckpt
