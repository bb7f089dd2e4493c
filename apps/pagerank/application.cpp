// SPDX-License-Identifier: BSD-3-Clause
#include "application.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "cli/checks.hpp"
#include "exchange.hpp"
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
      progress_("pagerank", session.rank() == 0, options.progress, clock_) {}

int Application::run() {
    if (const int code = open_source(); code != 0) return code;
    report_.program = "pagerank";
    report_.input = source_->description();
    report_.notes = source_->notes();
    report_.ranks = session_.size();
    report_.vertices = source_->vertices();
    report_.edges = source_->edges();
    build();
    solve();
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

void Application::solve() {
    double seconds = 0;
    std::uint32_t runs = 0;
    while (runs < options_.repeat || seconds < options_.min_seconds) {
        const auto run = ranking_->run(
            options_, [&](const Ranking::Run& so_far) { show(runs + 1, so_far); });
        seconds += run.seconds;
        ++runs;
        report_.iterations = run.iterations;
        report_.residual = run.residual;
        report_.converged = run.converged;
    }
    report_.set_time(seconds, runs);
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
                           so_far.iterations, so_far.residual,
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
