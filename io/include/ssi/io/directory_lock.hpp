// SPDX-License-Identifier: BSD-3-Clause
// DirectoryLock: the file `lock` of a directory, locked (flock) as long as this lives and no longer
// than the process does. For directories of the operating system, not those of other disks.
#pragma once

#include <string>

#include "ssi/base/result.hpp"

namespace ssi::io {

class DirectoryLock {
public:
    // Does not wait. would_block when somebody else has it; io. `create`: makes the file; otherwise
    // a directory without one is nobody's, and the lock is empty.
    static Result<DirectoryLock> take(const std::string& directory, bool create);
    DirectoryLock() = default;
    DirectoryLock(DirectoryLock&& other) noexcept;
    DirectoryLock& operator=(DirectoryLock&& other) noexcept;
    ~DirectoryLock();

private:
    int fd_ = -1;
};

}  // namespace ssi::io
