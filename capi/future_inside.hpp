// SPDX-License-Identifier: BSD-3-Clause
// What an ssi_future is.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "handles.hpp"
#include "ssi/kddm/future.hpp"

struct ssi_future {
    std::variant<ssi::Future<ssi::kddm::RawGuard>, ssi::Future<std::uint64_t>,
                 ssi::Future<std::vector<std::byte>>>
        future;
    ssi_set* set = nullptr;                  // of an object; NULL: the operation is of a file
    ssi::ObjectId id{};
    ssi::kddm::Access access = ssi::kddm::Access::read;            // of a guard
    ssi::kddm::NumberKind kind = ssi::kddm::NumberKind::int64;     // of a number
    bool waited = false;                     // of a guard: it is held, or has failed

    bool of_guard() const { return future.index() == 0; }
    ssi::kddm::Pending& pending() {
        return std::visit([](auto& f) -> ssi::kddm::Pending& { return f.pending(); }, future);
    }
};
