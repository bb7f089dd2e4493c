// SPDX-License-Identifier: BSD-3-Clause
// What a process tells the others about itself when a session starts.
#pragma once

#include <cstdint>
#include <string>

namespace ssi::node {

// Of this program and of the libssi in it: nodes of different builds form no session, because
// messages and registered functions would not mean the same. $SSI_TEST_BUILD_ID replaces it.
std::string build_id();

// Same value: same kernel, host name and process-id namespace, so that pids and memory can be
// shared. $SSI_TEST_HOST_ID replaces it.
std::uint64_t host_id();
std::string host_name();

// Of the set of cores this process may run on: equal when two processes share all of theirs.
std::uint64_t affinity_id();

}  // namespace ssi::node
