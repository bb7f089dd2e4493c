// SPDX-License-Identifier: BSD-3-Clause
// Progress: what rank 0 tells on standard error while a run lasts. Not thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ssi/base/clock.hpp"

namespace support {

class Progress {
public:
    // Says nothing unless `speaks` (rank 0). A line that overwrites itself on a terminal, or lines
    // when they are `forced` elsewhere.
    Progress(std::string program, bool speaks, bool forced, const ssi::Clock& clock);
    ~Progress() { finish(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void stage(std::string_view what);
    // Asks for the text only when it is time to show one.
    void update(const std::function<std::string()>& what);
    void finish();  // leaves the line clean

private:
    void show(std::string_view text);

    std::string program_;
    bool terminal_;
    bool shows_;
    const ssi::Clock& clock_;
    ssi::Nanoseconds next_ = 0;
    bool dirty_ = false;
};

}  // namespace support
