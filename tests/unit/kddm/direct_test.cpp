// SPDX-License-Identifier: BSD-3-Clause
// The short paths of what is common (kddm/direct.cpp) lead to the same states as the general steps.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "cluster.hpp"
#include "ssi/base/random.hpp"

namespace ssi::test {
namespace {

constexpr int nodes = 3;
constexpr std::uint64_t objects = 6;

struct Operation {
    enum Verb { get, grab, grab_new, upgrade, flush, prefetch, add, last = add };
    int node;
    Verb verb;
    std::uint64_t id;
};

std::vector<Operation> operations(std::uint64_t seed) {
    Random random(seed);
    std::vector<Operation> list;
    for (int i = 0; i < 300; ++i)
        list.push_back({static_cast<int>(random.below(nodes)),
                        static_cast<Operation::Verb>(random.below(Operation::last + 1)),
                        random.below(objects)});
    return list;
}

std::uint8_t first_byte(const kddm::RawGuard& guard) {
    return static_cast<std::uint8_t>(guard.bytes()[0]);
}

// What a caller saw: the first byte of the object, or the error.
int perform(kddm::RawSet& set, const Operation& o, std::uint32_t length) {
    using Verb = Operation::Verb;
    switch (o.verb) {
        case Verb::get: return first_byte(*set.get(o.id));
        case Verb::grab:
        case Verb::grab_new: {
            auto guard = o.verb == Verb::grab ? set.grab(o.id) : set.grab_new(o.id);
            const int before = first_byte(*guard);
            // All bytes alike, so that a mixture would show.
            for (std::byte& b : guard->writable()) {
                EXPECT_EQ(static_cast<int>(b), before);
                b = std::byte(before + 1);
            }
            return before;
        }
        case Verb::upgrade: {
            auto guard = set.get(o.id);
            EXPECT_TRUE(guard->upgrade().has_value());
            return first_byte(*guard);
        }
        case Verb::flush: return set.flush(o.id) ? 0 : 1;
        case Verb::prefetch:
            EXPECT_TRUE(set.prefetch(o.id).has_value());
            return 0;
        case Verb::add: {
            std::int64_t before = 0;
            for (std::uint32_t offset = 0; offset + 8 <= length && length % 8 == 0; offset += 8)
                before = set.fetch_add(o.id, std::int64_t{0x0101010101010101}, offset).value();
            return static_cast<int>(before & 255);
        }
    }
    return -1;
}

bool quiet(Cluster& cluster, SetId set, std::uint64_t id) {
    for (int n = 0; n < nodes; ++n) {
        const kddm::Inspection i = cluster[n].inspect(set, id);
        if (i.in_transition || i.home_busy) return false;
    }
    return true;
}

void settle(Cluster& cluster, SetId set, std::uint64_t id) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!quiet(cluster, set, id)) {
        ASSERT_LT(std::chrono::steady_clock::now(), end) << "object " << id << " stays busy";
        std::this_thread::yield();
    }
}

void expect_equal(Cluster& one, Cluster& other, SetId set, std::uint64_t id) {
    for (int n = 0; n < nodes; ++n) {
        const kddm::Inspection a = one[n].inspect(set, id), b = other[n].inspect(set, id);
        EXPECT_EQ(a.present, b.present);
        EXPECT_EQ(a.access, b.access);
        EXPECT_EQ(a.owner, b.owner);
        EXPECT_EQ(a.pins, b.pins);
        if (a.present) {
            EXPECT_EQ(a.version, b.version);
        }
        EXPECT_EQ(a.home_owner, b.home_owner);
        EXPECT_EQ(a.exact, b.exact);
    }
}

void compare(std::uint32_t length, std::uint64_t seed) {
    SCOPED_TRACE("objects of " + std::to_string(length) + " bytes, seed " + std::to_string(seed));
    Cluster direct(nodes), general(nodes, kddm::Plant::none, {}, false);
    kddm::SetOptions options;
    options.object_bytes = length;
    auto a = direct.open("s", options), b = general.open("s", options);
    const SetId set = a[0].id();
    int step = 0;
    for (const Operation& o : operations(seed)) {
        SCOPED_TRACE("step " + std::to_string(step++) + ": node " + std::to_string(o.node) +
                     ", verb " + std::to_string(o.verb) + ", object " + std::to_string(o.id));
        const auto node = static_cast<std::size_t>(o.node);
        EXPECT_EQ(perform(a[node], o, length), perform(b[node], o, length));
        settle(direct, set, o.id);
        settle(general, set, o.id);
        expect_equal(direct, general, set, o.id);
        if (testing::Test::HasFailure()) return;
    }
}

TEST(Direct, short_paths_lead_to_the_same_states_as_the_general_steps) {
    for (const std::uint32_t length : {1u, 8u, 15u, 16u, 17u, 64u})
        for (std::uint64_t seed = 1; seed <= 3; ++seed) compare(length, seed);
}

}  // namespace
}  // namespace ssi::test
