// SPDX-License-Identifier: BSD-3-Clause
// Sessions and sets as an application uses them, over real processes and UCX.
#include <gtest/gtest.h>
#include <mpi.h>

#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>

#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "ssi/kddm/serialized.hpp"
#include "ssi/ssi.hpp"

namespace ssi {
namespace {

struct Particle {
    double x, y, z;
    std::int64_t hits;
};

struct Person {
    std::string name;
    std::vector<int> marks;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive & name & marks;
    }
};

// Cannot be encoded when told so.
struct Fragile {
    bool broken = false;
    std::vector<int> keep_off_the_raw_path;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        if (broken) throw std::runtime_error("this object is broken");
        archive & broken & keep_off_the_raw_path;
    }
};

Session session() { return Session::from_mpi(nullptr); }

TEST(SessionRanks, the_example_of_the_readme) {
    Session s = session();
    auto table = s.set<Particle>("particles", {.count = 1000});
    for (int k = 0; k < 10; ++k) {
        auto p = table.grab(7);
        p->x += 1;
    }
    table.fetch_add(7, 1, offsetof(Particle, hits));
    s.barrier();
    auto q = table.get(7);
    EXPECT_EQ(q->x, 10.0 * s.size());
    EXPECT_EQ(q->hits, s.size());
    q.put();
    s.barrier();
}

TEST(SessionRanks, reductions_and_broadcasts_agree_on_every_rank) {
    Session s = session();
    EXPECT_EQ(s.reduce(std::uint64_t(s.rank() + 1), Reduce::sum),
              std::uint64_t(s.size() * (s.size() + 1) / 2));
    EXPECT_EQ(s.reduce(double(s.rank()), Reduce::max), s.size() - 1.0);
    EXPECT_EQ(s.reduce(-s.rank(), Reduce::min), 1 - s.size());
    EXPECT_EQ(s.reduce(std::int64_t(-1 - s.rank()), Reduce::max), -1);
    EXPECT_EQ(s.reduce(-1, Reduce::sum), -s.size());
    auto best = s.set<double>("ranks.best", {.count = 1});
    best.fetch_max(0, double(s.rank() + 1));
    s.barrier();
    EXPECT_EQ(*best.get(0), double(s.size()));
    s.barrier();
    std::vector<std::byte> bytes;
    const int root = s.size() - 1;
    if (s.rank() == root) bytes.assign(100000, std::byte{42});
    s.broadcast(root, bytes);
    EXPECT_EQ(bytes, std::vector<std::byte>(100000, std::byte{42}));
    EXPECT_THROW(s.broadcast(s.size(), bytes), Error);
}

TEST(SessionRanks, typed_objects_keep_their_structure) {
    Session s = session();
    auto people = s.set<Person>("people");
    {
        auto p = people.grab(1);
        p->name += "x";
        p->marks.push_back(s.rank());
    }
    s.barrier();
    {
        auto p = people.get(1);
        EXPECT_EQ(p->name, std::string(s.size(), 'x'));
        EXPECT_EQ(std::accumulate(p->marks.begin(), p->marks.end(), 0),
                  s.size() * (s.size() - 1) / 2);
    }
    s.barrier();
}

TEST(SessionRanks, an_object_that_cannot_be_encoded_fails_its_put_and_nothing_else) {
    Session s = session();
    auto set = s.set<Fragile>("fragile");
    const ObjectId mine(s.rank());
    {
        auto f = set.grab(mine);
        f->broken = true;
        EXPECT_THROW(f.put(), Error);
    }
    { set.grab(mine)->broken = true; }
    try {
        set.get(mine);
        ADD_FAILURE() << "the sticky error was forgotten";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Errc::serialization);
    }
    EXPECT_FALSE(set.get(mine)->broken);
    s.barrier();
}

TEST(SessionRanks, options_that_differ_are_refused_everywhere) {
    Session s = session();
    auto table = s.set<Particle>("particles", {.count = 10});
    try {
        s.set<double>("particles", {.count = 10});
        ADD_FAILURE() << "opened with another type";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Errc::mismatch);
    }
    EXPECT_THROW(table.get(10), Error);
    s.barrier();
}

