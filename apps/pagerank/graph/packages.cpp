// SPDX-License-Identifier: BSD-3-Clause
#include "graph/packages.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>

#include "graph/malformed.hpp"
#include "graph/names.hpp"
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

// Two passes: stanzas become vertices, providers and pending relations; once every package is
// known, the relations become edges.
class Reader {
public:
    Reader(LineReader& input, bool skip_malformed) : input_(input), skip_(skip_malformed) {}

    Outcome<Graph> read(PackageCounts& counts) {
        std::string_view line;
        while (input_.next(line)) take_line(line);
        end_stanza();
        if (auto closed = input_.close(); !closed) return tl::unexpected(std::move(closed).error());
        for (const auto& [vertex, relation] : relations_) resolve(vertex, relation, counts);
        if (auto good = malformed_.conclude(input_.name(), skip_, graph_.notes); !good)
            return tl::unexpected(std::move(good).error());
        if (names_.size() == 0)
            return tl::unexpected(
                Problem{Problem::Kind::empty,
                        fmt::format("the graph is empty: {} holds no package", input_.name())});
        graph_.names = names_.take();
        finish_edges(counts);
        graph_.notes.push_back(fmt::format(
            "{} packages, {} dependencies by name, {} more through virtual packages, {} "
            "that nothing "
            "in the index satisfies",
            graph_.names.size(), counts.direct_edges, counts.virtual_edges, counts.unsatisfied));
        return std::move(graph_);
    }

private:
    void take_line(std::string_view line) {
        if (line.find_first_not_of(" \t") == line.npos) return end_stanza();
        if (stanza_.first_line == 0) stanza_.first_line = input_.line_number();
        if (line.front() == ' ' || line.front() == '\t') return take_continuation(line);
        const std::size_t colon = line.find(':');
        if (colon == line.npos || colon == 0 || line.substr(0, colon).find(' ') != line.npos) {
            malformed_.add(input_.line_number(), "not a `Field: value` line", line);
            return;
        }
        any_field_ = true;
        current_ = stanza_.field(line.substr(0, colon));
        if (!current_) return;
        if (current_->line != 0) {
            malformed_.add(input_.line_number(), "a second field of the same name in a stanza",
                           line);
            current_ = nullptr;
            return;
        }
        current_->line = input_.line_number();
        current_->value = line.substr(colon + 1);
    }

    void take_continuation(std::string_view line) {
        if (!any_field_)
            malformed_.add(input_.line_number(), "a continuation with nothing before it", line);
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
            malformed_.add(stanza_.first_line, "a stanza without a Package field", "");
            return;
        }
        std::string_view name = stanza_.package.value;
        while (!name.empty() && (name.front() == ' ' || name.front() == '\t'))
            name.remove_prefix(1);
        while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
        if (!is_package_name(name)) {
            malformed_.add(stanza_.package.line, "a package name that does not parse", name);
            return;
        }
        const Vertex vertex = names_.number(name);
        for (Field* field : {&stanza_.pre_depends, &stanza_.depends})
            if (field->line != 0) relations_.emplace_back(vertex, std::move(*field));
        parse_relations(
            stanza_.provides.value,
            [&](const Alternatives& names) {
                auto& providers = providers_[std::string(names.front())];
                if (providers.empty() || providers.back() != vertex) providers.push_back(vertex);
            },
            [&](const char* what, std::string_view clause) {
                malformed_.add(stanza_.provides.line, what, clause);
            });
    }

    void resolve(Vertex vertex, const Field& relation, PackageCounts& counts) {
        parse_relations(
            relation.value,
            [&](const Alternatives& names) { resolve_clause(vertex, names, counts); },
            [&](const char* what, std::string_view clause) {
                malformed_.add(relation.line, what, clause);
            });
    }

    void resolve_clause(Vertex vertex, const Alternatives& names, PackageCounts& counts) {
        bool named = false;
        for (const std::string_view name : names) {
            const auto target = names_.find(name);
            if (!target) continue;
            named = true;
            if (*target != vertex) graph_.edges.push_back({vertex, *target});
        }
        if (named) return;
        bool provided = false;
        for (const std::string_view name : names) {
            const auto found = providers_.find(std::string(name));
            if (found == providers_.end()) continue;
            provided = true;
            for (const Vertex target : found->second)
                if (target != vertex) through_virtual_.push_back({vertex, target});
        }
        if (!provided) ++counts.unsatisfied;
    }

    // Sorted and without repetitions; an edge that a clause names is not counted as virtual.
    void finish_edges(PackageCounts& counts) {
        const auto less = [](const Edge& a, const Edge& b) {
            return a.source != b.source ? a.source < b.source : a.target < b.target;
        };
        const auto make_unique = [&] {
            std::sort(graph_.edges.begin(), graph_.edges.end(), less);
            graph_.edges.erase(std::unique(graph_.edges.begin(), graph_.edges.end()),
                               graph_.edges.end());
        };
        make_unique();
        counts.direct_edges = graph_.edges.size();
        graph_.edges.insert(graph_.edges.end(), through_virtual_.begin(), through_virtual_.end());
        make_unique();
        counts.virtual_edges = graph_.edges.size() - counts.direct_edges;
    }

    LineReader& input_;
    bool skip_;
    Graph graph_;
    Names names_;
    Malformed malformed_;
    Stanza stanza_;
    Field* current_ = nullptr;  // of stanza_; null: a field that the graph does not need
    bool any_field_ = false;
    std::vector<std::pair<Vertex, Field>> relations_;
    std::unordered_map<std::string, std::vector<Vertex>> providers_;
    std::vector<Edge> through_virtual_;
};

}  // namespace

Outcome<Graph> read_packages(LineReader& input, bool skip_malformed, PackageCounts* counts) {
    PackageCounts local;
    return Reader(input, skip_malformed).read(counts ? *counts : local);
}

}  // namespace graph
