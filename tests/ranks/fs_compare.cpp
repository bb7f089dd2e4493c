// SPDX-License-Identifier: BSD-3-Clause
// Random operations on kDFS, one at a time in a total order, issued by the threads of all ranks in
// turn, and compared call by call with the same operations on a local directory. A difference is
// shrunk to few operations that still differ, and told with what replays it. Exit code 1: there
// was one.
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>

#include "fs_kdfs.hpp"
#include "fs_options.hpp"
#include "fs_round.hpp"
#include "rank_directories.hpp"

namespace ssi::test {
namespace {

class Comparison {
public:
    Comparison(Session& session, const CompareOptions& options, Rounds& rounds, Shape shape)
        : session_(session), options_(options), rounds_(rounds), shape_(std::move(shape)) {}

    // Whether all seeds went through without a difference. The tree of the last one stays.
    bool run() {
        for (std::uint64_t i = 0; i < options_.seeds; ++i) {
            const auto start = std::chrono::steady_clock::now();
            Plan plan = plan_of(options_.seed + i);
            const Found found = options_.apart ? rounds_.run_apart(plan) : rounds_.run(plan);
            if (found.any() && options_.apart) {
                say(found.text + "\n");
                alone(plan);
                return false;
            }
            if (found.any()) {
                say(found.text + "\n");
                shrink(plan, found);
                return false;
            }
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
            say(fmt::format("seed {}: {} operations by {} x {} issuers without a difference, "
                            "{:.1f} s\n", plan.seed, plan.numbers.size(), session_.size(),
                            options_.threads, took.count()));
            if (i + 1 < options_.seeds) rounds_.remove(plan.shape.top);
        }
        return true;
    }

