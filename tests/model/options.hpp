// SPDX-License-Identifier: BSD-3-Clause
// What a run of the simulator is asked to do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssi/base/result.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/kddm/sync.hpp"

namespace ssi::ckpt {
enum class StopPlant : std::uint8_t;
}

namespace ssi::model {

struct Faults {
    bool delay = false;
    bool reorder = false;
    bool duplicate = false;
    bool kill = false;
    bool kill_in_cut = false;       // in the middle of one
    bool kills() const { return kill || kill_in_cut; }
};

struct Options {
    std::uint32_t nodes = 4;
    std::uint32_t ops = 5000;
    std::uint64_t first_seed = 1;
    std::uint64_t last_seed = 1;
    Faults faults;
    bool faults_given = false;
    kddm::Plant plant = kddm::Plant::none;
    kddm::sync::Plant sync_plant = kddm::sync::Plant::none;
    ckpt::StopPlant stop_plant{};   // none
    std::uint32_t objects = 0;      // cold objects of the largest set; 0: twice the nodes, 32..4096
    std::uint32_t tasks = 2;        // concurrent operations of a node
    std::uint32_t preempt_every = 200;
    std::uint32_t reads = 0;        // percent of the operations that are get, beyond the usual
    std::uint32_t cuts = 0;         // that are tried while all goes on
    bool visits = true;             // objects may be given out for one visit at a time
    bool evict = false;             // sets with budgets, and with a linker
    bool sequential = false;        // one operation at a time in the whole world: for counting
    bool trace = false;
    bool json = false;
    bool list_plants = false;
    bool help = false;

    std::uint32_t cold_objects() const;
    bool any_fault() const {
        return faults.delay || faults.reorder || faults.duplicate || faults.kills();
    }
};

// invalid_argument names the option and what is accepted.
Result<Options> parse_options(const std::vector<std::string>& arguments);
std::string help_text();
std::vector<std::string> plant_names();

}  // namespace ssi::model
