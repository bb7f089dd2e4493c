// SPDX-License-Identifier: BSD-3-Clause
#include "read_ahead.hpp"

#include <algorithm>
#include <mutex>

namespace ssi::io {
namespace {

constexpr std::uint64_t first_piece = 256u << 10, most_piece = 2u << 20;
constexpr std::size_t most_pieces = 6;
// Pieces overlap by as much as a record of a file's page takes, which would else be in none whole.
constexpr std::uint64_t overlap = 72u << 10;
// What comes next may lie a little behind: several tasks read at once, not all values are wanted.
constexpr std::uint64_t nearby = 256u << 10;

}  // namespace

ReadAhead::PiecePtr ReadAhead::covering(std::uint64_t segment, std::uint64_t first,
                                        std::uint64_t end) const {
    for (const PiecePtr& piece : pieces_)
        if (piece->segment == segment && piece->first <= first && end <= piece->end) return piece;
    return nullptr;
}

ReadAhead::Stream* ReadAhead::stream_at(std::uint64_t segment, std::uint64_t first) {
    for (Stream& stream : streams_) {
        const bool begun = stream.piece_bytes > first_piece;
        const std::uint64_t before = begun ? overlap : log_block_bytes;
        if (stream.segment == segment && first > stream.first && first + before >= stream.end &&
            first <= stream.end + nearby)
            return &stream;
    }
    return nullptr;
}

// With the lock. In the place of the piece that was not used for longest.
ReadAhead::PiecePtr ReadAhead::make(std::uint64_t segment, std::uint64_t first,
                                    std::uint64_t end) {
    while (pieces_.size() >= most_pieces) {
        const auto oldest = std::ranges::min_element(
            pieces_, {}, [](const PiecePtr& p) { return p->loading ? UINT64_MAX : p->last_use; });
        if ((*oldest)->loading) return nullptr;
        pieces_.erase(oldest);
    }
    auto piece = std::make_shared<Piece>();
    piece->segment = segment;
    piece->first = first;
    piece->end = end;
    piece->last_use = ++uses_;
    pieces_.push_back(piece);
    return piece;
}

void ReadAhead::fill(const PiecePtr& piece, const Load& load) {
    const std::uint64_t length = piece->end - piece->first;
    piece->bytes.reserve(length);
    const bool read = load(piece->first, piece->bytes.first(length));
    std::lock_guard lock(mutex_);
    piece->loading = false;
    piece->failed = !read;
    if (!read) std::erase(pieces_, piece);
    loaded_.notify_all();
}

ReadAhead::PiecePtr ReadAhead::find(std::uint64_t segment, std::uint64_t first, std::uint64_t end,
                                    std::uint64_t segment_end, const Load& load) {
    std::unique_lock lock(mutex_);
    PiecePtr mine = covering(segment, first, end), fresh;
    Stream* stream = nullptr;
    if (mine) {
        for (Stream& one : streams_)
            if (one.segment == segment && one.end == mine->end) stream = &one;
        // Somebody reads it just now: then the next meanwhile.
        const std::uint64_t next = mine->end - std::min(mine->end, overlap);
        if (mine->loading && stream && mine->end < segment_end && next > mine->first &&
            !covering(segment, next, mine->end + log_block_bytes))
            fresh = make(segment, next, std::min(segment_end, next + stream->piece_bytes));
    } else if (stream = stream_at(segment, first); !stream) {
        stream = &*std::ranges::min_element(streams_, {}, &Stream::last_use);
        *stream = {segment, first, end, first_piece, ++uses_};
        return nullptr;
    } else {
        const std::uint64_t until = std::min(segment_end, first + stream->piece_bytes);
        if (until < end) return nullptr;
        mine = fresh = make(segment, first, until);
        if (!mine) return nullptr;
    }
    mine->last_use = ++uses_;
    if (stream) {
        stream->last_use = uses_;
        stream->first = first;
    }
    if (stream && fresh) {
        stream->end = fresh->end;
        stream->piece_bytes = std::min(2 * stream->piece_bytes, most_piece);
    }
    if (fresh) {
        lock.unlock();
        fill(fresh, load);
        lock.lock();
    }
    while (mine->loading) loaded_.wait(mutex_);
    if (end + overlap >= mine->end) std::erase(pieces_, mine);   // the next has the rest
    return mine->failed ? nullptr : mine;
}

void ReadAhead::drop(const PiecePtr& piece) {
    std::lock_guard lock(mutex_);
    std::erase(pieces_, piece);
}

}  // namespace ssi::io
