// SPDX-License-Identifier: BSD-3-Clause
#include "fs_round.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <thread>

#include "ssi/base/ids.hpp"

namespace ssi::test {
namespace {

constexpr auto longest_operation = std::chrono::seconds(60);

// What this process does, for its last words.
char under_way[1000];

void last_words(int signal) {
    static_cast<void>(!::write(2, under_way, ::strnlen(under_way, sizeof under_way)));
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

void announce(const std::string& text) {
    const std::string line = text + "\n";
    const std::size_t length = std::min(line.size(), sizeof under_way - 1);
    std::memcpy(under_way, line.data(), length);
    under_way[length] = '\0';
}

}  // namespace

// Ends the process when an operation does not return.
struct Rounds::Watched {
    std::mutex mutex;
    std::condition_variable changed;
    bool busy = false, stopped = false;
    std::chrono::steady_clock::time_point since;
    std::thread thread{[this] { watch(); }};

    ~Watched() {
        {
            const std::lock_guard lock(mutex);
            stopped = true;
            changed.notify_all();
        }
        thread.join();
    }
    void begin() {
        const std::lock_guard lock(mutex);
        busy = true;
        since = std::chrono::steady_clock::now();
    }
    void end() {
        const std::lock_guard lock(mutex);
        busy = false;
    }
    void watch() {
        std::unique_lock lock(mutex);
        while (!stopped) {
            changed.wait_for(lock, std::chrono::seconds(1));
            if (busy && std::chrono::steady_clock::now() - since > longest_operation) {
                std::fprintf(stderr, "this operation does not return: %s", under_way);
                ::_exit(3);
            }
        }
    }
};

Rounds::Rounds(Session& session, Reach system, LocalDirectory& reference, std::uint32_t threads)
    : session_(session), system_(std::move(system)), reference_(reference), threads_(threads),
      watched_(std::make_unique<Watched>()) {
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE}) std::signal(signal, last_words);
}

Rounds::~Rounds() = default;

std::vector<Rounds::Group> Rounds::groups_of(const Plan& plan) const {
    const auto issuers = static_cast<std::uint32_t>(session_.size()) * threads_;
    std::vector<Group> groups;
    std::uint64_t turn = 0, end = 0;
    std::uint32_t issuer = 0;
    for (const std::uint64_t number : plan.numbers) {
        while (number >= end) {
            const std::uint64_t drawn = mix64(plan.seed * 7919 + ++turn);
            issuer = static_cast<std::uint32_t>((drawn >> 8) % issuers);
            end += 1 + drawn % 12;
        }
        if (groups.empty() || groups.back().issuer != issuer) groups.push_back({issuer, {}});
        groups.back().numbers.push_back(number);
    }
    return groups;
}

// One operation, on both sides; false when they differ.
bool Rounds::same(const Plan& plan, std::uint64_t number) {
    const Operation operation = operation_of(plan.seed, number, plan.shape);
    announce(fmt::format("rank {} seed {} {}", session_.rank(), plan.seed, describe(operation)));
    Answer got, expected;
    watched_->begin();
    system_([&](FileApi& api) { got = carry_out(operation, api, system_side_); });
    watched_->end();
    if (number == plan.lose_at)
        expected = got;
    else
        reference_.run([&](FileApi& api) {
            expected = carry_out(operation, api, reference_side_);
        });
    if (number == plan.lie_at) {
        expected.text += " (a planted lie)";
        expected.error = expected.error ? 0 : 5;
    }
    auto& [good, bad] = coverage_[describe_verb(operation)];
    ++(expected.error ? bad : good);
    const std::string differs = difference(operation, got, expected,
                                           file_of(operation, reference_side_));
    if (differs.empty()) return true;
    found_ = {number, fmt::format("seed {}, operation {}, on rank {}: {}{}", plan.seed, number,
                                  session_.rank(), describe(operation), differs)};
    return false;
}

void Rounds::play(const Plan& plan, const std::vector<Group>& groups, std::uint32_t issuer) {
    for (std::size_t at = 0; at < groups.size(); ++at) {
        if (groups[at].issuer != issuer) continue;
        if (at > 0) {
            const auto received = baton(issuer).receive();
            if (!received || received->stop) return;
        }
        for (const std::uint64_t number : groups[at].numbers) {
            if (same(plan, number)) continue;
            std::vector<bool> told(static_cast<std::size_t>(session_.size()) * threads_);
            told[issuer] = true;
            for (std::size_t later = at + 1; later < groups.size(); ++later) {
                const std::uint32_t other = groups[later].issuer;
                if (!told[other]) baton(other).send({later, true});
                told[other] = true;
            }
            return;
        }
        if (at + 1 < groups.size()) baton(groups[at + 1].issuer).send({at + 1, false});
    }
}

Found Rounds::together(Found mine) {
    const auto first = session_.reduce(mine.number, Reduce::min);
    if (first == UINT64_MAX) return {};
    const int has = mine.number == first ? session_.rank() : session_.size();
    const int root = session_.reduce(has, Reduce::min);
    std::vector<std::byte> text;
    if (root == session_.rank())
        for (const char c : mine.text) text.push_back(static_cast<std::byte>(c));
    session_.broadcast(root, text);
    return {first, {reinterpret_cast<const char*>(text.data()), text.size()}};
}

Found Rounds::run(const Plan& plan) {
    found_ = {};
    const auto both = [&](const std::function<void(FileApi&)>& body) {
        system_(body);
        reference_.run(body);
    };
    both([&](FileApi& api) { value_or_throw(api.become({})); });
    if (session_.rank() == 0)
        both([&](FileApi& api) {
            for (const char* part : {"", "/big"})
                value_or_throw(api.make_directory(plan.shape.top + part, 0777));
        });
    session_.barrier();
    const std::vector<Group> groups = groups_of(plan);
    const auto first = static_cast<std::uint32_t>(session_.rank()) * threads_;
    std::vector<std::thread> threads;
    for (std::uint32_t i = 1; i < threads_; ++i)
        threads.emplace_back([&, i] { play(plan, groups, first + i); });
    play(plan, groups, first);
    for (auto& thread : threads) thread.join();
    system_([&](FileApi& api) { value_or_throw(api.become({})); });
    reference_.run([&](FileApi& api) { value_or_throw(api.become({})); });
    system_side_ = {};
    reference_side_ = {};
    const Found found = together(found_);
    return found.any() ? found : walks(plan.shape.top, UINT64_MAX - 1);
}

Found Rounds::walks(const std::string& path, std::uint64_t number) {
    Answer got, expected;
    announce(fmt::format("rank {} walks {}", session_.rank(), path));
    system_([&](FileApi& api) { got = walk(api, path); });
    reference_.run([&](FileApi& api) { expected = walk(api, path); });
    Operation operation;
    const std::string differs = difference(operation, got, expected, nullptr);
    Found mine;
    if (!differs.empty())
        mine = {number, fmt::format("rank {}, all that lies below {}:{}", session_.rank(), path,
                                    differs)};
    return together(mine);
}

void Rounds::remove(const std::string& path) {
    const auto removed = [&](FileApi& api) { remove_tree(api, path); };
    session_.barrier();
    if (session_.rank() == 0) {
        system_(removed);
        reference_.run(removed);
    }
    session_.barrier();
}

}  // namespace ssi::test
