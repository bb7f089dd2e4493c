// SPDX-License-Identifier: BSD-3-Clause
// EntryView: an object whose write pin we have, as a shipped function or a linker sees it: all of
// it, or the range that the message of an apply names.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "engine_impl.hpp"

namespace ssi::kddm {

class EntryView final : public ObjectView {
public:
    EntryView(Engine::Impl& impl, SetState& set, Entry& entry, const Message* apply = nullptr)
        : impl_(impl),
          set_(set),
          entry_(entry),
          range_(apply && apply->has(flag::part)),
          offset_(range_ ? apply->acks : 0),
          length_(range_ ? apply->after_node : 0) {}
    ObjectId id() const override { return entry_.id; }
    std::span<std::byte> bytes() override {
        return range_ ? entry_.bytes().subspan(offset_, length_) : entry_.bytes();
    }
    Result<void> resize(std::size_t length) override {
        if (range_) return fail(Errc::invalid_argument, "a function on a range cannot resize");
        return impl_.resize(set_, entry_, length);
    }
    std::size_t offset() const override { return offset_; }
    // Before anything else.
    Result<void> check(std::string_view function) const {
        const std::size_t size = entry_.bytes().size();
        if (!range_ || offset_ + length_ <= size) return {};
        return fail(Errc::invalid_argument,
                    fmt::format("apply of '{}' to {} bytes at offset {} of an object of {} bytes",
                                function, length_, offset_, size));
    }

private:
    Engine::Impl& impl_;
    SetState& set_;
    Entry& entry_;
    const bool range_;
    const std::size_t offset_, length_;
};

}  // namespace ssi::kddm
