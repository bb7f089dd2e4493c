// SPDX-License-Identifier: BSD-3-Clause
#include "litmus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "ssi/base/random.hpp"

namespace ssi::test::litmus {

namespace {

using Threads = std::vector<std::vector<Step>>;
using Values = std::array<std::uint32_t, 3>;

std::uint64_t number_in(const kddm::RawGuard& guard) {
    std::uint64_t value = 0;
    std::memcpy(&value, guard.bytes().data(), sizeof(value));
    return value;
}
void store(kddm::RawGuard& guard, std::uint64_t value) {
    std::memcpy(guard.writable().data(), &value, sizeof(value));
}

void grab_and_write(kddm::RawSet& set, ObjectId id, std::uint64_t value) {
    auto guard = value_or_throw(set.grab(id));
    store(guard, value);
}
std::uint64_t get(kddm::RawSet& set, ObjectId id) {
    return number_in(value_or_throw(set.get(id)));
}
void upgrade_and_write(kddm::RawSet& set, ObjectId id, std::uint64_t value) {
    auto guard = value_or_throw(set.get(id));
    value_or_throw(guard.upgrade());
    store(guard, value);
}
std::uint64_t grab_and_read(kddm::RawSet& set, ObjectId id) {
    return number_in(value_or_throw(set.grab(id)));
}
void write_and_flush(kddm::RawSet& set, ObjectId id, std::uint64_t value) {
    grab_and_write(set, id, value);
    (void)set.flush(id);   // would_block: another task of this node wants it
}
std::uint64_t prefetch_and_get(kddm::RawSet& set, ObjectId id) {
    value_or_throw(set.prefetch(id));
    return get(set, id);
}
void new_and_write(kddm::RawSet& set, ObjectId id, std::uint64_t value) {
    auto guard = value_or_throw(set.grab_new(id));
    store(guard, value);
}
void exchange(kddm::RawSet& set, ObjectId id, std::uint64_t value) {
    value_or_throw(set.exchange(id, value));
}
std::uint64_t add_nothing(kddm::RawSet& set, ObjectId id) {
    return value_or_throw(set.fetch_add(id, std::uint64_t{0}));
}
std::uint64_t number_in(const kddm::RawSnapshot& snapshot) {
    std::uint64_t value = 0;
    std::memcpy(&value, snapshot.bytes.data(), sizeof value);
    return value;
}
std::uint64_t read(kddm::RawSet& set, ObjectId id) {
    return number_in(value_or_throw(set.read(id)));
}
std::uint64_t read_among_others(kddm::RawSet& set, ObjectId id) {
    const ObjectId ids[] = {id, ObjectId(id.lo ^ 1), id};
    return number_in(value_or_throw(set.read_many(ids))[2]);
}
void compare_until_stored(kddm::RawSet& set, ObjectId id, std::uint64_t value) {
    std::uint64_t expected = 0;
    for (;;) {
        const auto before = value_or_throw(set.compare_exchange(id, expected, value));
        if (before == expected) return;
        expected = before;
    }
}

// Two bits; programs write 1 and 2, so 3 is what nobody wrote.
Outcome field_of(std::uint64_t value) {
    return static_cast<Outcome>(std::min<std::uint64_t>(value, 3));
}

int read_count(const Threads& threads) {
    int reads = 0;
    for (const auto& steps : threads)
        for (const Step& step : steps) reads += step.value == 0;
    return reads;
}
int object_count(const Threads& threads) {
    int objects = 0;
    for (const auto& steps : threads)
        for (const Step& step : steps) objects = std::max(objects, step.object + 1);
    return objects;
}
// The position of each thread's first read among all.
std::vector<int> first_reads(const Threads& threads) {
    std::vector<int> first;
    int reads = 0;
    for (const auto& steps : threads) {
        first.push_back(reads);
        for (const Step& step : steps) reads += step.value == 0;
    }
    return first;
}

Outcome with_last(Outcome reads, const Threads& threads, const Values& values) {
    const int base = read_count(threads);
    for (int object = 0; object < object_count(threads); ++object)
        reads |= values[static_cast<std::size_t>(object)] << 2 * (base + object);
    return reads;
}

// Every interleaving from here on.
struct Interleavings {
    const Threads& threads;
    std::vector<int> reads_before = first_reads(threads);
    std::set<Outcome> outcomes;