TEST(SessionRanks, objects_of_all_sizes_travel_whole) {
    Session s = session();
    kddm::SetOptions options;
    options.kind = kddm::ObjectKind::variable;
    auto set = value_or_throw(s.raw_set("sizes", options));
    std::uint64_t id = 0;
    for (const std::size_t size : {1u, 8u, 1000u, 8192u, 8193u, 70000u, 1u << 20, 64u << 20}) {
        ++id;
        const int writer = static_cast<int>(id) % s.size();
        if (s.rank() == writer) {
            auto g = value_or_throw(set.grab(id));
            value_or_throw(g.resize(size));
            auto w = g.writable();
            for (std::size_t i = 0; i < size; ++i) w[i] = static_cast<std::byte>(i * 7 + id);
        }
        s.barrier();
        auto g = value_or_throw(set.get(id));
        ASSERT_EQ(g.bytes().size(), size);
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < size; ++i)
            wrong += g.bytes()[i] != static_cast<std::byte>(i * 7 + id);
        EXPECT_EQ(wrong, 0u);
        (void)g.put();
        s.barrier();
    }
}

TEST(SessionRanks, many_threads_on_every_rank_lose_no_update) {
    Session s = session();
    auto set = s.set<std::int64_t>("counters");
    constexpr int threads = 3, rounds = 400, objects = 5;
    std::vector<std::thread> team;
    for (int t = 0; t < threads; ++t)
        team.emplace_back([&, t] {
            std::mt19937 random(static_cast<unsigned>(s.rank() * 100 + t));
            for (int k = 0; k < rounds; ++k) {
                const ObjectId id(random() % objects);
                switch (random() % 4) {
                    case 0: *set.grab(id) += 1; break;
                    case 1: set.fetch_add(id, 1); break;
                    case 2: {
                        auto shared = set.get(id);
                        auto own = set.upgrade(std::move(shared));
                        *own += 1;
                        break;
                    }
                    default: {
                        auto two = set.grab(id);
                        *two += 1;
                        auto next = set.get(ObjectId(id.lo + 1));
                        EXPECT_GE(*next, 0);
                    }
                }
            }
        });
    for (auto& t : team) t.join();
    s.barrier();
    std::int64_t sum = 0;
    for (int i = 0; i < objects; ++i) sum += *set.get(i);
    EXPECT_EQ(sum, std::int64_t{s.size()} * threads * rounds);
    s.barrier();
}

TEST(SessionRanks, a_busy_home_still_answers) {
    Session s = session();
    auto set = s.set<std::int64_t>("busy", {.placement = "node:0"});
    std::vector<std::byte> go;
    if (s.rank() == 0) {
        // Computes and never calls us: the progress thread has to do it.
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
        volatile std::uint64_t x = 0;
        while (std::chrono::steady_clock::now() < end) x = x + 1;
    } else {
        for (int k = 0; k < 20; ++k) *set.grab(k) += 1;
    }
    s.barrier();
    for (int k = 0; k < 20; ++k) EXPECT_EQ(*set.get(k), s.size() - 1);
    s.barrier();
}

TEST(SessionRanks, sessions_over_split_communicators_are_separate) {
    int rank = 0, size = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm half;
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &half);
    {
        Session s = Session::from_mpi(&half);
        EXPECT_EQ(s.size(), (size + 1 - rank % 2) / 2);
        auto set = s.set<std::int64_t>("same name");
        set.fetch_add(1, 1);
        s.barrier();
        EXPECT_EQ(*set.get(1), s.size());
        s.barrier();
    }
    MPI_Comm_free(&half);
}

TEST(SessionRanks, a_session_can_be_opened_again_and_again) {
    for (int round = 0; round < 3; ++round) {
        Session s = session();
        auto set = s.set<std::int64_t>("again");
        set.fetch_add(0, 1);
        s.barrier();
        EXPECT_EQ(*set.get(0), s.size());
        s.barrier();
        EXPECT_TRUE(s.close().has_value());
    }
}

}  // namespace
}  // namespace ssi
