// SPDX-License-Identifier: BSD-3-Clause
// Transaction: a change of several objects, each grabbed by the caller, that is there whole after a
// crash or not at all, also where the objects are kept in several logs. When a log does not take
// it, the objects are as they were.
//
// Over several logs: the first batch holds the part of the first log and, as an intent, the parts
// of the others; then each of those gets its part together with a mark. Recovery applies what an
// intent promised to every log without the mark; a mark without intent says nothing. Once all parts
// are durable the intent is taken back, and after that the marks. docs/kdfs.md reasons why that
// suffices.
#pragma once

#include <vector>

#include "fs_core.hpp"

namespace ssi::fs {

class Transaction {
public:
    explicit Transaction(Core& core) : core_(core) {}
    // Of an object that `guard` has grabbed; the guard outlives the transaction.
    void change(std::uint32_t volume, SetId number, kddm::RawGuard& guard, Edit edit);
    // Of an object that is changed already, new or private to the caller: as it is now.
    void change_made(std::uint32_t volume, SetId number, kddm::RawGuard& guard);
    // The object becomes empty, and so ceases to be.
    void remove(std::uint32_t volume, SetId number, kddm::RawGuard& guard);
    // The log whose part comes first; else that of the first change.
    void begin_with(std::uint32_t volume) { first_ = volume; }
    // The first part is durable before any other log gets its own: where a part by itself would
    // do harm that recovery cannot tell from what was meant.
    void in_order() { in_order_ = true; }
    // What the log of the volume has is durable before this is begun, if it is of several logs: for
    // a part that is a whole value, or a removal, on top of what others changed a moment before.
    // Recovery would bring that part back without what it builds on, of which another half, in
    // whatever log, is lost.
    void after(std::uint32_t volume) { after_.add(volume); }
    Result<void> apply();

private:
    struct Change {
        std::uint32_t volume = 0;
        SetId number;
        kddm::RawGuard* guard = nullptr;
        Edit edit;
        bool remove = false;
        bool made = false;
        bool applied = false;    // `edit` now is what takes it back
    };
    static constexpr std::uint32_t none = 0xffffffff;
    Result<void> log_one(std::uint32_t volume);
    Result<void> log_here(io::ObjectLog& log);
    Result<void> log_several(std::span<const std::uint32_t> volumes);
    std::vector<std::byte> part_of(std::uint32_t volume) const;
    Result<void> finish();
    void take_back();
    void take_back_parts(const Core::OpenIntent& open, std::uint32_t failed);
    std::vector<std::byte> old_part_of(std::uint32_t volume) const;

    Core& core_;
    std::vector<Change> changes_;
    bool in_order_ = false;
    VolumeList after_;
    std::uint32_t first_ = none;
};

// The set whose intents stand in the logs: {intent's number, volume of the first part}.
inline constexpr std::string_view intent_set = "fs/intents";
inline constexpr std::string_view mark_set = "fs/marks";

// Parts as they travel and as intents keep them: whole values.
struct PartView {
    SetId number;
    ObjectId id;
    std::uint64_t version = 0;     // the object's, so that recovery knows the newest of several
    bool remove = false;
    std::span<const std::byte> value;
};
Result<std::vector<PartView>> read_part(std::span<const std::byte> bytes);
void add_part(io::LogTransaction& to, const std::vector<PartView>& part);

}  // namespace ssi::fs
