// SPDX-License-Identifier: BSD-3-Clause
#include "read_out.hpp"

#include <cstring>

#include "engine_impl.hpp"

namespace ssi::kddm {

namespace {

constexpr Nanoseconds pause_for_writers = 20'000;

bool is_newest(const Entry& entry) {
    return entry.state == CacheState::owner || entry.state == CacheState::exclusive;
}

// Also when a visitor throws.
template <class Function>
struct Finally {
    Function function;
    explicit Finally(Function f) : function(std::move(f)) {}
    ~Finally() { function(); }
};

std::uint64_t writes_of(const Entry& entry) {
    return entry.version.load(std::memory_order_relaxed) & version_writes_mask;
}

}  // namespace

void ReadOut::begin(std::vector<SetState*> sets, std::uint64_t generation,
                    std::uint64_t most_bytes) {
    std::scoped_lock lock(walk_mutex_, kept_mutex_);
    sets_ = std::move(sets);
    generation_ = generation;
    most_bytes_ = most_bytes;
    set_ = shard_ = 0;
    slot_ = rebuilds_ = 0;
    later_.clear();
    kept_bytes_ = 0;
    open_ = true;
}

void ReadOut::keep(Entry& entry) {
    std::lock_guard lock(kept_mutex_);
    if (!open_) return;
    if (!entry.inline_length) engine_.impl().blocks.keep(entry.block);
    kept_.push_back({SetId(entry.set), entry.id, writes_of(entry), entry.body()});
    kept_bytes_ += kept_.back().body.bytes().size();
}

void ReadOut::keep_written(SetState& set, Entry& entry, bool may_wait) {
    const std::span<const std::byte> bytes = entry.bytes();
    Writer writer{set.id, entry.id, writes_of(entry), bytes, nullptr, {}};
    {
        std::lock_guard lock(kept_mutex_);
        if (!open_) return;
        const bool room = bytes.size() <= most_bytes_ && kept_bytes_ <= most_bytes_ - bytes.size();
        if (room || !may_wait) {
            may_wait = false;
            kept_bytes_ += bytes.size();
        } else {
            writer.next = writers_;
            writers_ = &writer;
        }
    }
    if (may_wait) return engine_.impl().waiter.wait(writer.cell);
    Blocks& blocks = engine_.impl().blocks;
    Body body = entry.body();
    if (!entry.inline_length) {
        const auto length = static_cast<std::uint32_t>(bytes.size());
        Block* copy = blocks.allocate(set.id, entry.id, length, false);
        std::memcpy(sys::bytes_of(copy), bytes.data(), length);
        body = Body(copy);
    }
    std::lock_guard lock(kept_mutex_);
    if (open_)
        kept_.push_back({set.id, entry.id, writer.version, body});
    else if (body.block())
        blocks.release(body.block());
}

bool ReadOut::next_writer(const Visitor& visit) {
    Writer* writer = nullptr;
    {
        std::lock_guard lock(kept_mutex_);
        if (!writers_) return false;
        writer = std::exchange(writers_, writers_->next);
    }
    const Finally go_on([&] { engine_.impl().waiter.notify(writer->cell); });
    visit({writer->set, writer->id, writer->version, writer->bytes, true});
    return true;
}

bool ReadOut::next_kept(const Visitor& visit) {
    Kept kept;
    {
        std::lock_guard lock(kept_mutex_);
        if (kept_.empty()) return false;
        kept = kept_.front();
        kept_.pop_front();
        kept_bytes_ -= kept.body.bytes().size();
    }
    const Finally release([&] {
        if (Block* block = kept.body.block()) engine_.impl().blocks.release(block);
    });
    visit({kept.set, kept.id, kept.version, kept.body.bytes()});
    return true;
}

// Under the shard lock. Nobody writes to what is pinned, so from then on it counts as handed out.
bool ReadOut::try_pin(Entry& entry, bool& busy) {
    if (!is_newest(entry)) return false;
    const pin::Older taken = pin::try_read_older(entry.word, generation_);
    busy = taken == pin::Older::closed;
    return taken == pin::Older::pinned;
}

// Goes on with the walk over one set; nothing when it is at its end.
ReadOut::Pinned ReadOut::pin_in(SetState& set) {
    while (shard_ <= set.shard_mask) {
        Shard& shard = set.shards[shard_];
        std::lock_guard lock(shard.mutex);
        if (shard.index.rebuilds() != rebuilds_) slot_ = 0;   // nothing stands where it stood
        rebuilds_ = shard.index.rebuilds();
        do {
            Entry* found = nullptr;
            slot_ = shard.index.walk(slot_, 1, [&](Entry& entry) {
                bool busy = false;
                if (try_pin(entry, busy)) found = &entry;
                if (busy) later_.push_back({&set, entry.id});
            });
            if (slot_ == 0) ++shard_;
            if (found) return {&set, found};
        } while (slot_ != 0);
    }
    return {};
}

ReadOut::Pinned ReadOut::pin_next() {
    std::lock_guard lock(walk_mutex_);
    for (; set_ < sets_.size(); ++set_, shard_ = 0, slot_ = 0)
        if (const Pinned pinned = pin_in(*sets_[set_]); pinned.entry) return pinned;
    return {};
}

// Of those that a writer had when the walk came by.
ReadOut::Pinned ReadOut::pin_later(bool& left) {
    std::lock_guard lock(walk_mutex_);
    Pinned pinned;
    std::erase_if(later_, [&](const Name& name) {
        if (pinned.entry) return false;
        const std::uint64_t hash = hash_object(name.set->id, name.id);
        Shard& shard = name.set->shard(hash);
        std::lock_guard shard_lock(shard.mutex);
        Entry* entry = shard.index.find(hash, name.id);
        bool busy = false;
        if (entry && try_pin(*entry, busy)) pinned = {name.set, entry};
        return !busy;
    });
    left = !later_.empty();
    return pinned;
}

void ReadOut::hand_out(const Pinned& pinned, const Visitor& visit) {
    struct Unpin {
        Engine& engine;
        const Pinned& pinned;
        ~Unpin() {
            const ObjectId id = pinned.entry->id;
            if (pin::must_run(pin::drop(pinned.entry->word, Access::read)))
                engine.impl().run_unpinned(*pinned.set, id, pinned.entry);
        }
    } unpin{engine_, pinned};
    Entry& entry = *pinned.entry;
    // The block tells its length, but need not be touched for that: it may be cold.
    const std::uint32_t fixed = pinned.set->fixed_length();
    const auto bytes = fixed != 0 && !entry.inline_length && entry.block
                           ? std::span<const std::byte>(sys::bytes_of(entry.block), fixed)
                           : entry.bytes();
    visit({pinned.set->id, entry.id, writes_of(entry), bytes, true});
}

bool ReadOut::next(const Visitor& visit) {
    for (;;) {
        if (next_writer(visit) || next_kept(visit)) return true;
        if (const Pinned pinned = pin_next(); pinned.entry) {
            hand_out(pinned, visit);
            return true;
        }
        bool left = false;
        if (const Pinned pinned = pin_later(left); pinned.entry) {
            hand_out(pinned, visit);
            return true;
        }
        if (left) {
            engine_.impl().node.doors().tasks.sleep_for(pause_for_writers);
            continue;
        }
        // What was kept before its word said so.
        std::lock_guard lock(kept_mutex_);
        if (kept_.empty() && !writers_) return false;
    }
}

void ReadOut::end() {
    {
        std::scoped_lock lock(walk_mutex_, kept_mutex_);
        if (!open_) return;
        open_ = false;
        sets_.clear();
        later_.clear();
        while (Writer* writer = writers_) {
            writers_ = writer->next;
            engine_.impl().waiter.notify(writer->cell);
        }
    }
    forget();
}

void ReadOut::forget() {
    std::lock_guard lock(kept_mutex_);
    for (const Kept& kept : kept_)
        if (Block* block = kept.body.block()) engine_.impl().blocks.release(block);
    kept_.clear();
}

}  // namespace ssi::kddm
