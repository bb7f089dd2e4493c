// SPDX-License-Identifier: BSD-3-Clause
// Verdict: where a checker reports. The first report counts and stops the world.
#pragma once

#include <string>
#include <utility>

#include "ssi/sys/fiber.hpp"

namespace ssi::model {

class Verdict {
public:
    explicit Verdict(sys::FiberScheduler& scheduler) : scheduler_(scheduler) {}
    void fail(std::string checker, std::string text) {
        if (failed()) return;
        checker_ = std::move(checker);
        text_ = std::move(text);
        scheduler_.stop();
    }
    bool failed() const { return !checker_.empty(); }
    const std::string& checker() const { return checker_; }
    const std::string& text() const { return text_; }

private:
    sys::FiberScheduler& scheduler_;
    std::string checker_;
    std::string text_;
};

}  // namespace ssi::model
