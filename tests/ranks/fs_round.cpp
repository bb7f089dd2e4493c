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
constexpr std::uint32_t most_threads = 64;

// What the threads of this process do, for its last words.
char under_way[most_threads][1000];

void say_what_is_under_way() {
    for (const char* text : under_way)
        static_cast<void>(!::write(2, text, ::strnlen(text, sizeof under_way[0])));
}

void last_words(int signal) {
    say_what_is_under_way();
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

void announce(std::uint32_t thread, const std::string& text) {
    const std::string line = text + "\n";
    char* const place = under_way[thread];
    const std::size_t length = std::min(line.size(), sizeof under_way[0] - 1);
    std::memcpy(place, line.data(), length);
    place[length] = '\0';
}

}  // namespace

// Ends the process when operations are under way and none begins or returns.
struct Rounds::Watched {
    std::mutex mutex;
    std::condition_variable changed;
    int busy = 0;
    bool stopped = false;
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
    void step(int more) {
        const std::lock_guard lock(mutex);
        busy += more;
        since = std::chrono::steady_clock::now();
    }
    void watch() {
        std::unique_lock lock(mutex);
        while (!stopped) {
            changed.wait_for(lock, std::chrono::seconds(1));
            if (busy > 0 && std::chrono::steady_clock::now() - since > longest_operation) {
                std::fprintf(stderr, "these operations do not return:\n");
                say_what_is_under_way();
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
    std::vector<Group> groups;
    std::uint64_t turn = 0, end = 0;
    std::uint32_t issuer = 0;
    for (const std::uint64_t number : plan.numbers) {
        while (number >= end) {
            const std::uint64_t drawn = mix64(plan.seed * 7919 + ++turn);
            issuer = static_cast<std::uint32_t>((drawn >> 8) % issuers());
            end += 1 + drawn % 12;
        }
        if (groups.empty() || groups.back().issuer != issuer) groups.push_back({issuer, {}});
        groups.back().numbers.push_back(number);
    }
    return groups;
}

// One operation, on both sides; false when they differ.
bool Rounds::same(const Plan& plan, std::uint64_t number, Actor& actor, std::uint32_t thread) {
    const Operation operation = operation_of(plan.seed, number, plan.shape);
    announce(thread,
             fmt::format("rank {} seed {} {}", session_.rank(), plan.seed, describe(operation)));
    Answer got, expected;
    watched_->step(1);
    system_([&](FileApi& api) { got = carry_out(operation, api, actor.system); });
    watched_->step(-1);
    if (number == plan.lose_at)
        expected = got;
    else
        reference_.run([&](FileApi& api) {
            expected = carry_out(operation, api, actor.reference);
        });
    if (number == plan.lie_at) {
        expected.text += " (a planted lie)";
        expected.error = expected.error ? 0 : 5;
    }
    auto& [good, bad] = actor.coverage[describe_verb(operation)];
    ++(expected.error ? bad : good);
    const std::string differs = difference(operation, got, expected,
                                           file_of(operation, actor.reference));
    if (differs.empty()) return true;
    actor.found = {number, fmt::format("seed {}, operation {}, on rank {}: {}{}", plan.seed,
                                       number, session_.rank(), describe(operation), differs)};
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
            if (same(plan, number, actor_, issuer % threads_)) continue;
            std::vector<bool> told(issuers());
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

void Rounds::both(const std::function<void(FileApi&)>& body) {
    system_(body);
    reference_.run(body);
}

void Rounds::everybody(const std::function<void(std::uint32_t, std::uint32_t)>& body) {
    const auto first = static_cast<std::uint32_t>(session_.rank()) * threads_;
    std::vector<std::thread> threads;
    for (std::uint32_t i = 1; i < threads_; ++i)
        threads.emplace_back([&, i] { body(first + i, i); });
    body(first, 0);
    for (auto& thread : threads) thread.join();
}

Found Rounds::run(const Plan& plan) {
    actor_.found = {};
    both([&](FileApi& api) { value_or_throw(api.become({})); });
    if (session_.rank() == 0) both([&](FileApi& api) { make_top(api, plan.shape.top); });
    session_.barrier();
    const std::vector<Group> groups = groups_of(plan);
    everybody([&](std::uint32_t issuer, std::uint32_t) { play(plan, groups, issuer); });
    both([&](FileApi& api) { value_or_throw(api.become({})); });
    actor_.system = {};
    actor_.reference = {};
    const Found found = together(actor_.found);
    return found.any() ? found : walks(plan.shape.top, UINT64_MAX - 1);
}

// Deep enough that ".." does not lead to others.
Plan Rounds::part_of(const Plan& plan, std::uint32_t issuer) {
    Plan part = plan;
    part.seed = plan.seed * 1000 + issuer;
    part.shape.apart = true;
    part.shape.top += fmt::format("/i{:03}/a/b/c/d/e", issuer);
    return part;
}

Found Rounds::run_apart(const Plan& plan) {
    std::vector<Actor> actors(threads_);
    both([&](FileApi& api) { value_or_throw(api.become({})); });
    if (session_.rank() == 0)
        both([&](FileApi& api) {
            value_or_throw(api.make_directory(plan.shape.top, 0777));
            for (std::uint32_t i = 0; i < issuers(); ++i)
                make_top(api, part_of(plan, i).shape.top);
        });
    session_.barrier();
    everybody([&](std::uint32_t issuer, std::uint32_t thread) {
        const Plan part = part_of(plan, issuer);
        for (const std::uint64_t number : part.numbers)
            if (!same(part, number, actors[thread], thread)) break;
    });
    session_.barrier();
    for (std::uint32_t i = 0; i < threads_; ++i) {
        actors[i].system = {};
        actors[i].reference = {};
        if (actors[i].found.number < actor_.found.number) actor_.found = actors[i].found;
    }
    const Found found = together(std::exchange(actor_.found, {}));
    return found.any() ? found : walks(plan.shape.top, UINT64_MAX - 1);
}

Found Rounds::walks(const std::string& path, std::uint64_t number) {
    Answer got, expected;
    announce(0, fmt::format("rank {} walks {}", session_.rank(), path));
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
