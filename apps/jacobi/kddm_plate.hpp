// SPDX-License-Identifier: BSD-3-Clause
// KddmPlate: the plate as objects of KDDM sets, and the time step on them. Each rank steps the
// blocks it owns; what crosses from block to block are edges, small objects of their own.
// Construction and step() are collective. One task only. Throws ssi::Error.
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
    // Makes the plate as it is at the start.
    KddmPlate(ssi::Session& session, const Layout& layout, double speed);

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
    ssi::ObjectId block_id(std::uint32_t block) const;
    ssi::ObjectId edge_id(std::uint32_t block, Side side, Plane plane) const;
    Tile tile_of(std::uint32_t block, std::span<double> memory) const;
    void start(std::uint32_t block);
    void ask_ahead();
    void step(std::uint32_t block);
    void take_edges(std::uint32_t block, const Tile& tile);
    void step_rows(std::uint32_t block, const Tile& tile);
    void give_edges(std::uint32_t block, const Tile& tile, Plane plane);

    ssi::Session& session_;
    Layout layout_;
    double speed_;
    ssi::kddm::RawSet blocks_;
    ssi::kddm::RawSet edges_;
    std::vector<std::uint32_t> owned_;   // those without neighbours on other ranks first
    std::vector<ssi::ObjectId> wanted_, given_;   // edges between ranks, of plane 0
    std::vector<double> west_in_, east_in_, west_out_, east_out_;   // columns of the block at work
    Plane plane_ = 0;
};

}  // namespace jacobi
