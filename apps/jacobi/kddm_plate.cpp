// SPDX-License-Identifier: BSD-3-Clause
#include "kddm_plate.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "grid/digest.hpp"
#include "support/block_homes.hpp"

namespace jacobi {

using ssi::value_or_throw;
using ssi::kddm::Access;

namespace {

ssi::kddm::SetOptions placed(ssi::kddm::ObjectKind kind, std::int64_t doubles) {
    ssi::kddm::SetOptions options;
    options.kind = kind;
    options.object_bytes = static_cast<std::uint32_t>(doubles * std::int64_t{sizeof(double)});
    options.placement = KddmPlate::at_owners;
    return options;
}

ssi::kddm::RawSet open_blocks(ssi::Session& session, const Layout& layout) {
    support::place_blocks(session, KddmPlate::at_owners, layout.blocks(),
                          [&](std::uint32_t block) { return layout.owner(block); });
    return value_or_throw(
        session.raw_set("jacobi.blocks", placed(ssi::kddm::ObjectKind::variable, 0)));
}

ssi::ObjectId block_id(std::uint32_t block) { return {0, block}; }
ssi::ObjectId edge_id(std::uint32_t block, Side side, Plane plane) {
    return {static_cast<std::uint64_t>(side) * 2 + plane, block};
}

std::span<double> doubles_of(std::span<std::byte> bytes) {
    return {reinterpret_cast<double*>(bytes.data()), bytes.size() / sizeof(double)};
}
std::span<const double> doubles_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const double*>(bytes.data()), bytes.size() / sizeof(double)};
}

}  // namespace

KddmPlate::KddmPlate(ssi::Session& session, const Layout& layout, double speed)
    : session_(session),
      layout_(layout),
      speed_(speed),
      blocks_(open_blocks(session, layout)),
      edges_(value_or_throw(session.raw_set(
          "jacobi.edges", placed(ssi::kddm::ObjectKind::fixed,
                                 std::max(layout.height(), layout.width()))))),
      owned_(layout.owned(session.rank())) {
    for (auto* column : {&west_in_, &east_in_, &west_out_, &east_out_})
        column->resize(static_cast<std::size_t>(layout.height()));
    find_borders();
}

void KddmPlate::find_borders() {
    const auto foreign_neighbour = [&](std::uint32_t block, Side side) {
        const auto neighbour = layout_.neighbour(block, side);
        return neighbour && layout_.owner(*neighbour) != session_.rank() ? neighbour
                                                                         : std::nullopt;
    };
    std::stable_partition(owned_.begin(), owned_.end(), [&](std::uint32_t block) {
        return std::ranges::none_of(
            all_sides, [&](Side side) { return foreign_neighbour(block, side).has_value(); });
    });
    for (const std::uint32_t block : owned_)
        for (const Side side : all_sides)
            if (const auto neighbour = foreign_neighbour(block, side)) {
                wanted_.push_back({*neighbour, opposite(side)});
                given_.push_back({block, side});
            }
}

void KddmPlate::start() {
    plane_ = 0;
    for (const std::uint32_t block : owned_) start(block);
    session_.barrier();
}

void KddmPlate::start(std::uint32_t block) {
    auto guard = value_or_throw(blocks_.grab_new(block_id(block)));
    value_or_throw(guard.resize(sizeof(double) * Tile::doubles(layout_.rows_of(block).size(),
                                                               layout_.cols_of(block).size())));
    const Tile tile = tile_of(block, doubles_of(guard.writable()));
    tile.start(layout_.plate());
    keep_columns(tile, 0);
    give_edges(block, tile, 0);
    value_or_throw(guard.put());
}

void KddmPlate::resume(std::uint64_t steps) {
    plane_ = static_cast<Plane>(steps % 2);
    for (const std::uint32_t block : owned_) {
        auto guard = value_or_throw(blocks_.grab(block_id(block)));
        const std::span<double> cells = doubles_of(guard.writable());
        if (cells.size() != Tile::doubles(layout_.rows_of(block).size(),
                                          layout_.cols_of(block).size()))
            throw ssi::Error({.code = ssi::Errc::mismatch,
                              .text = fmt::format("block {} has {} numbers: it is of another plate",
                                                  block, cells.size())});
        const Tile tile = tile_of(block, cells);
        keep_columns(tile, plane_);
        give_edges(block, tile, plane_);
        value_or_throw(guard.put());
    }
    session_.barrier();
}

Tile KddmPlate::tile_of(std::uint32_t block, std::span<double> memory) const {
    return {memory, layout_.rows_of(block), layout_.cols_of(block)};
}

