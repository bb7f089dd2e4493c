// SPDX-License-Identifier: BSD-3-Clause
#include "kdfs_input.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "graph/edge_list.hpp"
#include "graph/packages.hpp"
#include "graph/parts.hpp"
#include "ssi/io/file_system.hpp"
#include "support/text.hpp"
#include "support/volume_names.hpp"

namespace pagerank {
namespace {

using graph::Edge;
using graph::Edges;
using graph::Malformed;
using graph::Outcome;
using graph::Problem;
using graph::Vertex;

// Values and texts one after the other, for another rank of the same program.
class Packer {
public:
    void number(std::uint64_t value) { raw(&value, sizeof value); }
    void text(std::string_view text) {
        number(text.size());
        raw(text.data(), text.size());
    }
    std::vector<std::byte> take() { return std::move(bytes_); }

private:
    void raw(const void* from, std::size_t length) {
        const auto* first = static_cast<const std::byte*>(from);
        bytes_.insert(bytes_.end(), first, first + length);
    }
    std::vector<std::byte> bytes_;
};

class Unpacker {
public:
    explicit Unpacker(std::span<const std::byte> bytes) : bytes_(bytes) {}
    std::uint64_t number() {
        std::uint64_t value = 0;
        std::memcpy(&value, bytes_.data(), sizeof value);
        bytes_ = bytes_.subspan(sizeof value);
        return value;
    }
    std::string text() {
        const auto length = static_cast<std::size_t>(number());
        std::string text(reinterpret_cast<const char*>(bytes_.data()), length);
        bytes_ = bytes_.subspan(length);
        return text;
    }

private:
    std::span<const std::byte> bytes_;
};

// What every rank gave, in the order of ranks, at every rank.
std::vector<std::vector<std::byte>> exchange(ssi::Session& session, std::vector<std::byte> mine) {
    std::vector<std::vector<std::byte>> all(static_cast<std::size_t>(session.size()));
    all[static_cast<std::size_t>(session.rank())] = std::move(mine);
    for (int rank = 0; rank < session.size(); ++rank)
        session.broadcast(rank, all[static_cast<std::size_t>(rank)]);
    return all;
}

// The problem of the first rank that has one, on every rank.
std::optional<Problem> first_problem(ssi::Session& session, std::optional<Problem> mine) {
    const int speaker = session.reduce(mine ? session.rank() : session.size(), ssi::Reduce::min);
    if (speaker == session.size()) return std::nullopt;
    std::vector<std::byte> bytes;
    if (session.rank() == speaker) {
        Packer out;
        out.number(static_cast<std::uint64_t>(mine->kind));
        out.text(mine->text);
        bytes = out.take();
    }
    session.broadcast(speaker, bytes);
    Unpacker in(bytes);
    const auto kind = static_cast<Problem::Kind>(in.number());
    return Problem{kind, in.text()};
}
template <class T>
std::optional<Problem> problem_of(const Outcome<T>& outcome) {
    return outcome ? std::nullopt : std::optional<Problem>(outcome.error());
}

Problem problem_of(const std::string& name, const ssi::Failure& failure) {
    return {failure.sys_errno == ENOENT ? Problem::Kind::not_found : Problem::Kind::unreadable,
            fmt::format("cannot read {}: {}", name, failure.to_string())};
}

class Input {
public:
    Input(ssi::Session& session, const cli::Options& options, support::Progress& progress)
        : session_(session), options_(options), progress_(progress) {
        text_.name = options.path;
    }

    Outcome<cli::Source> read(ssi::fs::FileSystem& system) {
        auto opened = open(system);
        if (auto problem = first_problem(session_, problem_of(opened)))
            return tl::unexpected(*problem);
        const auto unit = options_.input == cli::InputKind::packages ? graph::Unit::stanza
                                                                     : graph::Unit::line;
        auto part = graph::part_of(text_, unit, session_.rank(), session_.size());
        if (auto problem = first_problem(session_, problem_of(part)))
            return tl::unexpected(*problem);
        part_ = *part;
        auto graph = unit == graph::Unit::stanza ? packages() : edge_list();
        if (!graph) return tl::unexpected(graph.error());
        const std::uint64_t mine = part_.end - part_.begin;
        const std::uint64_t least = session_.reduce(mine, ssi::Reduce::min);
        const std::uint64_t most = session_.reduce(mine, ssi::Reduce::max);
        graph->notes.push_back(fmt::format(
            "each of {} ranks read its own part in kDFS, {} to {}", session_.size(),
            support::bytes_text(static_cast<double>(least)),
            support::bytes_text(static_cast<double>(most))));
        return source_of(std::move(*graph));
    }

private:
    Outcome<void> open(ssi::fs::FileSystem& system) {
        const std::string path = options_.path.substr(options_.path.find(':') + 1);
        auto file = system.open(path, O_RDONLY);
        if (!file) return tl::unexpected(problem_of(text_.name, file.error()));
        file_ = std::move(*file);
        const auto of = file_.stat();
        if (!of) return tl::unexpected(problem_of(text_.name, of.error()));
        if (of->is_directory())
            return tl::unexpected(Problem{Problem::Kind::unreadable,
                                          fmt::format("cannot read {}: it is a directory",
                                                      text_.name)});
        text_.size = of->size;
        text_.read = [this](std::span<char> out, std::uint64_t at) -> Outcome<std::size_t> {
            const auto got = file_.pread(std::as_writable_bytes(out), at);
            if (!got) return tl::unexpected(problem_of(text_.name, got.error()));
            if (part_.end > part_.begin) show(at + *got);
            return *got;
        };
        return {};
    }

