// SPDX-License-Identifier: BSD-3-Clause
// ReadHints: where objects of one set were last seen in the memory of other nodes: a direct-mapped
// cache of addresses. A hint is only ever a guess: whoever follows it checks the name that it
// finds; but there is an entry, as the message that told of it says. Thread-safe; a slot is one
// word.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "ssi/base/ids.hpp"
#include "windows.hpp"

namespace ssi::kddm {

struct ReadHint {
    std::uint64_t address = 0;      // of the entry, in its owner
    Windows::Number window = 0;     // 0: no hint
};

class ReadHints {
public:
    static constexpr std::uint64_t most_slots = 1u << 20;
    static constexpr std::uint64_t unknown_count_slots = 1u << 16;

    // `count` objects in the set, 0: unknown. Memory is touched as hints come in.
    ReadHints(std::uint64_t count, bool simulated) {
        std::uint64_t slots = count == 0 ? unknown_count_slots : std::min(count, most_slots);
        if (simulated) slots = std::min<std::uint64_t>(slots, 64);
        mask_ = std::bit_ceil(slots) - 1;
        slots_.reset(static_cast<std::atomic<std::uint64_t>*>(
            std::calloc(mask_ + 1, sizeof(std::atomic<std::uint64_t>))));
    }

    ReadHint find(ObjectId id) const {
        if (!slots_) return {};
        const std::uint64_t packed = slots_[place(id)].load(std::memory_order_acquire);
        return {packed & address_mask, static_cast<Windows::Number>(packed >> address_bits)};
    }
    void learn(ObjectId id, ReadHint hint) {
        if (!slots_ || hint.address > address_mask) return;
        slots_[place(id)].store(std::uint64_t{hint.window} << address_bits | hint.address,
                                std::memory_order_release);
    }
    void prefetch(ObjectId id) const {
        if (slots_) __builtin_prefetch(&slots_[place(id)]);
    }

private:
    static constexpr unsigned address_bits = 48;
    static constexpr std::uint64_t address_mask = (std::uint64_t{1} << address_bits) - 1;
    // Neighbours in a dense set never meet.
    std::uint64_t place(ObjectId id) const { return (id.lo ^ (id.hi ? mix64(id.hi) : 0)) & mask_; }

    struct Free {
        void operator()(std::atomic<std::uint64_t>* slots) const { std::free(slots); }
    };
    std::uint64_t mask_ = 0;
    std::unique_ptr<std::atomic<std::uint64_t>[], Free> slots_;
};

}  // namespace ssi::kddm
