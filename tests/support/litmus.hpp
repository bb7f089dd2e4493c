// SPDX-License-Identifier: BSD-3-Clause
// Litmus tests: tiny programs of reads and writes by several threads, run many times; what they saw
// is compared with what the memory model allows. The allowed outcomes are not listed but computed:
// those of all interleavings (sequential), or of each object for itself (per_object).
//
// A program is one line, `x=1 y? | y=1 x?`: threads between bars, a step `x=1` writes 1 to object
// x, `y?` reads y. An outcome is what the reads saw, in order, and the last value of each object.
// A new verb is one line in ways(); a new program one in programs().
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/kddm/raw_set.hpp"

namespace ssi::test::litmus {

struct Step {
    int object = 0;        // x, y, z: 0, 1, 2
    std::uint32_t value = 0;   // 1 or 2 to write, 0 to read
};

struct Program {
    std::string_view name;
    std::string_view text;
};
const std::vector<Program>& programs();
const Program& program(std::string_view name);
std::vector<std::vector<Step>> threads_of(const Program& program);

// Two bits for each read, then two for each object.
using Outcome = std::uint32_t;

// What a pair of verbs promises about several objects.
enum class Order : std::uint8_t { sequential, per_object };

// How a program's steps are carried out.
struct Way {
    std::string_view name;
    Order order;
    std::function<void(kddm::RawSet&, ObjectId, std::uint64_t)> write;
    std::function<std::uint64_t(kddm::RawSet&, ObjectId)> read;
};
const std::vector<Way>& ways();

std::set<Outcome> allowed(const Program& program, Order order);
std::string describe(const Program& program, Outcome outcome);

// Counts outcomes and tells the forbidden ones.
class Counts {
public:
    Counts(const Program& program, Order order)
        : program_(&program), allowed_(allowed(program, order)) {}
    void add(Outcome outcome) { ++counts_[outcome]; }
    const std::map<Outcome, std::uint64_t>& all() const { return counts_; }
    std::string forbidden() const;   // empty when every outcome is allowed
    std::string line() const;        // "SB: 4 of 4 allowed outcomes seen in 400 runs"

private:
    const Program* program_;
    std::set<Outcome> allowed_;
    std::map<Outcome, std::uint64_t> counts_;
};

// One thread's part of `runs` runs of a program, on objects of their own from `first` on. All
// threads call it; `together` is a barrier of them all. What each returns, summed up run by run, is
// the outcomes.
struct Part {
    const Program& program;
    const Way& way;
    kddm::RawSet& set;
    int thread;
    std::uint64_t first;
    std::uint32_t runs;
    std::uint64_t seed;
    std::function<void()> together;
};
std::vector<Outcome> play(const Part& part);
inline constexpr std::uint64_t objects_per_run = 4;

}  // namespace ssi::test::litmus
