// SPDX-License-Identifier: BSD-3-Clause
// AsyncIo: operations on files that go on in the background: tasks of this node carry them out, as
// many as are of use, from the first operation to the end of the file system. Those that were begun
// first come first, beside each other.
// Thread-safe. Futures may outlive it.
#pragma once

#include <functional>
#include <memory>

#include "ssi/kddm/future.hpp"
#include "ssi/node/node.hpp"

namespace ssi::fs {

class AsyncIo {
public:
    static constexpr unsigned most_tasks = 8;

    explicit AsyncIo(node::Node& node);
    ~AsyncIo();   // stop()
    AsyncIo(const AsyncIo&) = delete;
    AsyncIo& operator=(const AsyncIo&) = delete;
    // Those that have not begun end with `cancelled`, and so do new ones.
    void stop();

    using Body = std::function<Result<std::uint64_t>()>;   // what it has goes when it has ended
    // Dropped before its end a pending operation is taken back, or waited for. `file` is a number
    // of the caller's; after_others: not before all earlier ones with it have ended.
    std::unique_ptr<kddm::Pending> begin(std::uint64_t file, bool after_others, Body body);
    static std::unique_ptr<kddm::Pending> failed(Failure failure);

private:
    struct Impl;
    class Operation;
    std::shared_ptr<Impl> impl_;   // futures have it, too
};

}  // namespace ssi::fs
