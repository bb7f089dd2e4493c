// SPDX-License-Identifier: BSD-3-Clause
#include "protection.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "manifest.hpp"

namespace ssi::ckpt {
namespace {

const char* const channels_name = "channels";

std::string described(const Item& item) {
    return fmt::format("{} '{}'", item_kind_name(item.kind), item.name);
}

// What is told of an item's options when they differ.
std::string told(const Item& item) {
    Reader in(item.options);
    if (item.kind == ItemKind::set) {
        const auto kind = static_cast<kddm::ObjectKind>(in.get<std::uint8_t>());
        const auto bytes = in.get<std::uint32_t>();
        if (kind == kddm::ObjectKind::fixed) return fmt::format("objects of {} bytes", bytes);
        return kind == kddm::ObjectKind::typed ? "typed objects" : "objects of variable length";
    }
    const auto element = in.get<std::uint32_t>();
    const auto length = in.get<std::uint64_t>();
    return fmt::format("{} elements of {} bytes", length, element);
}

const Item* find_item(std::span<const Item> items, const Item& wanted) {
    const auto at = std::ranges::find_if(items, [&](const Item& item) {
        return item.kind == wanted.kind && item.name == wanted.name;
    });
    return at == items.end() ? nullptr : &*at;
}

}  // namespace

std::vector<std::byte> set_options(const kddm::SetOptions& options) {
    Writer out;
    out.put(static_cast<std::uint8_t>(options.kind));
    out.put(options.object_bytes);
    return {out.bytes().begin(), out.bytes().end()};
}

std::vector<std::byte> array_options(std::uint32_t element_bytes, std::uint64_t length) {
    Writer out;
    out.put(element_bytes);
    out.put(length);
    return {out.bytes().begin(), out.bytes().end()};
}

Result<void> Protection::add(Protected one) {
    if (one.item.name.empty())
        return fail(Errc::invalid_argument, "what is protected needs a name");
    for (const Protected& other : all_)
        if (other.item.kind == one.item.kind && other.item.name == one.item.name)
            return fail(Errc::exists, fmt::format("{} is protected already", described(one.item)));
    one.item.id = SetId(channels_item.value + 1 + static_cast<std::uint32_t>(all_.size()));
    all_.push_back(std::move(one));
    return {};
}

const Protected* Protection::find(SetId item) const {
    const std::size_t at = item.value - channels_item.value - 1;
    return item.value > channels_item.value && at < all_.size() ? &all_[at] : nullptr;
}

const Protected* Protection::of_set(SetId set) const {
    for (const Protected& one : all_)
        if (one.item.kind == ItemKind::set && one.set.id() == set) return &one;
    return nullptr;
}

std::vector<kddm::RawSet> Protection::sets() const {
    std::vector<kddm::RawSet> sets;
    for (const Protected& one : all_)
        if (one.item.kind == ItemKind::set) sets.push_back(one.set);
    return sets;
}

std::vector<Item> Protection::items() const {
    std::vector<Item> items{{.kind = ItemKind::channel,
                             .id = channels_item,
                             .name = channels_name,
                             .options = {}}};
    for (const Protected& one : all_) items.push_back(one.item);
    return items;
}

Result<void> Protection::accepts(const Manifest& manifest, int ranks) const {
    const auto ours = items();
    for (const Item& item : manifest.items)
        if (!find_item(ours, item))
            return fail(Errc::mismatch,
                        fmt::format("version {} has {}, which is not protected here",
                                    manifest.version, described(item)));
    for (const Item& item : ours) {
        const Item* saved = find_item(manifest.items, item);
        if (!saved)
            return fail(Errc::mismatch, fmt::format("version {} has no {}", manifest.version,
                                                    described(item)));
        if (saved->options != item.options)
            return fail(Errc::mismatch,
                        fmt::format("{} has {} in version {}, and {} here", described(item),
                                    told(*saved), manifest.version, told(item)));
        if (item.kind == ItemKind::span && manifest.ranks != static_cast<std::uint32_t>(ranks))
            return fail(Errc::unsupported,
                        fmt::format("{} belongs to each of the {} ranks that saved version {}, and "
                                    "cannot be divided over {}: restart on {}, or protect it as an "
                                    "array or a set", described(item), manifest.ranks,
                                    manifest.version, ranks, manifest.ranks));
    }
    return {};
}

}  // namespace ssi::ckpt