    void show(std::uint64_t at) {
        progress_.update([&] {
            const double whole = static_cast<double>(part_.end - part_.begin);
            return fmt::format("reading {}: {} of {} of its part by rank 0", text_.name,
                               support::bytes_text(static_cast<double>(at - part_.begin)),
                               support::bytes_text(whole));
        });
    }

    Outcome<graph::Graph> packages() {
        auto lines = graph::lines_of(text_, part_);
        auto part = graph::read_packages_part(lines);
        if (auto problem = first_problem(session_, problem_of(part)))
            return tl::unexpected(*problem);
        Packer out;
        pack(out, part->lines, part->names);
        out.number(part->provides.size());
        for (const auto& [name, package] : part->provides) {
            out.text(name);
            out.number(package);
        }
        graph::PackageDirectory directory;
        std::vector<Vertex> numbers, border{0};   // border[r]: the first that rank r names first
        std::uint64_t line = 0;
        const auto all = exchange(session_, out.take());
        for (int rank = 0; rank < session_.size(); ++rank) {
            Unpacker in(all[static_cast<std::size_t>(rank)]);
            const std::uint64_t count = in.number();
            const auto names = unpack_names(in);
            std::vector<std::pair<std::string, Vertex>> provides(in.number());
            for (auto& [name, package] : provides) {
                name = in.text();
                package = static_cast<Vertex>(in.number());
            }
            auto theirs = directory.add(names, provides);
            border.push_back(directory.size());
            if (rank == session_.rank()) numbers = std::move(theirs);
            if (rank < session_.rank()) line += count;
        }
        auto edges = graph::resolve(*part, numbers, directory);
        graph::Graph graph;
        if (auto problem = malformed(part->malformed, line, graph.notes))
            return tl::unexpected(*problem);
        if (directory.size() == 0) return tl::unexpected(graph::no_packages(text_.name));
        const auto rank = static_cast<std::size_t>(session_.rank());
        settle(edges.direct, border[rank], border[rank + 1]);
        settle(edges.through_virtual, border[rank], border[rank + 1]);
        graph::PackageCounts mine;
        graph.edges = edges.finish(mine);
        graph::PackageCounts counts;
        counts.direct_edges = session_.reduce(mine.direct_edges, ssi::Reduce::sum);
        counts.virtual_edges = session_.reduce(mine.virtual_edges, ssi::Reduce::sum);
        counts.unsatisfied = session_.reduce(mine.unsatisfied, ssi::Reduce::sum);
        graph.names = directory.take_names();
        graph.notes.push_back(graph::describe(graph.vertices(), counts));
        return graph;
    }

    Outcome<graph::Graph> edge_list() {
        auto lines = graph::lines_of(text_, part_);
        auto part = graph::read_edges_part(lines);
        if (auto problem = first_problem(session_, problem_of(part)))
            return tl::unexpected(*problem);
        Packer out;
        pack(out, part->lines, part->names);
        graph::Names names;
        std::vector<Vertex> numbers;
        std::uint64_t line = 0;
        const auto all = exchange(session_, out.take());
        for (int rank = 0; rank < session_.size(); ++rank) {
            Unpacker in(all[static_cast<std::size_t>(rank)]);
            const std::uint64_t count = in.number();
            if (rank < session_.rank()) line += count;
            for (const std::string& name : unpack_names(in)) {
                const Vertex number = names.number(name);
                if (rank == session_.rank()) numbers.push_back(number);
            }
        }
        graph::Graph graph;
        if (auto problem = malformed(part->malformed, line, graph.notes))
            return tl::unexpected(*problem);
        if (names.size() > graph::max_vertices)
            return tl::unexpected(Problem{Problem::Kind::too_large,
                                          fmt::format("{}: more than {} vertices", text_.name,
                                                      graph::max_vertices)});
        if (names.size() == 0) return tl::unexpected(graph::no_edges(text_.name));
        graph.edges = std::move(part->edges);
        for (Edge& edge : graph.edges)
            edge = {numbers[edge.source], numbers[edge.target]};
        graph.names = names.take();
        return graph;
    }

