// SPDX-License-Identifier: BSD-3-Clause
// CheckpointBackend: saves a state of one node that libssi does not know from inside, such as a
// process that a rank has started, together with what libssi does know, at the same cut. One
// object for each rank and name; Checkpoint::protect_state. docs/decisions/0025 walks through one
// checkpoint.
//
//     take      probe | freeze | save, thaw
//     restart   probe | kill, restore
//
// No two verbs of one backend run at a time; save runs on the task that saves, thaw on that or on
// the one of take, the others on that of take or restart. An exception is a failure. Those of a
// rank fail the version, or the restart, on all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "ssi/base/result.hpp"

namespace ssi {

class CheckpointBackend {
public:
    virtual ~CheckpointBackend() = default;

    // What it is, the same on all ranks: a version is restored by a backend of the kind that saved
    // it. Such as "criu".
    virtual std::string kind() const = 0;
    // For messages: whose state it is, such as "process 123".
    virtual std::string describe() const = 0;
    // Whether it could be saved, or restored, here and now. Before anything is stopped.
    virtual Result<void> probe() = 0;
    // Nothing goes on in the session meanwhile: soon. From here on the state does not change until
    // thaw, unless the backend has a copy. How many bytes save will give. After a failure it goes
    // on as if nothing had been.
    virtual Result<std::uint64_t> freeze() = 0;
    // All of them, in order, in pieces of any size. The session goes on meanwhile.
    using Put = std::function<Result<void>(std::span<const std::byte> bytes)>;
    virtual Result<void> save(const Put& put) = 0;
    // Once after each freeze that did not fail, also when nothing was saved.
    virtual void thaw() = 0;
    // Whatever there is of it ends, so that what was saved can take its place.
    virtual Result<void> kill() = 0;
    // What save gave, verified.
    virtual Result<void> restore(std::span<const std::byte> bytes) = 0;
};

}  // namespace ssi
