// SPDX-License-Identifier: BSD-3-Clause
// The linker of sets that are kept on volumes: each object in the log of its slot's volume, which
// is this node's, as linkers are asked at home. A write-back is in the log when it returns, and
// durable when sync does: many are written together.
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "volumes_state.hpp"

namespace ssi::io {
namespace {

class LogLinker final : public kddm::Linker {
public:
    LogLinker(std::shared_ptr<Volumes::State> state, SetId number, KeptPlace place)
        : state_(std::move(state)), number_(number), place_(place) {}

    Result<std::size_t> fetch(kddm::ObjectView& object) override {
        auto use = state_->use();
        if (!use) return tl::unexpected<Failure>(std::move(use).error());
        auto log = state_->log_of(object.id(), place_);
        if (!log) return tl::unexpected<Failure>(std::move(log).error());
        auto value = (*log)->get(number_, object.id());
        if (!value && value.error().code == Errc::not_found) return none;
        if (!value) return tl::unexpected<Failure>(std::move(value).error());
        SSI_TRY(object.resize_for_overwrite(value->bytes.size()));
        std::ranges::copy(value->bytes, object.bytes().begin());
        return value->bytes.size();
    }
    bool surely_none(ObjectId id) override {
        auto use = state_->use();
        if (!use) return false;
        auto log = state_->log_of(id, place_);
        return log && !(*log)->contains(number_, id);
    }
    Result<void> write_back(ObjectId id, std::span<const std::byte> bytes) override {
        LogTransaction change;
        change.put(number_, id, bytes);
        return apply(id, change);
    }
    Result<void> sync() override { return state_->sync(place_.where); }
    Result<void> remove(ObjectId id) override {
        LogTransaction change;
        change.remove(number_, id);
        return apply(id, change);
    }
    // The set is gone: this node's part of it, and what describes it.
    Result<void> destroy() override {
        auto use = state_->use();
        if (!use) return tl::unexpected<Failure>(std::move(use).error());
        LogTransaction change;
        change.remove_set(number_);
        change.remove(catalogue, ObjectId(number_.value));
        SSI_TRY(state_->each_log(place_.where, [&](ObjectLog& log) -> Result<void> {
            if (auto applied = log.apply(change); !applied)
                return tl::unexpected<Failure>(std::move(applied).error());
            return {};
        }));
        return state_->sync(place_.where);
    }

private:
    Result<void> apply(ObjectId id, const LogTransaction& change) {
        auto use = state_->use();
        if (!use) return tl::unexpected<Failure>(std::move(use).error());
        auto log = state_->log_of(id, place_);
        if (!log) return tl::unexpected<Failure>(std::move(log).error());
        if (auto applied = (*log)->apply(change); !applied)
            return tl::unexpected<Failure>(std::move(applied).error());
        return {};
    }

    const std::shared_ptr<Volumes::State> state_;
    const SetId number_;
    const KeptPlace place_;
};

}  // namespace

Result<ObjectLog*> Volumes::State::log_of(ObjectId id, const KeptPlace& place) const {
    const auto slots = static_cast<std::uint32_t>(map.slots.size());
    const SlotId slot = place.slot_of ? place.slot_of(SetId(0), id, slots)
                                      : kddm::stable_slot(id, slots);
    const std::uint16_t volume = map.slots[slot.value & (slots - 1)];
    if (volume < logs.size())
        if (ObjectLog* log = logs[volume][log_index(place.where)]) return log;
    return fail(Errc::internal,
                fmt::format("object {}:{} is of volume {}, which is not mounted here", id.hi, id.lo,
                            volume));
}

Volumes::State::Use::~Use() {
    if (!state_) return;
    std::lock_guard lock(state_->mutex);
    if (--state_->uses == 0) state_->unused.notify_all();
}

Result<Volumes::State::Use> Volumes::State::use() {
    std::lock_guard lock(mutex);
    if (closed) return fail(Errc::cancelled, "the volumes were closed");
    ++uses;
    return Use(*this);
}

void Volumes::State::end_uses() {
    std::lock_guard lock(mutex);
    closed = true;
    while (uses != 0) unused.wait(mutex);
}

Result<void> Volumes::State::sync(KeptIn where) {
    auto used = use();
    if (!used) return tl::unexpected<Failure>(std::move(used).error());
    Result<void> result;
    start_commits(where);
    (void)each_log(where, [&](ObjectLog& log) -> Result<void> {
        auto done = log.commit_all();
        if (result) result = std::move(done);
        return {};
    });
    return result;
}

// With one there is nothing to gain: whoever waits for it writes himself.
void Volumes::State::start_commits(KeptIn where) {
    if (mine.size() < 2) return;
    (void)each_log(where, [](ObjectLog& log) -> Result<void> {
        log.start_commit();
        return {};
    });
}

SetId kept_number(std::string_view name) {
    const auto hash = static_cast<std::uint32_t>(XXH3_64bits(name.data(), name.size()));
    return SetId(hash == catalogue.value ? 1 : hash);
}

std::shared_ptr<kddm::Linker> make_log_linker(std::shared_ptr<Volumes::State> state, SetId number,
                                              KeptPlace place) {
    return std::make_shared<LogLinker>(std::move(state), number, place);
}

}  // namespace ssi::io
