// SPDX-License-Identifier: BSD-3-Clause
#include "object_entries.hpp"

namespace ssi::io {
namespace {

std::uint64_t hash_of(const ObjectKey& key) { return hash_object(SetId{key.intent}, key.id); }
std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

}  // namespace

ObjectEntries::Slot* ObjectEntries::slot_of(const ObjectKey& key, std::uint64_t hash) {
    if (slots_.empty()) return nullptr;
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
        Slot& slot = slots_[i];
        if (slot.number == none) return nullptr;
        if (slot.tag == tag_of(hash) && slot.number != erased && at(slot.number).key() == key)
            return &slot;
    }
}

ObjectEntry* ObjectEntries::find(const ObjectKey& key) {
    const Slot* const slot = slot_of(key, hash_of(key));
    return slot ? &at(slot->number) : nullptr;
}

void ObjectEntries::insert(std::uint64_t hash, std::uint32_t number) {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
        Slot& slot = slots_[i];
        if (slot.number != none && slot.number != erased) continue;
        if (slot.number == none) ++filled_;
        slot = {tag_of(hash), number};
        return;
    }
}

// At most two thirds are filled, marks of what was erased included; these go here.
void ObjectEntries::grow() {
    if (!slots_.empty() && (filled_ + 1) * 3 <= slots_.size() * 2) return;
    std::size_t wanted = slots_.empty() ? 64 : slots_.size();
    if ((size_ + 1) * 3 > wanted) wanted *= 2;
    slots_.assign(wanted, Slot{});
    filled_ = 0;
    for (std::uint32_t number = 0; number < made_; ++number)
        if (const ObjectEntry& entry = at(number); entry.used) insert(hash_of(entry.key()), number);
}

ObjectEntry& ObjectEntries::find_or_add(const ObjectKey& key) {
    const std::uint64_t hash = hash_of(key);
    if (const Slot* const slot = slot_of(key, hash)) return at(slot->number);
    grow();
    std::uint32_t number = made_;
    if (!free_.empty()) {
        number = free_.back();
        free_.pop_back();
    } else {
        SSI_ASSERT(made_ < erased, "a log has at most 4 billion objects: use more volumes");
        if (made_ % block_entries == 0)
            blocks_.push_back(std::make_unique<ObjectEntry[]>(block_entries));
        ++made_;
    }
    insert(hash, number);
    ++size_;
    ObjectEntry& entry = at(number);
    entry.id = key.id;
    entry.intent = key.intent;
    entry.used = 1;
    return entry;
}

void ObjectEntries::erase(ObjectEntry& entry) {
    Slot* const slot = slot_of(entry.key(), hash_of(entry.key()));
    SSI_ASSERT(slot && &at(slot->number) == &entry, "erase takes an entry of this table");
    free_.push_back(slot->number);
    slot->number = erased;
    --size_;
    entry = ObjectEntry{};
}

}  // namespace ssi::io
