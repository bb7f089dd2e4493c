// SPDX-License-Identifier: BSD-3-Clause
#include "copyset.hpp"

namespace ssi::kddm {

void Copyset::add(NodeId node, const node::Membership& members) {
    if (coarse()) return set_group(node, members);
    for (unsigned i = 0; i < size_; ++i)
        if (ids_[i] == node.value) return;
    if (size_ < inline_ids) {
        ids_[size_++] = node.value;
        return;
    }
    const auto exact = ids_;
    Groups* groups = new Groups{};
    std::memcpy(ids_.data(), &groups, sizeof groups);
    size_ = coarse_mark;
    for (const auto id : exact) set_group(NodeId(id), members);
    set_group(node, members);
}

void Copyset::set_group(NodeId node, const node::Membership& members) {
    const int index = members.index_of(node);
    if (index < 0) return;
    const auto g = static_cast<std::uint32_t>(index) / group_size(members.members.size());
    groups()[g / 64] |= 1ull << (g % 64);
}

void Copyset::remove(NodeId node) {
    if (coarse()) return;
    for (unsigned i = 0; i < size_; ++i)
        if (ids_[i] == node.value) {
            ids_[i] = ids_[--size_];
            return;
        }
}

bool Copyset::covers(NodeId node, const node::Membership& members) const {
    if (!coarse()) {
        for (unsigned i = 0; i < size_; ++i)
            if (ids_[i] == node.value) return true;
        return false;
    }
    const int index = members.index_of(node);
    const auto size = group_size(members.members.size());
    return index >= 0 && group(static_cast<std::uint32_t>(index) / size);
}

void Copyset::clear() {
    if (coarse()) delete &groups();
    size_ = 0;
}

}  // namespace ssi::kddm
