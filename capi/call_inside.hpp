// SPDX-License-Identifier: BSD-3-Clause
// What lies behind an ssi_call while a function of the program runs: a shipped one, or one of a
// linker.
#pragma once

#include <string>
#include <utility>

#include "handles.hpp"

namespace ssi::capi {

// What ssi_call::opaque[0] points to.
struct Running {
    kddm::ObjectView* view;          // null: there is no object that the function may change
    std::vector<std::byte>* reply;   // null: nobody waits for one
    std::string text = {};
};

inline void show(ssi_call& c, kddm::ObjectView& view) {
    const std::span<std::byte> bytes = view.bytes();
    c.data = bytes.data();
    c.size = bytes.size();
}

// Calls the function with all that `state` and the rest say, and returns its number.
inline int run_function(ssi_function function, void* context, ObjectId id, Running& state,
                        std::span<const std::byte> arguments) {
    ssi_call c{c_id(id), nullptr, 0, arguments.data(), arguments.size(), {&state, nullptr}};
    if (state.view) show(c, *state.view);
    return function(&c, context);
}

// The failure of a function that returned this number. The engine puts the names of what was
// called and of the node in front of the text.
inline tl::unexpected<Failure> failed(Errc code, int number, Running& state) {
    if (state.text.empty()) state.text = "it returned " + std::to_string(number);
    return fail(code, std::move(state.text));
}

}  // namespace ssi::capi
