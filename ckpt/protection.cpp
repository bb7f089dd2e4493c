// SPDX-License-Identifier: BSD-3-Clause
#include "protection.hpp"

#include <fmt/format.h>

#include <cxxabi.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>

#include "manifest.hpp"

namespace ssi::ckpt {
namespace {

const char* const channels_name = "channels";

std::string described(const Item& item) {
    return fmt::format("{} '{}'", item_kind_name(item.kind), item.name);
}

// What there is in an item's options. Those of versions that were taken before types were saved
// end before.
struct Shape {
    std::string told;
    std::string type;
};
Shape shape_of(const Item& item) {
    Shape shape;
    Reader in(item.options);
    if (item.kind == ItemKind::set) {
        const auto kind = static_cast<kddm::ObjectKind>(in.get<std::uint8_t>());
        const auto bytes = in.get<std::uint32_t>();
        shape.told = kind == kddm::ObjectKind::fixed   ? fmt::format("objects of {} bytes", bytes)
                     : kind == kddm::ObjectKind::typed ? "typed objects"
                                                       : "objects of variable length";
    } else if (item.kind == ItemKind::array) {
        const auto element = in.get<std::uint32_t>();
        const auto length = in.get<std::uint64_t>();
        shape.told = fmt::format("{} elements of {} bytes", length, element);
    } else if (item.kind == ItemKind::state) {
        shape.told = fmt::format("what \"{}\" saves", in.text());
    }
    if (in.ok() && !in.at_end()) shape.type = in.text();
    return shape;
}

const Item* find_item(std::span<const Item> items, const Item& wanted) {
    const auto at = std::ranges::find_if(items, [&](const Item& item) {
        return item.kind == wanted.kind && item.name == wanted.name;
    });
    return at == items.end() ? nullptr : &*at;
}

Result<void> same_shape(const Item& saved, const Item& here, VersionNumber version,
                        bool other_types) {
    const Shape then = shape_of(saved), now = shape_of(here);
    if (then.told != now.told)
        return fail(Errc::mismatch, fmt::format("{} has {} in version {}, and {} here",
                                                described(here), then.told, version, now.told));
    if (other_types || then.type.empty() || now.type.empty() || then.type == now.type) return {};
    return fail(Errc::mismatch,
                fmt::format("{} has values of type {} in version {}, and of {} here: run the "
                            "program that took it, or, if they have the same bytes, set "
                            "checkpoint.other_types", described(here), then.type, version,
                            now.type));
}

}  // namespace

std::vector<std::byte> set_options(const kddm::SetOptions& options, std::string_view type) {
    Writer out;
    out.put(static_cast<std::uint8_t>(options.kind));
    out.put(options.object_bytes);
    if (!type.empty()) out.text(type.substr(0, longest_text));
    return {out.bytes().begin(), out.bytes().end()};
}

std::vector<std::byte> array_options(std::uint32_t element_bytes, std::uint64_t length,
                                     std::string_view type) {
    Writer out;
    out.put(element_bytes);
    out.put(length);
    if (!type.empty()) out.text(type.substr(0, longest_text));
    return {out.bytes().begin(), out.bytes().end()};
}

std::vector<std::byte> state_options(std::string_view kind) {
    Writer out;
    out.text(kind.substr(0, longest_text));
    return {out.bytes().begin(), out.bytes().end()};
}

std::string type_name(const std::type_info* type) {
    if (!type) return {};
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> text(
        abi::__cxa_demangle(type->name(), nullptr, nullptr, &status), &std::free);
    return text ? text.get() : type->name();
}

std::string_view machine_name() {
    constexpr bool little = std::endian::native == std::endian::little;
    constexpr bool wide = sizeof(void*) == 8;
    return little ? (wide ? "little-endian, 64 bits" : "little-endian, 32 bits")
                  : (wide ? "big-endian, 64 bits" : "big-endian, 32 bits");
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

Result<void> Protection::accepts(const Manifest& manifest, int ranks, bool other_types) const {
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
        SSI_TRY(same_shape(*saved, item, manifest.version, other_types));
        const bool of_ranks = item.kind == ItemKind::span || item.kind == ItemKind::state;
        if (of_ranks && manifest.ranks != static_cast<std::uint32_t>(ranks))
            return fail(Errc::unsupported,
                        fmt::format("{} belongs to each of the {} ranks that saved version {}, and "
                                    "cannot be divided over {}: restart on {}, or protect it as an "
                                    "array or a set", described(item), manifest.ranks,
                                    manifest.version, ranks, manifest.ranks));
    }
    return {};
}

}  // namespace ssi::ckpt
