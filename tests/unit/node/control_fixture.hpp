// SPDX-License-Identifier: BSD-3-Clause
// A control server in a directory of its own, for tests.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "control_server.hpp"
#include "ssi/base/config.hpp"
#include "ssi/node/control_client.hpp"

namespace ssi::node::test {

constexpr const char* key = "000102030405060708090a0b0c0d0e0f";

class Folder {
public:
    Folder() : path_((std::filesystem::temp_directory_path() / "ssi-control-XXXXXX").string()) {
        EXPECT_NE(::mkdtemp(path_.data()), nullptr);
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    const std::string& path() const { return path_; }
    Config config() const {
        Config config;
        value_or_throw(config.set("control.directory", path_, "test"));
        return config;
    }
    std::size_t files() const {
        return static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator(path_), {}));
    }

private:
    std::string path_;
};

struct Served {
    explicit Served(ControlServer::Options options = {}, bool start = true)
        : directory(value_or_throw(RuntimeDirectory::open(folder.config()))),
          tasks(sys::make_thread_tasks()), log(LogLevel::info, recorder.sink()) {
        verbs.set_key(key);
        verbs.add("ping", [](const JsonValue&) -> Result<std::string> { return "\"pong\""; });
        verbs.add("big", [](const JsonValue& request) -> Result<std::string> {
            return "\"" + std::string(request.u64_of("bytes"), 'x') + "\"";
        });
        server = value_or_throw(ControlServer::listen(directory, options));
        if (start) value_or_throw(server->start({clock, *tasks, log, verbs}));
    }
    ControlClient connect(Nanoseconds patience = 5'000'000'000) const {
        return value_or_throw(ControlClient::connect(server->path(), patience));
    }
    Folder folder;
    RuntimeDirectory directory;
    RealClock clock;
    std::unique_ptr<sys::Tasks> tasks;
    LogRecorder recorder;
    Log log;
    ControlVerbs verbs;
    std::unique_ptr<ControlServer> server;
};

template <class F>
bool eventually(F&& condition, std::chrono::milliseconds limit = std::chrono::seconds(5)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

}  // namespace ssi::node::test
