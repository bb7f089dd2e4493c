// SPDX-License-Identifier: BSD-3-Clause
// Pieces: messages with many bytes, one way between two ranks. What a message says goes through a
// channel of the session; its bytes are written once, into an object at home at the sender that
// serves one message after another, and read once, out of its memory where that can be reached.
// Not collective: each end is used by one task at a time.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "collect.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/kddm/sync.hpp"

namespace ssi::ckpt {

inline constexpr std::size_t most_piece = std::size_t{1} << 20;
inline constexpr std::uint32_t pieces_under_way = 8;

struct PieceDoors {
    node::Node& node;
    kddm::Engine& engine;
    kddm::sync::Hub& hub;
};

// The channels between two ranks: messages; and the other way, which objects have been read.
std::string pieces_name(int from, int to);
std::string taken_name(int from, int to);

class PieceSender {
public:
    static Result<PieceSender> open(const PieceDoors& doors, int to);

    // Memory for the bytes of the next message, most_piece of them; waits for the receiver when too
    // many are under way. The same until the next send. peer_lost, out_of_memory.
    Result<std::span<std::byte>> room();
    // With the first `bytes` of that memory; 0: none.
    Result<void> send(std::span<const std::byte> head, std::size_t bytes = 0);
    // All have been read: goes before an end that another sender may come after.
    Result<void> settle();

private:
    Result<void> wait_taken();

    int to_ = 0;
    kddm::sync::Object* channel_ = nullptr;
    kddm::sync::Object* taken_ = nullptr;
    kddm::RawSet objects_;
    std::vector<std::uint8_t> free_;         // the last was used last: it is warm
    std::uint32_t unread_ = 0;
    std::optional<kddm::RawGuard> filling_;  // the last of `free_`
};

// A message that has come.
struct Piece {
    std::span<const std::byte> head;         // until the next one
    std::size_t bytes = 0;
};

class PieceReceiver {
public:
    static Result<PieceReceiver> open(const PieceDoors& doors, int from);

    // The next message; the bytes of the one before are gone. peer_lost, bad_message.
    Result<Piece> receive();
    // The bytes of the message that came last, once: `into` is as long.
    Result<void> read(std::span<std::byte> into);

private:
    Result<void> take();                     // tells that they have been read

    int to_ = 0;
    kddm::sync::Object* channel_ = nullptr;
    kddm::sync::Object* taken_ = nullptr;
    kddm::RawSet objects_;
    std::vector<std::byte> message_;
    std::optional<std::uint8_t> unread_;
};

}  // namespace ssi::ckpt
