// SPDX-License-Identifier: BSD-3-Clause
// NamesHistory: what tasks asked of a few names at once and what they were told, and whether some
// order of these operations, each at one moment between its call and its answer, explains all
// answers. Source: Wing and Gong, "Testing and Verifying Concurrent Objects", 1993, with Lowe's
// memory of states seen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ssi::model {

struct NameOperation {
    // A link first finds the file, then makes the name, as link(2) does: others may come between.
    enum class What : std::uint8_t { create, remove, move, link, look };
    What what = What::look;
    std::uint32_t name = 0;          // number of it
    std::uint32_t to = 0;            // of move and link
    std::uint64_t called = 0, answered = 0;   // in one order of all events
    int error = 0;                   // errno, or 0
    std::uint64_t inode = 0;         // told by create and look

    std::string text() const;
};

class NamesHistory {
public:
    explicit NamesHistory(std::uint32_t names) : names_(names) {}
    void add(const NameOperation& operation) { operations_.push_back(operation); }
    std::size_t size() const { return operations_.size(); }
    // Nothing when it can be explained; else as far as any order comes, and what then fits not.
    std::optional<std::string> wrong() const;

private:
    std::uint32_t names_;
    std::vector<NameOperation> operations_;
};

}  // namespace ssi::model
