// SPDX-License-Identifier: BSD-3-Clause
// EntryView: an object whose write pin we have, as a shipped function or a linker sees it.
#pragma once

#include "engine_impl.hpp"

namespace ssi::kddm {

class EntryView final : public ObjectView {
public:
    EntryView(Engine::Impl& impl, SetState& set, Entry& entry)
        : impl_(impl), set_(set), entry_(entry) {}
    ObjectId id() const override { return entry_.id; }
    std::span<std::byte> bytes() override { return entry_.bytes(); }
    Result<void> resize(std::size_t length) override { return impl_.resize(set_, entry_, length); }

private:
    Engine::Impl& impl_;
    SetState& set_;
    Entry& entry_;
};

}  // namespace ssi::kddm
