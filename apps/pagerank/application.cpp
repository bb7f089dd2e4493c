// SPDX-License-Identifier: BSD-3-Clause
#include "application.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "cli/checks.hpp"
#include "exchange.hpp"
#include "graph/digest.hpp"
#include "kdfs_input.hpp"
#include "memory_need.hpp"
#include "support/program.hpp"
#include "support/statistics.hpp"

namespace pagerank {
namespace {

// What rank 0 tells the others about the input.
struct Opened {
    std::uint64_t vertices = 0;
    std::uint64_t edges = 0;
    std::uint64_t exit_code = 0;
};

ssi::Errc errc_of(graph::Problem::Kind kind) {
    switch (kind) {
        case graph::Problem::Kind::not_found: return ssi::Errc::not_found;
        case graph::Problem::Kind::unreadable: return ssi::Errc::io;
        case graph::Problem::Kind::malformed: return ssi::Errc::parse;
        case graph::Problem::Kind::empty: return ssi::Errc::invalid_argument;
        case graph::Problem::Kind::too_large: return ssi::Errc::too_large;
    }
    return ssi::Errc::internal;
}

std::uint64_t exit_code_of(ssi::Errc code) {
    return static_cast<std::uint64_t>(ssi::error_info(code).exit_code);
}

graph::Edges reversed(graph::Edges edges) {
    for (graph::Edge& edge : edges) std::swap(edge.source, edge.target);
    return edges;
}

}  // namespace

Application::Application(ssi::Session& session, const cli::Options& options)
    : session_(session),
      options_(options),
      progress_("pagerank", session.rank() == 0, options.progress, clock_),
      checkpoints_(session, options.checkpoints, "pagerank", "iteration", clock_) {}

int Application::run() {
    if (const int code = open_source(); code != 0) return code;
    report_.program = "pagerank";
    report_.input = source_->description();
    report_.notes = source_->notes();
    report_.ranks = session_.size();
    report_.vertices = source_->vertices();
    report_.edges = source_->edges();
    build();
    if (const int code = go_back(); code != 0) return code;
    if (const int code = solve(); code != 0) return code;
    report_.checkpoints = checkpoints_.finish();
    conclude();
    progress_.finish();
    auto code = ssi::Errc::ok;
    if (report_.verification && !report_.verification->passed()) code = ssi::Errc::mismatch;
    return support::print_report(
        session_, "pagerank", [&] { return options_.json ? report_.json() : report_.text(); },
        code);
}

graph::Outcome<cli::Source> Application::read_source() {
    if (options_.volumes.empty()) return cli::Source::open(options_, first());
    auto source = read_from_kdfs(session_, options_, progress_);
    progress_.finish();
    return source;
}

int Application::open_source() {
    auto source = read_source();
    Opened opened;
    if (source) {
        opened = {source->vertices(), source->edges(), 0};
    } else {
        // The same on every rank, or rank 0's alone.
        if (first()) fmt::print(stderr, "pagerank: {}\n", source.error().text);
        opened.exit_code = exit_code_of(errc_of(source.error().kind));
    }
    std::vector<std::byte> bytes(sizeof opened);
    std::memcpy(bytes.data(), &opened, sizeof opened);
    session_.broadcast(0, bytes);
    std::memcpy(&opened, bytes.data(), sizeof opened);
    if (opened.exit_code != 0) return static_cast<int>(opened.exit_code);
    source_ = std::move(*source);
    source_->set_size(static_cast<graph::Vertex>(opened.vertices), opened.edges);
    bool fits = true;
    const std::string problem =
        memory_problem(session_, options_, static_cast<double>(opened.vertices),
                       static_cast<double>(opened.edges), fits);
    if (!problem.empty()) fmt::print(stderr, "pagerank: {}\n", problem);
    return fits ? 0 : static_cast<int>(exit_code_of(ssi::Errc::out_of_memory));
}

void Application::build() {
    const double begin = seconds();
    progress_.stage("distributing the graph");
    graph::Edges edges;
    if (first() || source_->is_sliced())
        edges = source_->slice(session_.rank(), session_.size());
    if (!options_.checkpoints.directory.empty())
        fingerprint_.digest = session_.reduce(graph::digest_of(edges), ssi::Reduce::sum);
    graph_ =
        std::make_unique<LocalGraph>(session_, source_->vertices(), options_.block_vertices, edges);
    ranking_ = std::make_unique<Ranking>(*graph_, clock_);
    EdgeExchange by_target(session_, graph_->partition(), "pagerank.edges");
    if (options_.components) {
        components_ = std::make_unique<Components>(*graph_, clock_);
        EdgeExchange by_source(session_, graph_->partition(), "pagerank.reversed");
        by_source.send(reversed(edges));
        components_->unite(by_source.received());
        by_source.close();
    }
    by_target.send(std::move(edges));
    if (components_) components_->unite(by_target.received());
    graph_->store(by_target);
    session_.barrier();
    report_.build_seconds = seconds() - begin;
    report_.block_vertices = graph_->partition().block_vertices();
}

int Application::go_back() {
    fingerprint_.vertices = source_->vertices();
    fingerprint_.edges = source_->edges();
    fingerprint_.block_vertices = report_.block_vertices;
    progress_.finish();
    graph::Saved saved;
    const auto found = checkpoints_.find();
    if (!found) return support::leave_with(session_, "pagerank", found.error());
    // Before anything is put into sets that may be too small for it.
    if (*found)
        if (const int code = look_at(**found, saved); code != 0) return code;
    checkpoints_.protect(ranking_->ranks());
    const auto from = checkpoints_.restart();
    if (!from) return support::leave_with(session_, "pagerank", from.error());
    if (!*from) return 0;
    if (const int code = look_at(**from, saved); code != 0) return code;
    saved_ = Ranking::Run{.iterations = saved.iterations, .totals = saved.totals,
                          .seconds = saved.seconds};
    return 0;
}

int Application::look_at(const ssi::Restarted& from, graph::Saved& saved) {
    std::string fault = graph::read_saved(from.bytes, saved);
    if (fault.empty())
        fault = graph::fault_of(saved, fingerprint_, options_.damping, options_.max_iterations);
    if (fault.empty()) return 0;
    return support::leave_with(
        session_, "pagerank",
        {.code = ssi::Errc::mismatch,
         .text = fmt::format("version {} of {} {}", from.version, options_.checkpoints.directory,
                             fault)});
}

std::optional<int> Application::save(const Ranking::Run& run) {
    if (run.converged || run.iterations == options_.max_iterations) return std::nullopt;
    const graph::Saved saved{.iterations = run.iterations, .totals = run.totals,
                             .graph = fingerprint_, .damping = options_.damping,
                             .seconds = run.seconds};
    return checkpoints_.at(run.iterations, std::as_bytes(std::span(&saved, 1)));
}

int Application::solve() {
    double seconds = 0;
    std::uint32_t runs = 0;
    std::optional<int> code;
    const auto observer = [&](const Ranking::Run& so_far) {
        show(runs + 1, so_far);
        code = save(so_far);
        return !code;
    };
    while (!code && (runs < options_.repeat || seconds < options_.min_seconds)) {
        const auto run = saved_ ? ranking_->resume(*saved_, options_, observer)
                                : ranking_->run(options_, observer);
        seconds += run.seconds;
        ++runs;
        report_.iterations = run.iterations;
        report_.residual = run.residual();
        report_.converged = run.converged;
    }
    report_.set_time(seconds, runs);
    return code.value_or(0);
}

void Application::show(std::uint32_t run, const Ranking::Run& so_far) {
    if (first() && options_.log_iterations) {
        progress_.finish();
        fmt::print(stderr, "iteration {}\n", so_far.iterations);
        std::fflush(stderr);
    }
    progress_.update([&] {
        const double done = static_cast<double>(source_->edges()) * so_far.iterations;
        return fmt::format("run {}, iteration {}, residual {:.2e}, {:.1f} M edges/s", run,
                           so_far.iterations, so_far.residual(),
                           so_far.seconds > 0 ? done / so_far.seconds / 1e6 : 0);
    });
}

void Application::conclude() {
    std::vector<graph::Vertex> labels;
    if (components_) {
        progress_.stage("finding components");
        report_.components = components_->find();
        labels = components_->all_labels();
        if (first()) count_components(labels, *report_.components);
    }
    for (const auto& entry : ranking_->top(options_.top))
        report_.top.push_back({source_->name(entry.vertex), entry.rank});
    report_.digest = ranking_->digest();
    for (const auto& set : {graph_->adjacency(), ranking_->ranks(), ranking_->shares()})
        report_.kddm.push_back(support::sum_over_ranks(session_, set));
    if (components_)
        report_.kddm.push_back(support::sum_over_ranks(session_, components_->labels()));
    if (!options_.serial && !options_.verify) return;
    progress_.stage("running serially for comparison");
    const auto ranks = ranking_->all_ranks();
    if (first())
        cli::check(
            options_, source_->vertices(), source_->whole(), ranks, labels,
            [this] { return seconds(); }, report_);
}

}  // namespace pagerank
