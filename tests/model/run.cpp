// SPDX-License-Identifier: BSD-3-Clause
#include "run.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>

#include "cut_workload.hpp"
#include "sync_workload.hpp"
#include "workload.hpp"

namespace ssi::model {
namespace {

constexpr std::size_t trace_lines = 60;
constexpr std::uint32_t nodes_that_measure = 64;   // fewer drown in the process's own memory
constexpr std::uint64_t idle_limit_bytes = 256u << 10;
constexpr std::uint64_t active_limit_bytes = 1u << 20;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool memory_is_ours = false;  // the sanitizers' is in it
#else
constexpr bool memory_is_ours = true;
#endif

std::uint64_t resident_bytes() {
    unsigned long pages = 0, resident = 0;
    if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%lu %lu", &pages, &resident) != 2) resident = 0;
        std::fclose(file);
    }
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

// Memory that an earlier seed left in the allocator must not hide what this one takes.
std::uint64_t trimmed_resident_bytes() {
    malloc_trim(0);
    return resident_bytes();
}

std::uint64_t most_resident_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::uint64_t>(usage.ru_maxrss) << 10;
}

struct Run {
    Run(const Options& o, std::uint64_t s)
        : options(o), seed(s), resident_before(trimmed_resident_bytes()), catalog(o),
          world(o, s, catalog), workload(o, s, catalog, world),
          calm(o, s, world, "calm", true), stormy(o, s + 1, world, "stormy", false),
          cuts(o, s, catalog, world) {
        cuts.kill = [this](std::uint32_t node) { workload.kill(node); };
    }

    void execute();
    void measure_idle();
    void measure_active();
    std::string json(double seconds) const;
    std::string summary(double seconds) const;
    int report_failure() const;

