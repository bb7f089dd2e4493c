// SPDX-License-Identifier: BSD-3-Clause
// LocalDirectory: a directory of a local file system as the root of a file system of its own, the
// reference that kDFS is compared with.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fs_api.hpp"

namespace ssi::test {

// A thread of its own carries everything out: it alone has the directory as its root (chroot) and
// may act for other users, so that "..", absolute symbolic links and permissions mean what they
// mean below a mounted root, and nothing else of the process is touched. That needs root, or
// CAP_SYS_CHROOT. Thread-safe: one call after the other.
class LocalDirectory {
public:
    static Result<std::unique_ptr<LocalDirectory>> open(const std::string& directory);
    ~LocalDirectory();
    // Runs `body` on that thread, and waits. The api is for use in there alone.
    void run(const std::function<void(FileApi&)>& body);

    struct State;

private:
    explicit LocalDirectory(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace ssi::test
