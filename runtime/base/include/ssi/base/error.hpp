// SPDX-License-Identifier: BSD-3-Clause
// The numbered error table. Every error a user can see has one number, one name and one sentence;
// the C constants, ssi_strerror and the man page are generated from this table.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "ssi/base/ids.hpp"

namespace ssi {

// Numbers are part of the ABI: append only, never renumber.
enum class Errc : std::uint16_t {
    ok = 0,
    invalid_argument = 1,   // an argument is outside its documented range
    bad_config = 2,         // a configuration file, variable or flag cannot be used
    not_found = 3,          // no such file, set, function or object
    exists = 4,             // created exclusively, but it is there already
    mismatch = 5,           // opened with attributes other than it was created with
    too_large = 6,          // larger than the limit
    out_of_memory = 7,      // memory, shared memory or a budget is exhausted
    would_block = 8,        // a try_ verb would have to wait for another holder
    deadlock = 9,           // waiting would close a cycle, or guards are taken out of order
    peer_lost = 10,         // a node that the operation needs is dead
    lost = 11,              // the newest value of the object died with a node
    timed_out = 12,         // a time limit passed
    cancelled = 13,         // shut down or destroyed while waiting
    io = 14,                // the operating system refused an I/O operation (see errno)
    transport = 15,         // UCX or the network refused (see text)
    build_mismatch = 16,    // nodes of different builds tried to form one session
    stale_slot = 17,        // the request was placed by a slot table that is no longer valid
    serialization = 18,     // a typed object could not be encoded or decoded
    bad_message = 19,       // a message from a peer is malformed
    unsupported = 20,       // not available in this build or on this machine
    parse = 21,             // malformed input (text names file and line)
    function_failed = 22,   // a function shipped by apply reported a failure
    internal = 23,          // a broken invariant of libssi: please report it
    linker_failed = 24,     // a set's linker could not read, write or remove an object
};

struct ErrorInfo {
    Errc code;
    const char* name;  // the identifier above, as printed
    const char* text;  // one sentence: what it means and the way out
    int exit_code;     // what a program of ours exits with when this ends it
};

// The whole table, ascending by code. Thread-safe, static storage.
std::span<const ErrorInfo> error_table();
const ErrorInfo& error_info(Errc code);

// A failure as it travels inside libssi: where it was first classified fills all fields.
// Copyable, cheap unless text is long. `sys_errno` is 0 when the OS had no part in it.
struct Failure {
    Errc code = Errc::internal;
    int sys_errno = 0;
    NodeId node = no_node;  // the node at fault, when there is one
    std::string text;       // exact cause, lower case, no trailing period

    // "peer_lost: node 3 lost: process 4711 exited (home of object 7)"
    std::string to_string() const;
};

// What public C++ functions throw.
class Error : public std::runtime_error {
public:
    explicit Error(Failure failure);
    Errc code() const noexcept { return failure_.code; }
    int sys_errno() const noexcept { return failure_.sys_errno; }
    NodeId node() const noexcept { return failure_.node; }
    const Failure& failure() const noexcept { return failure_; }

private:
    Failure failure_;
};

}  // namespace ssi
