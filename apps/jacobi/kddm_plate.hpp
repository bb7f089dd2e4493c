// SPDX-License-Identifier: BSD-3-Clause
// KddmPlate: the plate as objects of KDDM sets, and the time step on them. Each rank steps the
// blocks it owns; what crosses from block to block are edges, small objects of their own. No name
// of an object depends on the ranks: which one owns a block is told by a table of homes.
// Construction, start(), resume() and step() are collective. One task only. Throws ssi::Error.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "grid/layout.hpp"
#include "grid/tile.hpp"
#include "ssi/ssi.hpp"

namespace jacobi {

class KddmPlate {
public:
    // Placement of sets whose objects are blocks, or parts of blocks: {part, block}.
    static constexpr const char* at_owners = "jacobi.owners";

    // Opens the sets, without an object in them.
    KddmPlate(ssi::Session& session, const Layout& layout, double speed);
    // Makes the plate as it is at the start,
    void start();
    // or the edges of blocks that are there already, as they were after this many steps.
    void resume(std::uint64_t steps);

    void step();

    const Layout& layout() const { return layout_; }
    ssi::Session& session() const { return session_; }
    // What this rank owns, in no particular order.
    std::span<const std::uint32_t> owned() const { return owned_; }
    // The newest plane of any block, row by row: (row of the plate, its first column, cells).
    using RowReader =
        std::function<void(std::int64_t row, std::int64_t col, std::span<const double> cells)>;
    void read(std::uint32_t block, const RowReader& reader);
    // Of the whole plate; collective.
    std::uint64_t digest();
    double change();   // the largest of any cell in the last step

    ssi::kddm::RawSet& blocks() { return blocks_; }
    ssi::kddm::RawSet& edges() { return edges_; }

private:
    void find_borders();
    Tile tile_of(std::uint32_t block, std::span<double> memory) const;
    void start(std::uint32_t block);
    void ask_ahead();
    void step(std::uint32_t block);
    void take_edges(std::uint32_t block, const Tile& tile);
    void step_rows(std::uint32_t block, const Tile& tile);
    void keep_columns(const Tile& tile, Plane plane);
    void give_edges(std::uint32_t block, const Tile& tile, Plane plane);

    ssi::Session& session_;
    Layout layout_;
    double speed_;
    ssi::kddm::RawSet blocks_;
    ssi::kddm::RawSet edges_;
    std::vector<std::uint32_t> owned_;   // those without neighbours on other ranks first
    struct Edge {
        std::uint32_t block;
        Side side;
    };
    std::vector<Edge> wanted_, given_;   // between ranks
    std::vector<double> west_in_, east_in_, west_out_, east_out_;   // columns of the block at work
    Plane plane_ = 0;
};

}  // namespace jacobi
