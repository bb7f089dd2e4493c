// SPDX-License-Identifier: BSD-3-Clause
// Mounted: one session and one file system for all tests of a suite, each rank with a volume but
// the last of several, which is diskless.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "ssi/io/file_system.hpp"
#include "ssi/ssi.hpp"

namespace ssi::test {

class Mounted : public testing::Test {
protected:
    static void SetUpTestSuite() {
        session_ = std::make_unique<Session>(Session::from_mpi(nullptr));
        directory_ = (std::filesystem::temp_directory_path() / "ssi-mounted-XXXXXX").string();
        ASSERT_NE(::mkdtemp(directory_.data()), nullptr);
        fs::Options options;
        if (session_->size() == 1 || session_->rank() + 1 < session_->size())
            options.volumes.directories = {directory_ + "/volume"};
        system_ = value_or_throw(fs::FileSystem::mount(*session_, std::move(options)));
    }
    static void TearDownTestSuite() {
        value_or_throw(system_->close());
        system_.reset();
        value_or_throw(session_->close());
        session_.reset();
        std::filesystem::remove_all(directory_);
    }

    static inline std::unique_ptr<Session> session_;
    static inline std::unique_ptr<fs::FileSystem> system_;
    static inline std::string directory_;     // of this rank
};

}  // namespace ssi::test
