// SPDX-License-Identifier: BSD-3-Clause
// PolicyParameters: "every_s=60 level=partner", taken apart. The first fault counts: whoever reads
// parameters asks for all, and for the fault at the end.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ssi::ckpt {

class PolicyParameters {
public:
    explicit PolicyParameters(std::string_view text);

    double number(std::string_view key, double otherwise, double least, double most);
    bool flag(std::string_view key, bool otherwise);
    // Which of the words; nothing: it is not there.
    std::optional<std::size_t> choice(std::string_view key,
                                      std::span<const std::string_view> words);
    bool has(std::string_view key) const { return values_.contains(key); }
    // A fault of the whole.
    void refuse(std::string text);
    // Nobody has asked for what is left: that is a fault, too. Empty: all is well.
    std::string fault();

private:
    std::optional<std::string> take(std::string_view key);

    std::map<std::string, std::string, std::less<>> values_;
    std::string asked_;                  // for, with commas between them
    std::string fault_;
};

}  // namespace ssi::ckpt
