// SPDX-License-Identifier: BSD-3-Clause
#include "support/statistics.hpp"

namespace support {

using ssi::kddm::SetStats;

SetCounters sum_over_ranks(ssi::Session& session, const ssi::kddm::RawSet& set) {
    struct Counter {
        const char* name;
        std::uint64_t SetStats::*value;
    };
    static constexpr Counter counters[] = {
        {"objects", &SetStats::objects},
        {"gets", &SetStats::gets},
        {"grabs", &SetStats::grabs},
        {"hits", &SetStats::hits},
        {"remote_gets", &SetStats::remote_gets},
        {"remote_grabs", &SetStats::remote_grabs},
        {"invalidations", &SetStats::invalidations},
        {"transfers", &SetStats::transfers},
        {"applies", &SetStats::applies},
        {"recalls", &SetStats::recalls},
        {"evictions", &SetStats::evictions},
        {"bytes_in", &SetStats::bytes_in},
        {"bytes_out", &SetStats::bytes_out},
    };
    const SetStats mine = set.stats();
    SetCounters sum;
    sum.set = set.name();
    for (const Counter& counter : counters)
        sum.values.emplace_back(counter.name,
                                session.reduce(mine.*counter.value, ssi::Reduce::sum));
    return sum;
}

}  // namespace support
