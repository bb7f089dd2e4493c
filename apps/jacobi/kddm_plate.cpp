// SPDX-License-Identifier: BSD-3-Clause
#include "kddm_plate.hpp"

#include <algorithm>
#include <cstring>

#include "grid/digest.hpp"

namespace jacobi {

using ssi::value_or_throw;
using ssi::kddm::Access;

namespace {

ssi::kddm::SetOptions at_owner(ssi::kddm::ObjectKind kind, std::int64_t doubles) {
    ssi::kddm::SetOptions options;
    options.kind = kind;
    options.object_bytes = static_cast<std::uint32_t>(doubles * std::int64_t{sizeof(double)});
    options.placement = "high_bits";
    return options;
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
      blocks_(value_or_throw(
          session.raw_set("jacobi.blocks", at_owner(ssi::kddm::ObjectKind::variable, 0)))),
      edges_(value_or_throw(session.raw_set(
          "jacobi.edges", at_owner(ssi::kddm::ObjectKind::fixed,
                                   std::max(layout.height(), layout.width()))))),
      owned_(layout.owned(session.rank())) {
    for (auto* column : {&west_in_, &east_in_, &west_out_, &east_out_})
        column->resize(static_cast<std::size_t>(layout.height()));
    const auto is_foreign = [&](std::uint32_t block) {
        return layout_.owner(block) != session_.rank();
    };
    const auto at_border = [&](std::uint32_t block) {
        bool border = false;
        for (const Side side : all_sides) {
            const auto neighbour = layout_.neighbour(block, side);
            border |= neighbour && is_foreign(*neighbour);
        }
        return border;
    };
    std::stable_partition(owned_.begin(), owned_.end(),
                          [&](std::uint32_t block) { return !at_border(block); });
    for (const std::uint32_t block : owned_) {
        for (const Side side : all_sides) {
            const auto neighbour = layout_.neighbour(block, side);
            if (!neighbour || !is_foreign(*neighbour)) continue;
            wanted_.push_back(edge_id(*neighbour, opposite(side), 0));
            given_.push_back(edge_id(block, side, 0));
        }
        start(block);
    }
    session_.barrier();
}

ssi::ObjectId KddmPlate::block_id(std::uint32_t block) const {
    return {static_cast<std::uint64_t>(layout_.owner(block)), block};
}

ssi::ObjectId KddmPlate::edge_id(std::uint32_t block, Side side, Plane plane) const {
    return {static_cast<std::uint64_t>(layout_.owner(block)),
            (std::uint64_t{block} * 4 + static_cast<std::uint64_t>(side)) * 2 + plane};
}

Tile KddmPlate::tile_of(std::uint32_t block, std::span<double> memory) const {
    return {memory, layout_.rows_of(block), layout_.cols_of(block)};
}

void KddmPlate::start(std::uint32_t block) {
    auto guard = value_or_throw(blocks_.grab_new(block_id(block)));
    value_or_throw(guard.resize(sizeof(double) * Tile::doubles(layout_.rows_of(block).size(),
                                                               layout_.cols_of(block).size())));
    const Tile tile = tile_of(block, doubles_of(guard.writable()));
    tile.start(layout_.plate());
    for (std::int64_t r = 0; r < tile.height(); ++r) {
        west_out_[static_cast<std::size_t>(r)] = tile.row(0, r)[0];
        east_out_[static_cast<std::size_t>(r)] = tile.row(0, r)[tile.width() - 1];
    }
    give_edges(block, tile, 0);
    value_or_throw(guard.put());
}

// Edges from other ranks are on their way while the inner blocks are stepped, and those that other
// ranks hold copies of are called back before they are written.
void KddmPlate::ask_ahead() {
    for (const ssi::ObjectId id : wanted_)
        value_or_throw(edges_.prefetch({id.hi, id.lo + plane_}));
    for (const ssi::ObjectId id : given_)
        value_or_throw(edges_.prefetch({id.hi, id.lo + 1 - plane_}, Access::write));
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
