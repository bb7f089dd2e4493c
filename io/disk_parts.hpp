// SPDX-License-Identifier: BSD-3-Clause
// What the twins of Disk share: which requests and names are good, and how a request ends.
#pragma once

#include <string>
#include <string_view>

#include "ssi/io/disk.hpp"

namespace ssi::io {

// The errno for a request that breaks the rules of disk.hpp; 0 for a good one.
int check_request(const DiskRequest& request);
// invalid_argument unless the name is one below the disk's directory. `directory`: "" is good too.
Result<void> check_name(std::string_view name, bool directory = false);
// The directory part of a good name: "" for one at the top.
std::string directory_of(std::string_view name);

// The end of a request whose outcome is set. It may be gone when this returns.
inline void finish(DiskRequest& request) {
    auto* const done = request.done;
    void* const context = request.context;
    request.finished.store(true, std::memory_order_release);
    if (done) done(request, context);
}

// Calls visit(memory, length) for each part of the request's memory, in order.
template <class Visit>
void for_each_piece(const DiskRequest& request, Visit visit) {
    if (request.pieces.empty()) {
        visit(request.memory, request.length);
        return;
    }
    for (const DiskPiece& piece : request.pieces) visit(piece.memory, piece.length);
}

}  // namespace ssi::io
