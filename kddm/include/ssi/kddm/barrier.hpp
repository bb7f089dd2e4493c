// SPDX-License-Identifier: BSD-3-Clause
// Barrier: a meeting point, by name, of a fixed number of tasks anywhere in the session: several
// threads of a node, some nodes only. For all nodes with one task each, Session::barrier is faster.
#pragma once

#include "ssi/kddm/sync.hpp"

namespace ssi {

// A handle; copies are the same barrier. Get it from Session::barrier(name, participants). May be
// used again at once. Throws mismatch when others count another number of participants, and
// peer_lost after the death of any node, which may have been one of them.
class Barrier {
public:
    explicit Barrier(kddm::sync::Object& object) : object_(&object) {}

    void arrive_and_wait() { value_or_throw(kddm::sync::arrive_and_wait(*object_)); }
    std::string_view name() const { return kddm::sync::name_of(*object_); }

private:
    kddm::sync::Object* object_;
};

}  // namespace ssi
