// SPDX-License-Identifier: BSD-3-Clause
// ReadOut: the values of a cut on one node while they are handed out: what was kept because it has
// changed or left since, writers that wait as there was no room to keep theirs, and how far the
// walk over the other objects has come. Every object of the cut goes one of these ways, once: the
// generation in its pin word says whether it has gone it, and changes under its pin or with none.
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "set_state.hpp"
#include "ssi/kddm/cut.hpp"

namespace ssi::kddm {

class ReadOut final : public Keepsakes {
public:
    explicit ReadOut(Engine& engine) : engine_(engine) {}
    ~ReadOut() override { forget(); }

    void begin(std::vector<SetState*> sets, std::uint64_t generation, std::uint64_t most_bytes);
    using Visitor = std::function<void(const CutObject&)>;
    bool next(const Visitor& visit);
    void end();

    // Keepsakes: what leaves needs no copy, as nobody writes to it any more.
    void keep(Entry& entry) override;
    // By whoever has the write pin. With `may_wait` it waits, when there is no room, until the
    // value has been handed out.
    void keep_written(SetState& set, Entry& entry, bool may_wait);

private:
    struct Kept {
        SetId set;
        ObjectId id;
        std::uint64_t version;
        Body body;
    };
    // On the stack of a task that has the write pin.
    struct Writer {
        SetId set;
        ObjectId id;
        std::uint64_t version;
        std::span<const std::byte> bytes;
        Writer* next = nullptr;
        sys::WaitCell cell;
    };
    struct Name {
        SetState* set;
        ObjectId id;
    };
    struct Pinned {
        SetState* set = nullptr;
        Entry* entry = nullptr;
    };

    bool next_kept(const Visitor& visit);
    bool next_writer(const Visitor& visit);
    Pinned pin_next();
    Pinned pin_in(SetState& set);
    Pinned pin_later(bool& left);
    bool try_pin(Entry& entry, bool& busy);
    void hand_out(const Pinned& pinned, const Visitor& visit);
    void forget();

    Engine& engine_;
    std::uint64_t generation_ = 0;
    std::uint64_t most_bytes_ = 0;
    std::vector<SetState*> sets_;

    sys::Mutex walk_mutex_;             // of what follows; taken before a shard's lock
    std::size_t set_ = 0;
    std::uint32_t shard_ = 0;
    std::uint64_t slot_ = 0;
    std::uint64_t rebuilds_ = 0;        // of the shard's index, when `slot_` was true
    std::vector<Name> later_;           // a writer had them when the walk came by

    sys::Mutex kept_mutex_;             // of what follows; taken after a shard's lock
    bool open_ = false;
    std::deque<Kept> kept_;
    std::uint64_t kept_bytes_ = 0;
    Writer* writers_ = nullptr;
};

}  // namespace ssi::kddm
