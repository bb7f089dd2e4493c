// SPDX-License-Identifier: BSD-3-Clause
// Bounce: what a home remembers to find objects whose ownership goes from node to node, and to give
// them out for one visit only: the last put sends a visitor's object home, so that whoever comes
// next finds it there. Two bytes of an entry's home part; a plain value, under the shard lock.
//
// The home does not see how often an owner uses what it has, so it finds out by trying: a node
// that comes back several times in a row, with nobody else in between, may keep the object again,
// and the next try takes twice as many moves.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ssi::kddm {

struct Bounce {
    std::uint16_t moves : 8 = 0;      // in a row, each to another node than the last
    std::uint16_t level : 4 = 0;      // how many tries ended
    std::uint16_t run : 3 = 0;        // times that the same node came back
    std::uint16_t visiting : 1 = 0;   // the object is given out for one visit at a time

    static constexpr unsigned longest_run = 4;   // of one node, before it may keep the object
    static constexpr unsigned most_moves = 255;

    // A node that is not the home takes the object over; `again`: the one that did last;
    // `used_at_home`: since then. True when it is for one visit. `moves_to_visit`: 0 switches it
    // off. That the home and one other node take turns is no bouncing: a visit would spare the home
    // a message and cost the other one.
    bool grab(bool again, bool used_at_home, unsigned moves_to_visit) {
        if (moves_to_visit == 0) return false;
        if (again) {
            moves = 0;
            if (!visiting) return false;
            if (used_at_home) {
                run = 0;
                return true;
            }
            if (run + 1u < longest_run) {
                ++run;
                return true;
            }
            visiting = 0;
            run = 0;
            level = static_cast<std::uint16_t>(std::min(level + 1, 15));
            return false;
        }
        run = 0;
        if (visiting) {
            // A long time of visits: the tries that failed are forgotten.
            moves = static_cast<std::uint16_t>(std::min(moves + 1u, most_moves));
            if (moves == most_moves) level = 0;
            return true;
        }
        moves = static_cast<std::uint16_t>(std::min(moves + 1u, most_moves));
        const unsigned wanted = level > 7 ? most_moves : moves_to_visit << level;
        if (moves < std::min(wanted, most_moves)) return false;
        visiting = 1;
        moves = 0;
        return true;
    }
};
static_assert(sizeof(Bounce) == 2);

}  // namespace ssi::kddm
