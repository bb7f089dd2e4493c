// SPDX-License-Identifier: BSD-3-Clause
#include "graph/edge_list.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace graph {
namespace {

constexpr std::size_t max_name_bytes = 4096;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool is_control(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

struct Fields {
    std::string_view first[2];
    std::size_t count = 0;  // all fields, also those beyond two
};

Fields split(std::string_view line) {
    Fields fields;
    std::size_t at = 0;
    while (true) {
        while (at < line.size() && is_blank(line[at])) ++at;
        if (at == line.size() || line[at] == '#') return fields;
        const std::size_t begin = at;
        while (at < line.size() && !is_blank(line[at])) ++at;
        if (fields.count < 2) fields.first[fields.count] = line.substr(begin, at - begin);
        ++fields.count;
    }
}

// What is wrong with a line that holds something, or null.
const char* fault_of(std::string_view line, const Fields& fields) {
    if (std::any_of(line.begin(), line.end(), is_control)) return "a control character";
    if (fields.count == 1) return "one name where two are needed";
    if (fields.count > 2) return "more than two names";
    if (fields.first[0].size() > max_name_bytes || fields.first[1].size() > max_name_bytes)
        return "a name of more than 4096 bytes";
    return nullptr;
}

}  // namespace

Outcome<EdgesPart> read_edges_part(LineReader& input) {
    EdgesPart part;
    Names names;
    std::string_view line;
    while (input.next(line)) {
        const Fields fields = split(line);
        if (fields.count == 0) continue;
        if (const char* fault = fault_of(line, fields)) {
            part.malformed.add(input.line_number(), fault, line);
            continue;
        }
        if (names.size() + 2 > max_vertices)
            return tl::unexpected(
                Problem{Problem::Kind::too_large,
                        fmt::format("{}: more than {} vertices", input.name(), max_vertices)});
        const Vertex source = names.number(fields.first[0]);
        part.edges.push_back({source, names.number(fields.first[1])});
    }
    if (auto closed = input.close(); !closed) return tl::unexpected(std::move(closed).error());
    part.names = names.take();
    part.lines = input.line_number();
    return part;
}

Problem no_edges(const std::string& input) {
    return {Problem::Kind::empty, fmt::format("the graph is empty: {} holds no edge", input)};
}

Outcome<Graph> read_edge_list(LineReader& input, bool skip_malformed) {
    auto part = read_edges_part(input);
    if (!part) return tl::unexpected(std::move(part).error());
    Graph graph;
    if (auto good = part->malformed.conclude(input.name(), skip_malformed, graph.notes); !good)
        return tl::unexpected(std::move(good).error());
    if (part->edges.empty()) return tl::unexpected(no_edges(input.name()));
    graph.edges = std::move(part->edges);
    graph.names = std::move(part->names);
    return graph;
}

}  // namespace graph
