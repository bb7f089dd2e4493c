// SPDX-License-Identifier: BSD-3-Clause
// The strategies that libssi brings along, by the same ABI as others.
#pragma once

#include <span>

#include "ssi/ckpt/policy.h"

namespace ssi::ckpt {

std::span<const ssi_checkpoint_policy> builtin_policies();

}  // namespace ssi::ckpt
