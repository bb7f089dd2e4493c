// SPDX-License-Identifier: BSD-3-Clause
// Tries something in a child process: what it prints, a crash or a hang is then a finding and not
// the end of `ssi`.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace ssi::cli {

struct ChildReport {
    std::optional<std::string> answer;  // what the body returned; none when it did not get there
    std::string output;                 // what it and its libraries printed
    std::string end;                    // "", "killed by signal 11 (...)", "no answer in 5 s"
};

// Forks, so the caller must have a single thread. The child is gone when this returns.
ChildReport run_in_child(const std::function<std::string()>& body, int timeout_ms);

}  // namespace ssi::cli
