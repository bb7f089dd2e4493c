// SPDX-License-Identifier: BSD-3-Clause
// SlowLinker: where the sets of a node that have a linker are kept in the simulation: a map that
// takes its time, and that fails now and then.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "ssi/base/random.hpp"
#include "ssi/kddm/linker.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::model {

class SlowLinker final : public kddm::Linker {
public:
    SlowLinker(sys::Tasks& tasks, std::uint64_t seed) : tasks_(tasks), random_(seed) {}

    Result<std::size_t> fetch(kddm::ObjectView& object) override;
    Result<void> write_back(ObjectId id, std::span<const std::byte> bytes) override;
    Result<void> remove(ObjectId id) override;

    void stop_failing() { fails_ = false; }
    const std::vector<std::byte>* find(ObjectId id) const;   // null: not here

private:
    Result<void> take_time();

    sys::Tasks& tasks_;
    Random random_;
    bool fails_ = true;
    std::map<ObjectId, std::vector<std::byte>> objects_;
};

}  // namespace ssi::model
