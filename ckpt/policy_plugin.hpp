// SPDX-License-Identifier: BSD-3-Clause
// Strategies out of shared objects. What is loaded runs as the user: only files, in directories,
// that nobody else could have written.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/base/result.hpp"
#include "ssi/ckpt/policy.h"

namespace ssi::ckpt {

struct PolicyPlugin {
    std::string file;
    std::shared_ptr<void> library;       // loaded as long as anybody has it
    const ssi_checkpoint_policy* table = nullptr;
};

// `name`: a path when it has a slash, else of NAME.so in one of the directories of `path`, with
// colons between them. Failures name the file and the way out.
Result<PolicyPlugin> find_plugin(const std::string& name, std::string_view path);
Result<PolicyPlugin> load_plugin(const std::string& file);
std::vector<std::string> plugin_files(std::string_view path);
// io: somebody else than the user and root could change the file.
Result<void> check_owner(const std::string& file);

}  // namespace ssi::ckpt