    void explore(std::vector<std::size_t>& at, std::vector<int>& read, Values& values,
                 Outcome seen) {
        bool ended = true;
        for (std::size_t t = 0; t < threads.size(); ++t) {
            if (at[t] == threads[t].size()) continue;
            ended = false;
            const Step step = threads[t][at[t]++];
            std::uint32_t& value = values[static_cast<std::size_t>(step.object)];
            if (step.value == 0) {
                const Outcome saw = value << 2 * (reads_before[t] + read[t]++);
                explore(at, read, values, seen | saw);
                --read[t];
            } else {
                const std::uint32_t before = std::exchange(value, step.value);
                explore(at, read, values, seen);
                value = before;
            }
            --at[t];
        }
        if (ended) outcomes.insert(with_last(seen, threads, values));
    }
};

std::set<Outcome> sequential(const Threads& threads) {
    Interleavings all{threads, first_reads(threads), {}};
    std::vector<std::size_t> at(threads.size());
    std::vector<int> read(threads.size());
    Values values{};
    all.explore(at, read, values, 0);
    return all.outcomes;
}

// The steps on one object alone, and which bits of the outcome are about it.
Threads only(const Threads& threads, int object, Outcome& mask) {
    Threads part;
    int reads = 0;
    mask = Outcome{3} << 2 * (read_count(threads) + object);
    for (const auto& steps : threads) {
        part.emplace_back();
        for (const Step& step : steps) {
            if (step.object == object) {
                part.back().push_back(step);
                if (step.value == 0) mask |= Outcome{3} << 2 * reads;
            }
            reads += step.value == 0;
        }
    }
    return part;
}

// All combinations of what each object for itself allows. The parts keep their objects' numbers,
// but count reads anew: `spread` puts the bits where they belong.
Outcome spread(Outcome part, Outcome mask, int object, int part_reads) {
    Outcome out = 0;
    int from = 0;
    for (int field = 0; field < 16; ++field) {
        if (!(mask >> 2 * field & 3)) continue;
        const int source = from < part_reads ? from : part_reads + object;
        out |= (part >> 2 * source & 3) << 2 * field;
        ++from;
    }
    return out;
}

}  // namespace

const std::vector<Program>& programs() {
    static const std::vector<Program> all = {
        {"SB", "x=1 y? | y=1 x?"},
        {"MP", "x=1 y=1 | y? x?"},
        {"LB", "x? y=1 | y? x=1"},
        {"IRIW", "x=1 | y=1 | x? y? | y? x?"},
        {"WRC", "x=1 | x? y=1 | y? x?"},
        {"S", "x=2 y=1 | y? x=1"},
        {"R", "x=1 y=1 | y=2 x?"},
        {"2+2W", "x=1 y=2 | y=1 x=2"},
        {"CoRR", "x=1 | x? x?"},
        {"CoRR2", "x=1 | x=2 | x? x? | x? x?"},
        {"CoWR", "x=1 x? | x=2"},
        {"CoRW", "x? x=1 | x=2"},
    };
    return all;
}

const Program& program(std::string_view name) {
    for (const Program& p : programs())
        if (p.name == name) return p;
    throw std::invalid_argument(std::string(name));
}

std::vector<std::vector<Step>> threads_of(const Program& program) {
    Threads threads(1);
    const std::string_view text = program.text;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '|') threads.emplace_back();
        if (text[i] < 'x' || text[i] > 'z') continue;
        const bool reads = text.at(i + 1) == '?';
        const auto value = reads ? 0u : static_cast<std::uint32_t>(text.at(i + 2) - '0');
        threads.back().push_back({text[i] - 'x', value});
    }
    return threads;
}

const std::vector<Way>& ways() {
    static const std::vector<Way> all = {
        {"grab, get", Order::sequential, grab_and_write, get},
        {"grab, grab", Order::sequential, grab_and_write, grab_and_read},
        {"upgrade, get", Order::sequential, upgrade_and_write, get},
        {"grab and flush, get", Order::sequential, write_and_flush, get},
        {"grab_new, prefetch and get", Order::sequential, new_and_write, prefetch_and_get},
        {"exchange, fetch_add of 0", Order::sequential, exchange, add_nothing},
        {"compare_exchange, get", Order::sequential, compare_until_stored, get},
        {"grab, fetch_add of 0", Order::sequential, grab_and_write, add_nothing},
        {"grab, read", Order::sequential, grab_and_write, read},
        {"exchange, read_many", Order::sequential, exchange, read_among_others},
    };
    return all;
}

