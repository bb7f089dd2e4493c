// SPDX-License-Identifier: BSD-3-Clause
// Result<T>: a value or a Failure. Inside libssi no exception crosses a layer.
#pragma once

#include <tl/expected.hpp>

#include <string>
#include <utility>

#include "ssi/base/error.hpp"

namespace ssi {

template <class T>
using Result = tl::expected<T, Failure>;

[[nodiscard]] inline tl::unexpected<Failure> fail(Errc code, std::string text,
                                                  NodeId node = no_node) {
    return tl::unexpected<Failure>(Failure{code, 0, node, std::move(text)});
}

// For a failed system call: takes the errno it left.
[[nodiscard]] inline tl::unexpected<Failure> fail_errno(Errc code, int sys_errno,
                                                        std::string text) {
    return tl::unexpected<Failure>(Failure{code, sys_errno, no_node, std::move(text)});
}

// The border between Result inside and exceptions outside.
template <class T>
T value_or_throw(Result<T>&& result) {
    if (!result) throw Error(std::move(result).error());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace ssi

// SSI_TRY(expr): leave the function with the failure of a Result<void>.
#define SSI_TRY(expr)                                                        \
    do {                                                                     \
        if (auto ssi_try_ = (expr); !ssi_try_)                               \
            return tl::unexpected<::ssi::Failure>(std::move(ssi_try_).error()); \
    } while (0)
