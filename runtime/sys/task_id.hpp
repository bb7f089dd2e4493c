// SPDX-License-Identifier: BSD-3-Clause
// Ids for tasks that are threads. Private to runtime/sys.
#pragma once

#include <cstdint>

namespace ssi::sys::detail {

std::uint64_t next_thread_task_id();

}  // namespace ssi::sys::detail
