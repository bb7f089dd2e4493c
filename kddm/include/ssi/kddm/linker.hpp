// SPDX-License-Identifier: BSD-3-Clause
// Linker: where the objects of a set are born and kept outside memory: a file, a database, a
// device. Derive from it, register the instance on every node before the set is opened
// (Session::register_linker), and name it in SetOptions::linker. record_file.hpp is an example.
//
// An object is linked at its home: that node's instance alone is asked about it, about one object
// by one call at a time, and about several at once by kddm.linker_threads. Between `write_back`
// and `fetch` the bytes are the linker's business; what libssi promises is that a value which was
// put and is in no node's memory any more has been written back before.
// Thread-safe implementations are required. An error or an exception reaches whoever asked as
// linker_failed, with the text; the object stays as it was and the next access tries again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ssi/kddm/types.hpp"

namespace ssi::kddm {

class Linker {
public:
    virtual ~Linker() = default;

    // The answer of fetch for an object that was never written back, or was removed.
    static constexpr std::size_t none = SIZE_MAX;

    // Fills in the object's bytes and returns how many: for sets of fixed size all of them, else
    // what the object was resized to. Any other number is an error ("short").
    virtual Result<std::size_t> fetch(ObjectView& object) = 0;
    // Whether fetch would answer `none`, said without waiting for anything: then the object is born
    // at once by whoever wants it, instead of on a thread of the linker.
    virtual bool surely_none(ObjectId id) {
        (void)id;
        return false;
    }
    // First touch: the object is new-born, its bytes zero or empty; may fill it.
    virtual Result<void> instantiate(ObjectView& object) {
        (void)object;
        return {};
    }
    // The newest value. Nobody writes it meanwhile; others may read it.
    virtual Result<void> write_back(ObjectId id, std::span<const std::byte> bytes) = 0;
    // All that was written back is to be durable. Called by RawSet::sync, on each node that calls
    // it.
    virtual Result<void> sync() { return {}; }
    // The object is removed: fetch answers `none` from now on.
    virtual Result<void> remove(ObjectId id) = 0;
    // The set was destroyed: nothing of this node's part is needed any more. No write_back comes
    // after it has begun, and `destroy` of the set returns after it has ended, on every node where
    // the linker is registered.
    virtual Result<void> destroy() { return {}; }

    // Whether calls may take long: then they run on threads of their own (the default). A linker
    // that never blocks may be called by whoever is there, message handlers included; it makes no
    // call to libssi either way.
    virtual bool may_block() const { return true; }
};

}  // namespace ssi::kddm