std::set<Outcome> allowed(const Program& program, Order order) {
    const Threads threads = threads_of(program);
    if (order == Order::sequential) return sequential(threads);
    std::set<Outcome> all{0};
    for (int object = 0; object < object_count(threads); ++object) {
        Outcome mask = 0;
        const Threads part = only(threads, object, mask);
        std::set<Outcome> combined;
        for (const Outcome alone : sequential(part))
            for (const Outcome others : all)
                combined.insert(others | spread(alone, mask, object, read_count(part)));
        all.swap(combined);
    }
    return all;
}

std::string describe(const Program& program, Outcome outcome) {
    const Threads threads = threads_of(program);
    std::string text;
    int field = 0;
    for (const auto& steps : threads) {
        if (!text.empty()) text += " | ";
        for (std::size_t i = 0; i < steps.size(); ++i) {
            const char name = static_cast<char>('x' + steps[i].object);
            if (i) text += ' ';
            const auto value = steps[i].value ? steps[i].value : outcome >> 2 * field++ & 3;
            text += fmt::format("{}{}{}", name, steps[i].value ? "=" : "?", value);
        }
    }
    text += ", at last";
    for (int object = 0; object < object_count(threads); ++object)
        text += fmt::format(" {}={}", static_cast<char>('x' + object), outcome >> 2 * field++ & 3);
    return text;
}

std::string Counts::forbidden() const {
    std::string text;
    for (const auto& [outcome, count] : counts_)
        if (!allowed_.contains(outcome))
            text += fmt::format("{}: forbidden, seen {} times: {}\n", program_->name, count,
                                describe(*program_, outcome));
    return text;
}

std::string Counts::line() const {
    std::uint64_t runs = 0, seen = 0;
    for (const auto& [outcome, count] : counts_) {
        runs += count;
        seen += allowed_.contains(outcome);
    }
    return fmt::format("{}: {} of {} allowed outcomes seen in {} runs", program_->name, seen,
                       allowed_.size(), runs);
}

std::vector<Outcome> play(const Part& part) {
    const Threads threads = threads_of(part.program);
    const int objects = object_count(threads);
    const auto thread = static_cast<std::size_t>(part.thread);
    const bool plays = thread < threads.size();
    Random random(part.seed * 64 + thread);
    const auto id = [&](std::uint32_t run, int object) {
        return ObjectId(part.first + run * objects_per_run + static_cast<std::uint64_t>(object));
    };
    // Who has copies, and who owns, when a run begins: nobody, all, or one thread's node.
    for (std::uint32_t run = 0; run < part.runs; ++run)
        for (int object = 0; object < objects; ++object) {
            const std::uint64_t warm = mix64(part.first + run) % 4;
            if (warm == 1) (void)value_or_throw(part.set.get(id(run, object)));
            if (warm == 2 && random.chance(1, 2))
                (void)value_or_throw(part.set.grab(id(run, object)));
        }
    part.together();
    std::vector<Outcome> seen(part.runs);
    for (std::uint32_t run = 0; plays && run < part.runs; ++run) {
        int field = first_reads(threads)[thread];
        // Threads drift against each other, so that runs overlap in many ways.
        for (auto pause = random.below(3000); pause; --pause)
            std::atomic_signal_fence(std::memory_order_seq_cst);
        for (const Step& step : threads[thread]) {
            if (step.value)
                part.way.write(part.set, id(run, step.object), step.value);
            else
                seen[run] |= field_of(part.way.read(part.set, id(run, step.object))) << 2 * field++;
        }
    }
    part.together();
    for (std::uint32_t run = 0; part.thread == 0 && run < part.runs; ++run) {
        Values last{};
        for (int object = 0; object < objects; ++object)
            last[static_cast<std::size_t>(object)] =
                field_of(get(part.set, id(run, object)));
        seen[run] = with_last(seen[run], threads, last);
    }
    return seen;
}

}  // namespace ssi::test::litmus