// Edges from other ranks are on their way while the inner blocks are stepped, and those that other
// ranks hold copies of are called back before they are written.
void KddmPlate::ask_ahead() {
    for (const Edge& edge : wanted_)
        value_or_throw(edges_.prefetch(edge_id(edge.block, edge.side, plane_)));
    for (const Edge& edge : given_)
        value_or_throw(
            edges_.prefetch(edge_id(edge.block, edge.side, 1 - plane_), Access::write));
}

void KddmPlate::step() {
    ask_ahead();
    for (const std::uint32_t block : owned_) step(block);
    plane_ = 1 - plane_;
    session_.barrier();
}

void KddmPlate::step(std::uint32_t block) {
    auto guard = value_or_throw(blocks_.grab(block_id(block)));
    const Tile tile = tile_of(block, doubles_of(guard.writable()));
    take_edges(block, tile);
    step_rows(block, tile);
    give_edges(block, tile, 1 - plane_);
    value_or_throw(guard.put());
}

// Rows go to the ghosts at once; columns wait for their row, whose cache line is at hand then.
void KddmPlate::take_edges(std::uint32_t block, const Tile& tile) {
    const auto take = [&](Side side, double* out, std::int64_t count) {
        const auto neighbour = layout_.neighbour(block, side);
        if (!neighbour) return;
        const auto guard =
            value_or_throw(edges_.get(edge_id(*neighbour, opposite(side), plane_)));
        std::memcpy(out, guard.bytes().data(), static_cast<std::size_t>(count) * sizeof(double));
    };
    take(Side::north, tile.row(plane_, -1), tile.width());
    take(Side::west, west_in_.data(), tile.height());
    take(Side::east, east_in_.data(), tile.height());
    take(Side::south, tile.row(plane_, tile.height()), tile.width());
}

void KddmPlate::step_rows(std::uint32_t block, const Tile& tile) {
    const bool west = layout_.neighbour(block, Side::west).has_value();
    const bool east = layout_.neighbour(block, Side::east).has_value();
    const std::int64_t last = tile.width() - 1;
    for (std::int64_t r = 0; r < tile.height(); ++r) {
        const auto i = static_cast<std::size_t>(r);
        double* here = tile.row(plane_, r);
        if (west) here[-1] = west_in_[i];
        if (east) here[last + 1] = east_in_[i];
        tile.step(plane_, r, r + 1, speed_);
        const double* next = tile.row(1 - plane_, r);
        west_out_[i] = next[0];
        east_out_[i] = next[last];
    }
}

void KddmPlate::keep_columns(const Tile& tile, Plane plane) {
    for (std::int64_t r = 0; r < tile.height(); ++r) {
        west_out_[static_cast<std::size_t>(r)] = tile.row(plane, r)[0];
        east_out_[static_cast<std::size_t>(r)] = tile.row(plane, r)[tile.width() - 1];
    }
}

void KddmPlate::give_edges(std::uint32_t block, const Tile& tile, Plane plane) {
    const auto give = [&](Side side, const double* from, std::int64_t count) {
        if (!layout_.neighbour(block, side)) return;
        auto guard = value_or_throw(edges_.grab(edge_id(block, side, plane)));
        std::memcpy(guard.writable().data(), from,
                    static_cast<std::size_t>(count) * sizeof(double));
        value_or_throw(guard.put());
    };
    give(Side::north, tile.row(plane, 0), tile.width());
    give(Side::west, west_out_.data(), tile.height());
    give(Side::east, east_out_.data(), tile.height());
    give(Side::south, tile.row(plane, tile.height() - 1), tile.width());
}

void KddmPlate::read(std::uint32_t block, const RowReader& reader) {
    const auto guard = value_or_throw(blocks_.get(block_id(block)));
    const auto cells = doubles_of(guard.bytes());
    const Range rows = layout_.rows_of(block), cols = layout_.cols_of(block);
    // A tile does not write by itself.
    const Tile tile = tile_of(block, {const_cast<double*>(cells.data()), cells.size()});
    for (std::int64_t r = 0; r < rows.size(); ++r)
        reader(rows.begin + r, cols.begin, tile.cells(plane_, r));
}

std::uint64_t KddmPlate::digest() {
    std::uint64_t sum = 0;
    for (const std::uint32_t block : owned_)
        read(block, [&](std::int64_t row, std::int64_t col, std::span<const double> cells) {
            sum += digest_of(layout_.plate(), row, col, cells);
        });
    return session_.reduce(sum, ssi::Reduce::sum);
}

double KddmPlate::change() {
    double largest = 0;
    for (const std::uint32_t block : owned_) {
        auto guard = value_or_throw(blocks_.grab(block_id(block)));
        const Tile tile = tile_of(block, doubles_of(guard.writable()));
        for (std::int64_t r = 0; r < tile.height(); ++r)
            largest = std::max(largest, change_of(tile.cells(0, r), tile.cells(1, r)));
    }
    return session_.reduce(largest, ssi::Reduce::max);
}

}  // namespace jacobi