    const Options& options;
    std::uint64_t seed;
    std::uint64_t resident_before;
    std::uint64_t idle_bytes_per_node = 0;
    std::uint64_t active_bytes_per_node = 0;
    std::uint64_t storm_passed = 0;
    net::SimNetwork::Usage setup_usage;
    Catalog catalog;
    World world;
    Workload workload;
    SyncWorkload calm, stormy;   // without delays and losses; with what the options ask for
    CutWorkload cuts;
};

Run* current_run = nullptr;

// An assertion of the code under test is a checker too.
void on_abort(int) {
    if (current_run) {
        current_run->world.verdict.fail("assertion", "the code under test stopped itself, see "
                                                     "above");
        std::fflush(stdout);
        current_run->report_failure();
        std::fflush(stdout);
    }
    _exit(checker_exit_code);
}

void Run::execute() {
    world.open_sets([this](std::uint32_t node, kddm::Engine& engine) {
        workload.prepare(node, engine);
    });
    if (world.verdict.failed()) return;
    workload.hook_releases();
    setup_usage = world.network.usage();
    measure_idle();
    workload.start_storm();
    world.run();
    if (!world.verdict.failed()) workload.check_rest();
    storm_passed = workload.oracle().most_passed();
    if (world.verdict.failed()) return;
    calm.start();
    world.run();
    if (!world.verdict.failed()) calm.check_rest();
    if (world.verdict.failed()) return;
    workload.start();
    stormy.start();
    cuts.start();
    world.run();
    if (!world.verdict.failed()) workload.check_rest();
    if (!world.verdict.failed()) stormy.check_rest();
    if (!world.verdict.failed()) cuts.check_rest();
    measure_active();
    if (world.verdict.failed()) return;
    workload.start_last_reads();
    world.run();
    if (!world.verdict.failed()) workload.check_rest();
    if (!world.verdict.failed()) workload.check_linkers();
    if (!world.verdict.failed()) workload.check_histories();
    if (!world.verdict.failed()) workload.check_delays();
    if (!world.verdict.failed()) world.close();
}

void Run::measure_idle() {
    idle_bytes_per_node = (resident_bytes() - resident_before) / options.nodes;
    if (memory_is_ours && options.nodes >= nodes_that_measure &&
        idle_bytes_per_node > idle_limit_bytes)
        world.verdict.fail("memory", fmt::format("an idle node takes {} bytes, more than {}",
                                                 idle_bytes_per_node, idle_limit_bytes));
}

void Run::measure_active() {
    active_bytes_per_node = (resident_bytes() - resident_before) / options.nodes;
    if (memory_is_ours && options.nodes >= nodes_that_measure &&
        active_bytes_per_node > active_limit_bytes)
        world.verdict.fail("memory", fmt::format("an active node takes {} bytes, more than {}",
                                                 active_bytes_per_node, active_limit_bytes));
}

double per(std::uint64_t sum, std::uint64_t count) {
    return count == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(count);
}

std::string Run::json(double seconds) const {
    const auto usage = world.network.usage();
    const auto fibers = world.scheduler.usage();
    std::string verbs;
    for (std::size_t v = 0; v < verb_count; ++v) {
        const VerbCount& c = workload.counts()[v];
        if (c.operations == 0) continue;
        verbs += fmt::format(
            R"({}"{}":{{"operations":{},"messages_per_op":{:.3f},"bytes_per_op":{:.1f},)"
            R"("delays_per_op":{:.3f},"most_delays":{}}})",
            verbs.empty() ? "" : ",", verb_name(static_cast<Verb>(v)), c.operations,
            per(c.messages, c.operations), per(c.bytes, c.operations), per(c.delays, c.operations),
            c.most_delays);
    }
    return fmt::format(
        R"({{"nodes":{},"seed":{},"ops":{},"virtual_ns":{},"messages":{},"bytes":{},)"
        R"("setup_messages":{},"duplicates":{},"dropped":{},"switches":{},"preemptions":{},)"
        R"("looks":{},"most_passed":{},"storm_passed":{},"lock_passed":{},)"
        R"("seconds":{:.3f},"ops_per_second":{:.0f},)"
        R"("max_rss_bytes":{},"stack_bytes":{},"bytes_per_node_idle":{},)"
        R"("bytes_per_node_active":{},"cuts":{},)"
        R"("verbs":{{{}}}}})",
        options.nodes, seed, workload.done(), world.clock.now(),
        usage.messages - setup_usage.messages, usage.bytes - setup_usage.bytes,
        setup_usage.messages, usage.duplicates, usage.dropped, fibers.switches, fibers.preemptions,
        world.coherence.looks(), workload.oracle().most_passed(), storm_passed,
        calm.most_passed(), seconds,
        static_cast<double>(workload.done()) / seconds, most_resident_bytes(), fibers.stack_bytes,
        idle_bytes_per_node, active_bytes_per_node, cuts.made(), verbs);
}

std::string Run::summary(double seconds) const {
    const auto usage = world.network.usage();
    return fmt::format("seed {}: {} nodes, {} operations, {:.3f} ms of virtual time, {} messages, "
                       "{} "
                       "duplicates, {} preemptions, bytes_per_node {} idle {} active, max rss {} "
                       "MiB, {:.1f} s, {:.0f} ops/s, clean",
                       seed, options.nodes, workload.done(),
                       static_cast<double>(world.clock.now()) / 1e6, usage.messages,
                       usage.duplicates, world.scheduler.usage().preemptions, idle_bytes_per_node,
                       active_bytes_per_node, most_resident_bytes() >> 20, seconds,
                       static_cast<double>(workload.done()) / seconds);
}

int Run::report_failure() const {
    if (!options.trace) fmt::print("{}", world.trace.tail(trace_lines));
    fmt::print("{}\n", world.verdict.text());
    fmt::print("checker {} seed {}\n", world.verdict.checker(), seed);
    return checker_exit_code;
}

}  // namespace

int run_seed(const Options& options, std::uint64_t seed) {
    const RealClock clock;
    const Nanoseconds start = clock.now();
    auto run = std::make_unique<Run>(options, seed);
    current_run = run.get();
    std::signal(SIGABRT, on_abort);
    run->execute();
    const double seconds = static_cast<double>(clock.now() - start) / 1e9;
    if (run->world.verdict.failed()) {
        const int code = run->report_failure();
        std::fflush(stdout);
        // Guards are held on abandoned fibers: there is no orderly way down.
        _exit(code);
    }
    if (options.json)
        fmt::print("{}\n", run->json(seconds));
    else if (!options.trace)
        fmt::print("{}\n", run->summary(seconds));
    std::fflush(stdout);
    current_run = nullptr;
    return 0;
}

}  // namespace ssi::model
