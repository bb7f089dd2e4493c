// SPDX-License-Identifier: BSD-3-Clause
// A bank: money goes from account to account, and the sum of all stays 0 at every cut.
#pragma once

#include <atomic>
#include <cstdint>
#include <random>

#include "ssi/ckpt/checkpoint.hpp"
#include "ssi/ssi.hpp"

namespace ssi::test {

inline constexpr std::uint64_t accounts = 16;   // of each set

struct Account {
    std::int64_t balance = 0;
    std::uint64_t writes = 0;
};

// By guards of two accounts, and by two atomics that belong together.
inline void move_money(Session& s, kddm::Set<Account>& near, kddm::Set<Account>& far,
                       unsigned seed, const std::atomic<bool>& over) {
    std::mt19937 random(seed);
    while (!over) {
        {
            auto from = near.grab(random() % accounts);
            auto to = far.grab(random() % accounts);
            const auto amount = static_cast<std::int64_t>(random() % 100);
            from->balance -= amount;
            to->balance += amount;
            ++from->writes;
            ++to->writes;
        }
        const CheckpointCriticalSection section(s);
        near.fetch_add(random() % accounts, std::int64_t{5});
        far.fetch_add(random() % accounts, std::int64_t{-5});
    }
}

}  // namespace ssi::test
