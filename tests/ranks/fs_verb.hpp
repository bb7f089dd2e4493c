// SPDX-License-Identifier: BSD-3-Clause
// Verb: a kind of operation, as fs_operations.cpp (names, attributes) and fs_file_operations.cpp
// (open files) define them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "fs_drawing.hpp"
#include "fs_operations.hpp"

namespace ssi::test {

// A kind of operation: how often (of all weights together), what is drawn for it, what it does.
struct Verb {
    const char* name;
    unsigned weight;
    bool changes;
    void (*draw)(Drawing&, Operation&);
    Answer (*run)(const Operation&, FileApi&, Side&);
};

// Of open files.
std::span<const Verb> file_verbs();

void draw_slot(Drawing& draw, Operation& operation);
// What the operation writes.
std::vector<std::byte> bytes_of(const Operation& operation);
// The file of the operation's slot, or of the next slot that has one; or null.
Side::Slot* slot_of(const Operation& operation, Side& side);

}  // namespace ssi::test
