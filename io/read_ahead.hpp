// SPDX-License-Identifier: BSD-3-Clause
// ReadAhead: long pieces of a log's segment files, for whoever reads records one after another:
// values that were logged together are mostly wanted together, and a disk is far quicker with long
// reads. No cache: a piece is forgotten once it was read up to its end. What it holds is verified
// record by record by whoever uses it, so a piece may be older than the file: then it is dropped,
// and the record read by itself.
// Thread-safe; no lock is held while a piece is read.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "block_buffer.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::io {

class ReadAhead {
public:
    struct Piece {
        std::uint64_t segment = 0;
        std::uint64_t first = 0, end = 0;   // bytes of the file
        std::uint64_t last_use = 0;
        bool loading = true;
        bool failed = false;
        BlockBuffer bytes;
        std::span<const std::byte> part(std::uint64_t from, std::uint64_t until) {
            return bytes.first(end - first).subspan(from - first, until - from);
        }
    };
    using PiecePtr = std::shared_ptr<Piece>;
    // Reads bytes of the file from `place` on; false when it could not.
    using Load = std::function<bool(std::uint64_t place, std::span<std::byte> out)>;

    // A piece with [first, end), whole blocks, of a segment that ends at `segment_end`: there, or
    // being read by another task, or read now. Null when the reads up to here were not one after
    // another. While another task reads the piece this one reads the next.
    PiecePtr find(std::uint64_t segment, std::uint64_t first, std::uint64_t end,
                  std::uint64_t segment_end, const Load& load);
    void drop(const PiecePtr& piece);

private:
    struct Stream {
        std::uint64_t segment = 0;
        std::uint64_t first = 0, end = 0;   // of what was read last
        std::uint64_t piece_bytes = 0;      // of the next piece
        std::uint64_t last_use = 0;
    };
    PiecePtr covering(std::uint64_t segment, std::uint64_t first, std::uint64_t end) const;
    Stream* stream_at(std::uint64_t segment, std::uint64_t first);
    PiecePtr make(std::uint64_t segment, std::uint64_t first, std::uint64_t end);
    void fill(const PiecePtr& piece, const Load& load);   // without the lock

    sys::Mutex mutex_;
    sys::Condition loaded_;
    std::vector<PiecePtr> pieces_;
    std::array<Stream, 16> streams_{};
    std::uint64_t uses_ = 0;
};

}  // namespace ssi::io
