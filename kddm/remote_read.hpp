// SPDX-License-Identifier: BSD-3-Clause
// RemoteRead: a one-sided read by gets of the home's memory (RMA): the seqlock of snapshot.hpp
// without a processor that orders its loads. One get has no order within, so what must come after
// something else is a get of its own, started when the other has completed:
//
//   1 header    the version; the name, and where the bytes are, both to be confirmed
//   2 bytes     (after the block's header, where only that tells how many there are), and, in any
//               order with them, the header again: it must name the object and the same place
//   3 word      open, or the bytes may be mixed
//   4 version   the same as in 1
//
// docs/decisions/0013-reads-over-rma.md reasons why it takes all that. Lives with the task that
// waits for it; runs in polls, from one completion to the next.
#pragma once

#include <cstdint>

#include "entry.hpp"
#include "snapshot.hpp"
#include "ssi/net/transport.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::kddm {

// The setting kddm.read_way.
enum class ReadWay : std::uint8_t { automatic, mapped, rma, message };

class RemoteRead {
public:
    struct Options {
        // Of all objects of the set; 0: each has its own, which its block tells.
        std::uint32_t fixed_length = 0;
        bool verify = true;              // false: a planted bug
    };
    // More bytes than this are left to a message, which takes them from the other node's caches
    // without looking at each word twice.
    static constexpr std::uint32_t most_bytes = 1u << 20;

    // Notifies `cell` when it has ended, from this call or from a poll.
    void start(net::Transport& transport, sys::Waiter& waiter, sys::WaitCell& cell, ReadJob& job,
               NodeId home, std::uint64_t entry, Options options);
    // Until it has ended, the job is nobody else's; the object can still be asked for here.
    ObjectId id() const { return wish_.id; }
    bool started() const { return transport_ != nullptr; }
    void reset() { transport_ = nullptr; }
    // When it has ended. unknown: it could not be read this way.
    Look seen() const { return seen_; }

private:
    enum class Step : std::uint8_t { header, length, bytes, word, version };
    static constexpr int most_tries = 4;

    // Where the bytes are.
    struct Place {
        std::uint8_t inline_length = 0;      // of an object in its entry
        std::uint64_t block = 0;             // of any other
        bool operator==(const Place&) const = default;
    };
    struct Part : net::Get {
        RemoteRead* owner = nullptr;
    };

    static void on_done(net::Get& get, Errc outcome);
    void post(Part& part, std::uint64_t at, std::span<std::byte> to);
    void fetch(Step step, std::uint64_t at, std::size_t offset, std::size_t bytes);
    void took();
    void took_header();
    void fetch_bytes(std::uint32_t length);
    void took_bytes();
    void took_word();
    void took_version();
    void look_again(Look seen);
    void end(Look seen);
    bool named() const;
    Place place() const;
    template <class T>
    T field(std::size_t offset) const {
        T value;
        std::memcpy(&value, header_ + offset, sizeof value);
        return value;
    }

    net::Transport* transport_ = nullptr;
    Part first_, second_;
    int missing_ = 0;                    // of these two
    bool failed_ = false;
    sys::Waiter* waiter_ = nullptr;
    sys::WaitCell* cell_ = nullptr;
    ReadJob* job_ = nullptr;
    NodeId home_;
    std::uint64_t entry_ = 0;            // address in the home
    Options options_;
    Step step_ = Step::header;
    Look seen_ = Look::unknown;
    bool inside_ = true;                 // the range lies in the object
    int tries_ = 0;
    std::uint64_t version_ = 0;
    Place place_;
    Reading wish_;                       // as it was asked for
    Reading reading_;                    // as it is being answered
    alignas(16) std::byte header_[sizeof(Entry)];
};
static_assert(sizeof(Block) <= sizeof(Entry));

}  // namespace ssi::kddm
