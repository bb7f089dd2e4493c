// SPDX-License-Identifier: BSD-3-Clause
// The stores of checkpoints that directories on a command line name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ssi/ckpt/store.hpp"

namespace ssi::cli {

struct OpenStores {
    std::vector<std::unique_ptr<io::Disk>> disks;
    std::vector<std::unique_ptr<ckpt::Store>> stores;   // go before their disks
    std::vector<ckpt::Store*> all() const;
};

// A name is a directory that is a store, or one whose directories are stores, such as ranks make
// that have one each; %n in it stands for any number. Each store once, in order. Failures:
// not_found (there is no such directory, or no checkpoint was ever begun in it), io.
Result<OpenStores> open_stores(const std::vector<std::string>& names);

}  // namespace ssi::cli
