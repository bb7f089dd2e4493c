// SPDX-License-Identifier: BSD-3-Clause
// CutCluster: engines and hubs of N nodes in one process, and one coordinator who leads them all
// through cuts, as a checkpoint does.
#pragma once

#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cluster.hpp"
#include "ssi/kddm/cut.hpp"

namespace ssi::test {

class CutCluster {
public:
    explicit CutCluster(int count, std::uint64_t reorder_seed = 7,
                        kddm::Plant plant = kddm::Plant::none)
        : nodes_(count, options(reorder_seed)) {
        for (int i = 0; i < count; ++i) {
            kddm::Engine::Options o;
            o.peers_in_process = true;
            o.plant = plant;
            engines_.push_back(std::make_unique<kddm::Engine>(nodes_[i], o));
            hubs_.push_back(std::make_unique<kddm::sync::Hub>(nodes_[i]));
        }
        nodes_.start();
    }
    ~CutCluster() {
        nodes_.stop();
        for (int quiet = 0; quiet < 8; ++quiet)
            for (int i = 0; i < size(); ++i)
                if (nodes_[i].doors().transport.poll()) quiet = 0;
        if (!expect_errors) {
            EXPECT_EQ(nodes_.errors(), "");
        }
    }

    bool expect_errors = false;
    int size() const { return static_cast<int>(engines_.size()); }
    kddm::Engine& operator[](int i) { return *engines_[static_cast<std::size_t>(i)]; }
    kddm::sync::Hub& hub(int i) { return *hubs_[static_cast<std::size_t>(i)]; }
    LoopNodes& nodes() { return nodes_; }
    kddm::Cut cut(int i) { return kddm::Cut((*this)[i], &hub(i)); }

    // The same set on every node; part of the cuts to come.
    std::vector<kddm::RawSet> open(std::string_view name, const kddm::SetOptions& options,
                                   bool chosen = true) {
        std::vector<kddm::RawSet> sets;
        for (int i = 0; i < size(); ++i)
            sets.push_back(value_or_throw((*this)[i].create_or_open(name, options)));
        if (chosen) chosen_.push_back(sets);
        return sets;
    }

    // -- the coordinator
    void close_gates() {
        for (int i = 0; i < size(); ++i) {
            std::vector<kddm::RawSet> sets;
            for (const auto& everywhere : chosen_) sets.push_back(everywhere[i]);
            auto closed = cut(i).close(sets);
            ASSERT_TRUE(closed.has_value()) << closed.error().to_string();
        }
    }
    std::vector<kddm::CutLook> look() {
        std::vector<kddm::CutLook> looks;
        for (int i = 0; i < size(); ++i) looks.push_back(cut(i).look());
        return looks;
    }
    bool come_to_rest(int timeout_ms = 20000) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
        for (auto first = look(); std::chrono::steady_clock::now() < end;) {
            std::this_thread::sleep_for(std::chrono::microseconds(200));
            auto second = look();
            if (kddm::at_rest(first, second)) return true;
            first = std::move(second);
        }
        return false;
    }
    void begin(kddm::CutOptions options = {}) {
        ++number_;
        for (int i = 0; i < size(); ++i) {
            auto begun = cut(i).begin(number_, options);
            ASSERT_TRUE(begun.has_value()) << begun.error().to_string();
        }
    }
    void open_gates() {
        for (int i = 0; i < size(); ++i) cut(i).open();
    }
    // Up to the moment when the application goes on.
    void make(kddm::CutOptions options = {}) {
        close_gates();
        ASSERT_TRUE(come_to_rest());
        begin(options);
        open_gates();
    }
    struct Value {
        std::uint64_t version = 0;
        std::vector<std::byte> bytes;
        std::uint64_t number() const {
            std::uint64_t n = 0;
            if (bytes.size() >= 8) std::memcpy(&n, bytes.data(), 8);
            return n;
        }
    };
    using Values = std::map<std::pair<std::uint32_t, ObjectId>, Value>;
    // All of them; an object that is handed out twice is a failure.
    Values read_out() {
        Values values;
        for (int i = 0; i < size(); ++i)
            while (cut(i).next([&](const kddm::CutObject& object) {
                Value value{object.version, {object.bytes.begin(), object.bytes.end()}};
                const bool once =
                    values.try_emplace({object.set.value, object.id}, std::move(value)).second;
                EXPECT_TRUE(once) << "object " << object.id.lo << " was handed out twice";
            })) {
            }
        return values;
    }
    void end() {
        for (int i = 0; i < size(); ++i) cut(i).end();
    }
    void abandon() {
        for (int i = 0; i < size(); ++i) cut(i).abandon();
    }

private:
    static LoopNodes::Options options(std::uint64_t reorder_seed) {
        LoopNodes::Options o;
        o.loop.reorder_seed = reorder_seed;
        value_or_throw(o.config.set("arena.warm_bytes", "0", "test"));
        value_or_throw(o.config.set("detect.grace_ms", "200", "test"));
        return o;
    }

    LoopNodes nodes_;
    std::vector<std::unique_ptr<kddm::Engine>> engines_;
    std::vector<std::unique_ptr<kddm::sync::Hub>> hubs_;
    std::vector<std::vector<kddm::RawSet>> chosen_;
    std::uint64_t number_ = 0;
};

}  // namespace ssi::test
