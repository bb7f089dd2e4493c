// SPDX-License-Identifier: BSD-3-Clause
#include "graph/tiles.hpp"

#include <algorithm>
#include <cstring>

namespace graph {
namespace {

struct PieceHeader {
    std::uint32_t tiles;
    std::uint32_t zero;
};
struct TileHeader {
    std::uint32_t source_block;
    std::uint32_t edges;
};

}  // namespace

TileSorter::TileSorter(const Partition& partition, int rank,
                       std::span<const std::span<const Edge>> edges)
    : blocks_(partition.blocks()),
      first_block_(partition.first_block(rank)),
      end_block_(partition.end_block(rank)),
      tile_end_(static_cast<std::size_t>(end_block_ - first_block_) * blocks_ + 1) {
    const auto tile_of = [&](const Edge& edge) {
        return tile_index(partition.block_of(edge.target), partition.block_of(edge.source));
    };
    for (const auto part : edges)
        for (const Edge& edge : part) ++tile_end_[tile_of(edge) + 1];
    for (std::size_t tile = 1; tile < tile_end_.size(); ++tile)
        tile_end_[tile] += tile_end_[tile - 1];
    // Here tile_end_[t] is where tile t begins; placing an edge moves it on, to the tile's end.
    codes_.resize(tile_end_.back());
    tile_end_.pop_back();
    for (const auto part : edges)
        for (const Edge& edge : part)
            codes_[tile_end_[tile_of(edge)]++] =
                encode(partition.offset_of(edge.source), partition.offset_of(edge.target));
    std::size_t begin = 0;
    for (const std::size_t end : tile_end_) {
        std::sort(codes_.begin() + static_cast<std::ptrdiff_t>(begin),
                  codes_.begin() + static_cast<std::ptrdiff_t>(end));
        begin = end;
    }
}

std::vector<TileSorter::Piece> TileSorter::pieces(std::size_t max_bytes) const {
    std::vector<Piece> pieces;
    std::size_t at = 0;
    for (std::uint32_t target = first_block_; target < end_block_; ++target) {
        std::uint32_t number = 0;
        Piece piece{target, number, sizeof(PieceHeader), at, at, 0};
        for (std::uint32_t source = 0; source < blocks_; ++source) {
            const std::size_t end = tile_end_[tile_index(target, source)];
            while (at < end) {
                if (piece.bytes + sizeof(TileHeader) + sizeof(Code) > max_bytes) {
                    pieces.push_back(piece);
                    piece = {target, ++number, sizeof(PieceHeader), at, at, source};
                }
                const std::size_t room =
                    (max_bytes - piece.bytes - sizeof(TileHeader)) / sizeof(Code);
                const std::size_t taken = std::min(room, end - at);
                at += taken;
                piece.end_code = at;
                piece.bytes += sizeof(TileHeader) + taken * sizeof(Code);
            }
        }
        if (piece.end_code > piece.first_code) pieces.push_back(piece);
    }
    return pieces;
}

void TileSorter::write(const Piece& piece, std::span<std::byte> out) const {
    // First the tile headers, counted on the way, then the codes, which lie in order.
    PieceHeader header{0, 0};
    std::byte* to = out.data() + sizeof(PieceHeader);
    std::size_t at = piece.first_code;
    for (std::uint32_t source = piece.first_source_block; at < piece.end_code; ++source) {
        const std::size_t end =
            std::min(tile_end_[tile_index(piece.target_block, source)], piece.end_code);
        if (end == at) continue;
        const TileHeader tile{source, static_cast<std::uint32_t>(end - at)};
        std::memcpy(to, &tile, sizeof tile);
        to += sizeof tile;
        ++header.tiles;
        at = end;
    }
    std::memcpy(out.data(), &header, sizeof header);
    std::memcpy(to, &codes_[piece.first_code], (piece.end_code - piece.first_code) * sizeof(Code));
}

void TileIndex::add(std::uint32_t target_block, std::span<const std::byte> piece) {
    PieceHeader header;
    std::memcpy(&header, piece.data(), sizeof header);
    const std::byte* at = piece.data() + sizeof header;
    const auto* codes = reinterpret_cast<const Code*>(at + header.tiles * sizeof(TileHeader));
    for (std::uint32_t i = 0; i < header.tiles; ++i, at += sizeof(TileHeader)) {
        TileHeader tile;
        std::memcpy(&tile, at, sizeof tile);
        by_source_[tile.source_block].push_back({codes, tile.edges, target_block});
        codes += tile.edges;
        edges_ += tile.edges;
    }
}

}  // namespace graph
