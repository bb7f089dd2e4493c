// SPDX-License-Identifier: BSD-3-Clause
#include "graph/packages.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>

#include "graph/relation.hpp"

namespace graph {
namespace {

struct Field {
    std::string value;
    std::uint64_t line = 0;
};

// The fields of one stanza that make the graph.
struct Stanza {
    std::uint64_t first_line = 0;  // 0: nothing read yet
    Field package, depends, pre_depends, provides;

    Field* field(std::string_view name) {
        if (name == "Package") return &package;
        if (name == "Depends") return &depends;
        if (name == "Pre-Depends") return &pre_depends;
        if (name == "Provides") return &provides;
        return nullptr;
    }
};

class Reader {
public:
    explicit Reader(LineReader& input) : input_(input) {}

    Outcome<PackagesPart> read() {
        std::string_view line;
        while (input_.next(line)) take_line(line);
        end_stanza();
        if (auto closed = input_.close(); !closed) return tl::unexpected(std::move(closed).error());
        part_.names = names_.take();
        part_.lines = input_.line_number();
        return std::move(part_);
    }

private:
    void take_line(std::string_view line) {
        if (line.find_first_not_of(" \t") == line.npos) return end_stanza();
        if (stanza_.first_line == 0) stanza_.first_line = input_.line_number();
        if (line.front() == ' ' || line.front() == '\t') return take_continuation(line);
        const std::size_t colon = line.find(':');
        if (colon == line.npos || colon == 0 || line.substr(0, colon).find(' ') != line.npos) {
            part_.malformed.add(input_.line_number(), "not a `Field: value` line", line);
            return;
        }
        any_field_ = true;
        current_ = stanza_.field(line.substr(0, colon));
        if (!current_) return;
        if (current_->line != 0) {
            part_.malformed.add(input_.line_number(), "a second field of the same name in a stanza",
                           line);
            current_ = nullptr;
            return;
        }
        current_->line = input_.line_number();
        current_->value = line.substr(colon + 1);
    }

    void take_continuation(std::string_view line) {
        if (!any_field_)
            part_.malformed.add(input_.line_number(), "a continuation with nothing before it",
                                line);
        else if (current_)
            current_->value.append("\n").append(line);
    }

    void end_stanza() {
        if (any_field_) take_stanza();
        stanza_ = {};
        current_ = nullptr;
        any_field_ = false;
    }

    void take_stanza() {
        if (stanza_.package.line == 0) {
            part_.malformed.add(stanza_.first_line, "a stanza without a Package field", "");
            return;
        }
        std::string_view name = stanza_.package.value;
        while (!name.empty() && (name.front() == ' ' || name.front() == '\t'))
            name.remove_prefix(1);
        while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
        if (!is_package_name(name)) {
            part_.malformed.add(stanza_.package.line, "a package name that does not parse", name);
            return;
        }
        const Vertex vertex = names_.number(name);
        for (Field* field : {&stanza_.pre_depends, &stanza_.depends})
            if (field->line != 0)
                part_.relations.push_back({vertex, std::move(field->value), field->line});
        parse_relations(
            stanza_.provides.value,
            [&](const Alternatives& names) {
                part_.provides.emplace_back(names.front(), vertex);
            },
            [&](const char* what, std::string_view clause) {
                part_.malformed.add(stanza_.provides.line, what, clause);
            });
    }

    LineReader& input_;
    PackagesPart part_;
    Names names_;
    Stanza stanza_;
    Field* current_ = nullptr;  // of stanza_; null: a field that the graph does not need
    bool any_field_ = false;
};

void resolve_clause(Vertex vertex, const Alternatives& names, const PackageDirectory& directory,
                    PackageEdges& edges) {
    bool named = false;
    for (const std::string_view name : names) {
        const auto target = directory.find(name);
        if (!target) continue;
        named = true;
        if (*target != vertex) edges.direct.push_back({vertex, *target});
    }
    if (named) return;
    bool provided = false;
    for (const std::string_view name : names) {
        const auto* providers = directory.providers_of(name);
        if (!providers) continue;
        provided = true;
        for (const Vertex target : *providers)
            if (target != vertex) edges.through_virtual.push_back({vertex, target});
    }
    if (!provided) ++edges.unsatisfied;
}

}  // namespace

Outcome<PackagesPart> read_packages_part(LineReader& input) { return Reader(input).read(); }

std::vector<Vertex> PackageDirectory::add(
    std::span<const std::string> names, std::span<const std::pair<std::string, Vertex>> provides) {
    std::vector<Vertex> numbers;
    numbers.reserve(names.size());
    for (const std::string& name : names) numbers.push_back(names_.number(name));
    for (const auto& [name, package] : provides) {
        auto& providers = providers_[name];
        if (providers.empty() || providers.back() != numbers[package])
            providers.push_back(numbers[package]);
    }
    return numbers;
}

const std::vector<Vertex>* PackageDirectory::providers_of(std::string_view name) const {
    const auto found = providers_.find(std::string(name));
    return found == providers_.end() ? nullptr : &found->second;
}

PackageEdges resolve(PackagesPart& part, std::span<const Vertex> numbers,
                     const PackageDirectory& directory) {
    PackageEdges edges;
    for (const auto& relation : part.relations)
        parse_relations(
            relation.text,
            [&](const Alternatives& names) {
                resolve_clause(numbers[relation.package], names, directory, edges);
            },
            [&](const char* what, std::string_view clause) {
                part.malformed.add(relation.line, what, clause);
            });
    return edges;
}

Edges PackageEdges::finish(PackageCounts& counts) {
    const auto less = [](const Edge& a, const Edge& b) {
        return a.source != b.source ? a.source < b.source : a.target < b.target;
    };
    Edges all = std::move(direct);
    const auto make_unique = [&] {
        std::sort(all.begin(), all.end(), less);
        all.erase(std::unique(all.begin(), all.end()), all.end());
    };
    make_unique();
    counts.direct_edges = all.size();
    all.insert(all.end(), through_virtual.begin(), through_virtual.end());
    make_unique();
    counts.virtual_edges = all.size() - counts.direct_edges;
    counts.unsatisfied = unsatisfied;
    return all;
}

std::string describe(Vertex packages, const PackageCounts& counts) {
    return fmt::format("{} packages, {} dependencies by name, {} more through virtual packages, {} "
                       "that nothing in the index satisfies",
                       packages, counts.direct_edges, counts.virtual_edges, counts.unsatisfied);
}

Problem no_packages(const std::string& input) {
    return {Problem::Kind::empty,
            fmt::format("the graph is empty: {} holds no package", input)};
}

Outcome<Graph> read_packages(LineReader& input, bool skip_malformed, PackageCounts* counts) {
    auto part = read_packages_part(input);
    if (!part) return tl::unexpected(std::move(part).error());
    PackageDirectory directory;
    const auto numbers = directory.add(part->names, part->provides);
    PackageEdges edges = resolve(*part, numbers, directory);
    Graph graph;
    if (auto good = part->malformed.conclude(input.name(), skip_malformed, graph.notes); !good)
        return tl::unexpected(std::move(good).error());
    if (directory.size() == 0) return tl::unexpected(no_packages(input.name()));
    PackageCounts local;
    PackageCounts& counted = counts ? *counts : local;
    graph.edges = edges.finish(counted);
    graph.names = directory.take_names();
    graph.notes.push_back(describe(graph.vertices(), counted));
    return graph;
}

}  // namespace graph
