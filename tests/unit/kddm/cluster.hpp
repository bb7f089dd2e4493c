// SPDX-License-Identifier: BSD-3-Clause
// Cluster: N engines in one process over the loop transport, for kddm's unit tests.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "loop_nodes.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/kddm/raw_set.hpp"

namespace ssi::test {

class Cluster {
public:
    // in_process: the engines read each other's memory where it is; else as processes would.
    explicit Cluster(int count, kddm::Plant plant = kddm::Plant::none,
                     LoopNodes::Options options = {}, bool direct = true,
                     bool in_process = true)
        : nodes_(count, cold(std::move(options))) {
        for (int i = 0; i < count; ++i) {
            kddm::Engine::Options o;
            o.plant = plant;
            o.direct = direct;
            o.peers_in_process = in_process;
            engines_.push_back(std::make_unique<kddm::Engine>(nodes_[i], o));
        }
        nodes_.start();
    }
    ~Cluster() {
        nodes_.stop();
        // What is still on its way may lend memory of the engines, which end first.
        for (int quiet = 0; quiet < 8; ++quiet)
            for (int i = 0; i < size(); ++i)
                if (nodes_[i].doors().transport.poll()) quiet = 0;
        if (!expect_errors) {
            EXPECT_EQ(nodes_.errors(), "");
        }
    }

    bool expect_errors = false;   // the test provokes logged faults

    kddm::Engine& operator[](int i) { return *engines_[static_cast<std::size_t>(i)]; }
    LoopNodes& nodes() { return nodes_; }
    int size() const { return static_cast<int>(engines_.size()); }

    // The same set on every node.
    std::vector<kddm::RawSet> open(std::string_view name, const kddm::SetOptions& options) {
        std::vector<kddm::RawSet> sets;
        for (auto& engine : engines_) {
            auto set = engine->create_or_open(name, options);
            EXPECT_TRUE(set.has_value()) << (set ? "" : set.error().to_string());
            sets.push_back(*set);
        }
        return sets;
    }

    template <class F>
    void run(F&& body) {
        std::vector<std::thread> threads;
        for (int i = 0; i < size(); ++i) threads.emplace_back([&body, i] { body(i); });
        for (auto& t : threads) t.join();
    }

private:
    // Many short-lived engines: touching memory ahead would be most of the work.
    static LoopNodes::Options cold(LoopNodes::Options options) {
        value_or_throw(options.config.set("arena.warm_bytes", "0", "test"));
        return options;
    }

    LoopNodes nodes_;
    std::vector<std::unique_ptr<kddm::Engine>> engines_;
};

// For nodes whose try_grab tells a held object from a slow machine.
inline LoopNodes::Options patient(const char* try_timeout_us = "20000000") {
    LoopNodes::Options options;
    EXPECT_TRUE(options.config.set("kddm.try_timeout_us", try_timeout_us, "test").has_value());
    return options;
}

inline kddm::SetOptions counters(std::uint64_t count = 0, const char* placement = "hashed") {
    kddm::SetOptions o;
    o.count = count;
    o.object_bytes = 8;
    o.placement = placement;
    return o;
}

inline std::uint64_t number(const kddm::RawGuard& guard) {
    std::uint64_t value;
    std::memcpy(&value, guard.bytes().data(), 8);
    return value;
}
// Takes temporaries too: set_number(*set.grab(1), 7).
inline void set_number(kddm::RawGuard&& guard, std::uint64_t value) {
    std::memcpy(guard.writable().data(), &value, 8);
}
inline void set_number(kddm::RawGuard& guard, std::uint64_t value) {
    std::memcpy(guard.writable().data(), &value, 8);
}

}  // namespace ssi::test
