// SPDX-License-Identifier: BSD-3-Clause
#include "fs_bucket.hpp"

#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>

namespace ssi::fs {
namespace {

constexpr std::uint8_t directory_type = S_IFDIR >> 12;

std::uint64_t reversed(std::uint64_t v) {
    std::uint64_t r = __builtin_bswap64(v);
    r = (r >> 4 & 0x0f0f0f0f0f0f0f0full) | (r & 0x0f0f0f0f0f0f0f0full) << 4;
    r = (r >> 2 & 0x3333333333333333ull) | (r & 0x3333333333333333ull) << 2;
    return (r >> 1 & 0x5555555555555555ull) | (r & 0x5555555555555555ull) << 1;
}

std::uint32_t entry_bytes(std::size_t name_bytes) {
    return static_cast<std::uint32_t>((sizeof(EntryHead) + name_bytes + 7) & ~std::size_t{7});
}

// Grown by doubling, so that an insertion rarely moves the object.
std::uint32_t room_for(std::uint32_t used) {
    return std::max<std::uint32_t>(256, std::bit_ceil(used));
}

void append(std::vector<std::byte>& to, const EntryHead& head, std::string_view name) {
    const std::size_t at = to.size();
    to.resize(at + head.bytes);
    std::memcpy(to.data() + at, &head, sizeof head);
    std::memcpy(to.data() + at + sizeof head, name.data(), name.size());
}

void finish(std::vector<std::byte>& value, BucketHead head) {
    head.used = static_cast<std::uint32_t>(value.size());
    head.dead = 0;
    std::memcpy(value.data(), &head, sizeof head);
    value.resize(room_for(head.used));
}

}  // namespace

std::uint64_t name_hash(std::string_view name) { return XXH3_64bits(name.data(), name.size()); }

std::uint64_t cookie_of(std::uint64_t hash) {
    return std::min((reversed(hash) >> 1) + 1, (std::uint64_t{1} << 63) - 1);
}
std::uint64_t hash_at(std::uint64_t cookie) { return reversed((cookie - 1) << 1); }

BucketView::BucketView(std::span<const std::byte> bytes) : bytes_(bytes) {
    exists_ = bytes.size() >= bucket_entries_at;
    if (exists_)
        std::memcpy(&head_, bytes.data(), sizeof head_);
    else
        head_.used = bucket_entries_at;
}

BucketPlaces BucketView::places() const {
    BucketPlaces places{};
    if (exists_) std::memcpy(&places, bytes_.data() + sizeof(BucketHead), sizeof places);
    return places;
}

BucketKey BucketView::next_key(std::uint64_t hash, BucketKey key) const {
    const auto differ = static_cast<std::uint32_t>(low_bits(hash, head_.depth)) ^ key.index;
    const auto bit = static_cast<unsigned>(std::countr_zero(differ));
    return key_on_way(key.index | std::uint32_t{1} << bit, bit, places());
}

std::uint64_t BucketView::end_cookie(BucketKey key) const {
    if (head_.depth == 0) return 0;
    const std::uint64_t step = std::uint64_t{1} << (64 - head_.depth);
    const std::uint64_t end = reversed(key.index) + step;   // of reversed hashes
    return end == 0 ? 0 : (end >> 1) + 1;
}

bool BucketView::next(std::uint32_t at, EntryView& entry) const {
    const std::size_t used = std::min<std::size_t>(head_.used, bytes_.size());
    if (at + sizeof(EntryHead) > used) return false;
    std::memcpy(&entry.head, bytes_.data() + at, sizeof(EntryHead));
    if (entry.head.bytes < sizeof(EntryHead) + entry.head.name_bytes ||
        entry.head.bytes > used - at)
        return false;
    entry.name = {reinterpret_cast<const char*>(bytes_.data()) + at + sizeof(EntryHead),
                  entry.head.name_bytes};
    entry.offset = at;
    return true;
}

bool BucketView::valid() const {
    if (bytes_.empty()) return true;
    if (!exists_ || head_.format != 1 || head_.used > bytes_.size() ||
        head_.used < bucket_entries_at || head_.depth > most_depth)
        return false;
    std::uint32_t at = bucket_entries_at, entries = 0;
    EntryView entry;
    for (; next(at, entry); at += entry.head.bytes)
        if (entry.head.inode != 0) ++entries;
    return at == head_.used && entries == head_.entries;
}

std::optional<EntryView> BucketView::find(std::string_view name, std::uint64_t hash) const {
    const std::size_t used = std::min<std::size_t>(head_.used, bytes_.size());
    const std::byte* base = bytes_.data();
    std::uint32_t at = bucket_entries_at;
    while (at + sizeof(EntryHead) <= used) {
        EntryHead head;
        std::memcpy(&head, base + at, sizeof head);
        if (head.hash == hash && head.inode != 0) {
            EntryView entry;
            if (!next(at, entry)) return std::nullopt;
            if (entry.name == name) return entry;
        }
        if (head.bytes < sizeof head) return std::nullopt;
        at += head.bytes;
    }
    return std::nullopt;
}

// Head and places; the head is yet to be finished.
std::vector<std::byte> BucketView::without_entries(const BucketPlaces& places) const {
    std::vector<std::byte> value(bucket_entries_at);
    std::memcpy(value.data() + sizeof(BucketHead), &places, sizeof places);
    return value;
}

// All living entries, behind a head that is yet to be finished.
std::vector<std::byte> BucketView::compacted(std::size_t more) const {
    std::vector<std::byte> value = without_entries(places());
    value.reserve(head_.used - head_.dead + more);
    for_each([&](const EntryView& entry) { append(value, entry.head, entry.name); });
    return value;
}

Edit BucketView::insert(const NewEntry& entry, std::int64_t now) const {
    EntryHead added;
    added.hash = entry.hash;
    added.inode = entry.inode.value;
    added.bytes = static_cast<std::uint16_t>(entry_bytes(entry.name.size()));
    added.name_bytes = static_cast<std::uint8_t>(entry.name.size());
    added.type = entry.type;
    BucketHead head = head_;
    ++head.entries;
    if (entry.type == directory_type) ++head.directories;
    head.modify_ns = std::max(head.modify_ns, now);
    if (entry.by != no_node) {
        if (head.writer != 0 && head.writer != entry.by.value + 1) head.shared = 1;
        head.writer = entry.by.value + 1;
    }
    const bool tight = head_.used + added.bytes > bytes_.size();
    if (!exists_ || (tight && head_.dead > head_.used / 4)) {
        std::vector<std::byte> value = compacted(added.bytes);
        append(value, added, entry.name);
        finish(value, head);
        return Edit::of_whole(value);
    }
    Edit edit;
    std::byte bytes[sizeof added + UINT8_MAX + 1] = {};
    std::memcpy(bytes, &added, sizeof added);
    std::memcpy(bytes + sizeof added, entry.name.data(), entry.name.size());
    head.used += added.bytes;
    edit.object_bytes = tight ? room_for(head.used) : static_cast<std::uint32_t>(bytes_.size());
    edit.write(0, &head, sizeof head);
    edit.write(head_.used, bytes, added.bytes);
    return edit;
}

Edit BucketView::erase(const EntryView& entry, std::int64_t now) const {
    BucketHead head = head_;
    --head.entries;
    if (entry.head.type == directory_type) --head.directories;
    head.modify_ns = std::max(head.modify_ns, now);
    Edit edit;
    edit.object_bytes = static_cast<std::uint32_t>(bytes_.size());
    if (head.entries == 0) {   // from the start again
        head.used = bucket_entries_at;
        head.dead = 0;
        edit.write(0, &head, sizeof head);
        return edit;
    }
    head.dead += entry.head.bytes;
    const std::uint64_t none = 0;
    edit.write(0, &head, sizeof head);
    edit.write(entry.offset + offsetof(EntryHead, inode), &none, sizeof none);
    return edit;
}

Edit BucketView::replace(const EntryView& entry, InodeId inode, std::uint8_t type,
                         std::int64_t now) const {
    BucketHead head = head_;
    if (entry.head.type == directory_type) --head.directories;
    if (type == directory_type) ++head.directories;
    head.modify_ns = std::max(head.modify_ns, now);
    EntryHead changed = entry.head;
    changed.inode = inode.value;
    changed.type = type;
    Edit edit;
    edit.object_bytes = static_cast<std::uint32_t>(bytes_.size());
    edit.write(0, &head, sizeof head);
    edit.write(entry.offset, &changed, sizeof changed);
    return edit;
}

BucketView::Halves BucketView::split(std::uint16_t place) const {
    BucketHead heads[2] = {head_, head_};
    BucketPlaces ways = places();
    ways[head_.depth] = place;
    std::vector<std::byte> values[2];
    for (int half = 0; half < 2; ++half) {
        heads[half].depth = static_cast<std::uint16_t>(head_.depth + 1);
        heads[half].entries = heads[half].directories = heads[half].writer = 0;
        heads[half].shared = 0;
        values[half] = without_entries(ways);
    }
    for_each([&](const EntryView& entry) {
        const std::size_t half = entry.head.hash >> head_.depth & 1;
        append(values[half], entry.head, entry.name);
        ++heads[half].entries;
        if (entry.head.type == directory_type) ++heads[half].directories;
    });
    finish(values[0], heads[0]);
    finish(values[1], heads[1]);
    return {std::move(values[0]), std::move(values[1])};
}

}  // namespace ssi::fs
