// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/sys/atomic.hpp"

namespace ssi::sys {

constinit std::atomic<PreemptHook> preempt_hook{nullptr};

}  // namespace ssi::sys