    bool verify() {
        const Found found = rounds_.walks(plan_of(options_.seed).shape.top, 0);
        say(found.any() ? found.text + "\n" : "what an earlier run left is there\n");
        return !found.any();
    }

private:
    Plan plan_of(std::uint64_t seed) const {
        Plan plan;
        plan.seed = seed;
        plan.shape = shape_;
        plan.shape.top = fmt::format("/r{:04}", seed % 10'000);
        plan.numbers = options_.only;
        if (plan.numbers.empty())
            for (std::uint64_t n = 0; n < options_.operations; ++n) plan.numbers.push_back(n);
        plan.lie_at = options_.lie_at;
        plan.lose_at = options_.lose_at;
        while (plan.lose_at < options_.operations &&
               !changes(operation_of(seed, plan.lose_at, plan.shape)))
            ++plan.lose_at;
        return plan;
    }

    // Whether a sequence differs without company, too; then it can be shrunk.
    void alone(const Plan& plan) {
        for (std::uint32_t i = 0;
             i < static_cast<std::uint32_t>(session_.size()) * options_.threads; ++i) {
            Plan part = Rounds::part_of(plan, i);
            part.shape.top = fmt::format("/alone{:03}", i);
            const Found found = rounds_.run(part);
            if (!found.any()) continue;
            say(fmt::format("issuer {} differs by itself, too:\n", i));
            shrink(part, found);
            return;
        }
        say("by itself no issuer differs: the others matter\n");
    }

    // Leaves operations out as long as there still is a difference: first many, then few.
    void shrink(Plan plan, Found found) {
        const auto start = std::chrono::steady_clock::now();
        const auto limit = std::chrono::seconds(options_.shrink_seconds);
        const auto until = [&](std::uint64_t number) {
            std::erase_if(plan.numbers, [&](std::uint64_t n) { return n > number; });
        };
        until(found.number);
        std::uint64_t tries = 0;
        for (std::size_t part = plan.numbers.size() / 2; part > 0; part /= 2) {
            for (std::size_t at = 0; at < plan.numbers.size();) {
                const bool go = std::chrono::steady_clock::now() - start < limit;
                if (session_.reduce(std::uint64_t{go}, Reduce::min) == 0) {
                    tell(plan, found, tries);
                    return;
                }
                Plan shorter = plan;
                const auto from = shorter.numbers.begin() + static_cast<std::ptrdiff_t>(at);
                const auto rest = static_cast<std::ptrdiff_t>(
                    std::min(part, shorter.numbers.size() - at));
                shorter.numbers.erase(from, from + rest);
                shorter.shape.top = fmt::format("/s{:04}", ++tries % 10'000);
                const Found again = rounds_.run(shorter);
                // The same difference, not another one that fewer operations bring to light.
                if (again.number == found.number) {
                    plan.numbers = shorter.numbers;
                    found = again;
                } else {
                    at += part;
                }
            }
        }
        tell(plan, found, tries);
    }

    void tell(const Plan& plan, const Found& found, std::uint64_t tries) {
        std::string text = fmt::format("\nshrunk in {} tries to {} operations:\n", tries,
                                       plan.numbers.size());
        for (std::size_t i = 0; i < plan.numbers.size() && i < 60; ++i)
            text += "  " + describe(operation_of(plan.seed, plan.numbers[i], plan.shape)) + "\n";
        text += found.text + "\n";
        text += fmt::format("replay: fs_compare_test.py FS_COMPARE --ranks {} -- --seed {} "
                            "--threads {}{} --only {}\n", session_.size(), plan.seed,
                            options_.threads, options_.users ? " --users" : "",
                            numbers_text(plan.numbers));
        say(text);
    }

    void say(const std::string& text) const {
        if (session_.rank() != 0) return;
        std::fputs(text.c_str(), stdout);
        std::fflush(stdout);
    }

    Session& session_;
    const CompareOptions& options_;
    Rounds& rounds_;
    const Shape shape_;
};

// What a local file system cannot do is not compared; the same on every rank.
void limit(Shape& shape, LocalDirectory& local) {
    local.run([&](FileApi& api) {
        const auto file = value_or_throw(api.open("/probe", O_RDWR | O_CREAT, 0600, {}));
        if (!api.set_xattr("/probe", "user.a", {}, 0)) shape.xattrs = false;
        if (!file->allocate(FALLOC_FL_ZERO_RANGE, 0, 1)) shape.zero_range = false;
        value_or_throw(api.unlink("/probe"));
    });
}

Shape shape_of(Session& session, LocalDirectory& reference, LocalDirectory* other,
               const CompareOptions& options) {
    Shape shape;
    shape.users = options.users;
    if (session.rank() == 0) {
        limit(shape, reference);
        if (other) limit(shape, *other);
    }
    session.broadcast(0, shape.xattrs);
    session.broadcast(0, shape.zero_range);
    if (session.rank() == 0 && !(shape.xattrs && shape.zero_range))
        std::printf("not compared, as the reference has none:%s%s\n",
                    shape.xattrs ? "" : " extended attributes",
                    shape.zero_range ? "" : " fallocate that zeroes");
    return shape;
}

void print(Session& session, const Rounds::Coverage& coverage) {
    if (session.rank() != 0) return;
    for (const auto& [name, counts] : coverage)
        std::printf("%-12s %8llu succeeded %8llu failed\n", name.c_str(),
                    static_cast<unsigned long long>(counts.first),
                    static_cast<unsigned long long>(counts.second));
}

bool compare(Session& session, const CompareOptions& options) {
    auto reference = value_or_throw(LocalDirectory::open(options.reference));
    std::unique_ptr<LocalDirectory> other;
    std::unique_ptr<fs::FileSystem> system;
    std::unique_ptr<KdfsApi> kdfs;
    Reach reach;
    if (options.against.empty()) {
        fs::Options mounting;
        mounting.volumes.directories = directories_of(options.volumes, session.rank());
        mounting.cache_bytes = options.cache_bytes;
        system = value_or_throw(fs::FileSystem::mount(session, mounting));
        kdfs = std::make_unique<KdfsApi>(*system);
        reach = [&](const std::function<void(FileApi&)>& body) { body(*kdfs); };
    } else {
        other = value_or_throw(LocalDirectory::open(options.against));
        reach = [&](const std::function<void(FileApi&)>& body) { other->run(body); };
    }
    Rounds rounds(session, reach, *reference, options.threads);
    Comparison comparison(session, options, rounds,
                          shape_of(session, *reference, other.get(), options));
    const bool same = options.verify ? comparison.verify() : comparison.run();
    if (options.coverage) print(session, rounds.coverage());
    if (system) value_or_throw(system->close());
    return same;
}

}  // namespace
}  // namespace ssi::test

int main(int argc, char** argv) {
    try {
        ssi::Session session(argc, argv);
        const auto options = ssi::test::parse_compare(argc, argv);
        if (!options) {
            if (session.rank() == 0)
                std::fprintf(stderr, "fs-compare: %s\n%s", options.error().text.c_str(),
                             ssi::test::compare_usage());
            return 2;
        }
        const bool same = ssi::test::compare(session, *options);
        ssi::value_or_throw(session.close());
        return same ? 0 : 1;
    } catch (const ssi::Error& error) {
        std::fprintf(stderr, "fs-compare: %s\n", error.what());
        ssi::Session::exit(ssi::error_info(error.code()).exit_code);
    }
}
