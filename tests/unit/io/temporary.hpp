// SPDX-License-Identifier: BSD-3-Clause
// A directory of a test's own, removed with it: below $SSI_TEST_DIRECTORY, which may name a disk,
// else where temporary files go.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace ssi::io {

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        const char* const chosen = std::getenv("SSI_TEST_DIRECTORY");
        path_ = (chosen ? std::filesystem::path(chosen) : std::filesystem::temp_directory_path()) /
                "ssi-disk-XXXXXX";
        EXPECT_NE(::mkdtemp(path_.data()), nullptr) << path_;
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace ssi::io
