// SPDX-License-Identifier: BSD-3-Clause
// Copyset: which nodes may hold a read copy. Up to six nodes exactly; beyond that one bit per group
// of member indexes, 64 bytes at most whatever the session's size. A superset of the truth.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "ssi/base/ids.hpp"
#include "ssi/node/membership.hpp"

namespace ssi::kddm {

class Copyset {
public:
    Copyset() = default;
    ~Copyset() { clear(); }
    Copyset(const Copyset&) = delete;
    Copyset& operator=(const Copyset&) = delete;

    static constexpr unsigned inline_ids = 6;
    static constexpr unsigned group_bits = 512;

    bool empty() const { return size_ == 0; }
    bool coarse() const { return size_ == coarse_mark; }
    unsigned inline_size() const { return size_; }               // unless coarse
    NodeId at(unsigned i) const { return NodeId(ids_[i]); }      // unless coarse

    void add(NodeId node, const node::Membership& members);
    void remove(NodeId node);   // exact sets only; coarse sets keep their superset
    bool covers(NodeId node, const node::Membership& members) const;
    void clear();

    static std::uint32_t group_size(std::size_t members) {
        return static_cast<std::uint32_t>((members + group_bits - 1) / group_bits);
    }
    bool group(unsigned g) const { return (groups()[g / 64] >> (g % 64)) & 1; }

private:
    using Groups = std::array<std::uint64_t, group_bits / 64>;
    static constexpr std::uint8_t coarse_mark = 255;
    void set_group(NodeId node, const node::Membership& members);
    Groups& groups() const {
        Groups* groups;
        std::memcpy(&groups, ids_.data(), sizeof groups);
        return *groups;
    }

    // A coarse set keeps a pointer to its groups in the first two of these, unaligned.
    std::array<std::uint32_t, inline_ids> ids_{};
    std::uint8_t size_ = 0;
};

}  // namespace ssi::kddm
