// SPDX-License-Identifier: BSD-3-Clause
#include "cuts.hpp"

#include <vector>

#include "ssi/kddm/cut.hpp"
#include "stopping.hpp"

namespace ssi::bench {

CutCost cut_everywhere(World& world, std::span<const kddm::RawSet> sets) {
    std::vector<kddm::Cut> cuts;
    for (std::uint32_t n = 0; n < world.size(); ++n)
        cuts.emplace_back(world.engine(n), &world.hub(n));
    CutCost cost;
    cost.stopping = world.run_all([&](std::uint32_t n) {
        value_or_throw(
            ckpt::stop_and_begin(world.node(n), cuts[n], sets.subspan(n, 1), {}, [] {}));
    });
    world.run_all([&](std::uint32_t n) {
        while (cuts[n].next([](const kddm::CutObject&) {})) ++cost.objects;
        cuts[n].end();
    });
    return cost;
}

}  // namespace ssi::bench
