// SPDX-License-Identifier: BSD-3-Clause
// Things that `doctor` really does once, to know rather than to guess: sends a message through the
// shipped transport, maps shared memory, reads a process's memory, makes an unnamed file. Nothing
// is left behind; the risky ones run in a child process.
#pragma once

#include <string>

#include "check.hpp"

namespace ssi::cli {

// `transports` as in net.ucx_tls; empty: what the configuration and UCX_TLS say.
Trial try_messages(const Config& config, const std::string& transports);
SharedMemory try_shared_memory();
CrossMemory try_cross_memory();
Scratch try_scratch();
int try_pidfd();  // errno, or 0

}  // namespace ssi::cli