    static void pack(Packer& out, std::uint64_t lines, const std::vector<std::string>& names) {
        out.number(lines);
        out.number(names.size());
        for (const std::string& name : names) out.text(name);
    }
    static std::vector<std::string> unpack_names(Unpacker& in) {
        std::vector<std::string> names(in.number());
        for (std::string& name : names) name = in.text();
        return names;
    }

    // What all ranks found malformed, as one reader of the whole would say it. `lines`: before
    // this rank's part.
    std::optional<Problem> malformed(const Malformed& mine, std::uint64_t lines,
                                     std::vector<std::string>& notes) {
        if (session_.reduce(mine.count(), ssi::Reduce::sum) == 0) return std::nullopt;
        Packer out;
        out.number(mine.count());
        out.number(mine.first().size());
        for (const auto& line : mine.first()) {
            out.number(lines + line.number);
            out.text(line.text);
        }
        Malformed all;
        for (const auto& bytes : exchange(session_, out.take())) {
            Unpacker in(bytes);
            const std::uint64_t count = in.number();
            std::vector<Malformed::Line> first(in.number());
            for (auto& line : first) {
                line.number = in.number();
                line.text = in.text();
            }
            all.add(count, std::move(first));
        }
        return problem_of(all.conclude(text_.name, options_.skip_malformed, notes));
    }

    // A package that several parts name belongs to the first: only there its edges can be told
    // from their repetitions. [first, end): this rank's.
    void settle(Edges& edges, Vertex first, Vertex end) {
        const auto is_mine = [&](const Edge& edge) {
            return edge.source >= first && edge.source < end;
        };
        const auto others = std::ranges::stable_partition(edges, is_mine);
        Packer out;
        out.number(others.size());
        for (const Edge& edge : others)
            out.number(std::uint64_t{edge.source} << 32 | edge.target);
        edges.erase(others.begin(), others.end());
        for (const auto& bytes : exchange(session_, out.take())) {
            Unpacker in(bytes);
            for (std::uint64_t left = in.number(); left > 0; --left) {
                const std::uint64_t both = in.number();
                const Edge edge{static_cast<Vertex>(both >> 32), static_cast<Vertex>(both)};
                if (is_mine(edge)) edges.push_back(edge);
            }
        }
    }

    cli::Source source_of(graph::Graph graph) {
        const Vertex vertices = graph.vertices();
        const std::uint64_t count = graph.edges.size();
        const std::uint64_t edges = session_.reduce(count, ssi::Reduce::sum);
        Edges whole;
        if (options_.serial || options_.verify) {
            Edges padded = graph.edges;
            padded.resize(session_.reduce(count, ssi::Reduce::max));
            const auto counts = session_.gather(0, std::span(&count, 1));
            const auto all = session_.gather(0, std::span<const Edge>(padded));
            for (std::size_t rank = 0; rank < counts.size(); ++rank) {
                const auto begin = all.begin() + static_cast<std::ptrdiff_t>(rank * padded.size());
                whole.insert(whole.end(), begin,
                             begin + static_cast<std::ptrdiff_t>(counts[rank]));
            }
        }
        auto source = cli::Source::of_slice(std::move(graph), text_.name);
        source.set_size(vertices, edges);
        source.set_whole(std::move(whole));
        return source;
    }

    ssi::Session& session_;
    const cli::Options& options_;
    support::Progress& progress_;
    ssi::fs::File file_;
    graph::SharedText text_;
    graph::Part part_;
};

}  // namespace

Outcome<cli::Source> read_from_kdfs(ssi::Session& session, const cli::Options& options,
                                    support::Progress& progress) {
    progress.stage(fmt::format("reading {}, each rank its own part", options.path));
    ssi::fs::Options mounting;
    mounting.volumes.directories =
        support::volumes_of(options.volumes, session.rank(), session.size(), false);
    const std::uint64_t volumes = mounting.volumes.directories.size();
    if (session.reduce(volumes, ssi::Reduce::sum) == 0)
        return tl::unexpected(Problem{Problem::Kind::not_found,
                                      options.volumes.front() + ": there is no such volume"});
    auto mounted = ssi::fs::FileSystem::mount(session, std::move(mounting));
    if (!mounted)   // the same on every rank
        return tl::unexpected(Problem{mounted.error().code == ssi::Errc::not_found
                                          ? Problem::Kind::not_found
                                          : Problem::Kind::unreadable,
                                      mounted.error().to_string()});
    auto source = Input(session, options, progress).read(**mounted);
    ssi::value_or_throw((*mounted)->close());
    return source;
}

}  // namespace pagerank
