// SPDX-License-Identifier: BSD-3-Clause
// What a person can do about a store that cannot be written to: no space, read only, gone.
#pragma once

#include "ssi/ckpt/store.hpp"

namespace ssi::ckpt {

// A failure of that store of this node, with its way out; others as they are. `needed`: bytes of
// this node's part as far as it is known.
Failure explained(Failure failure, const Store& store, std::uint64_t needed);
template <class T>
Result<T> explained(Result<T> result, const Store& store, std::uint64_t needed) {
    if (result) return result;
    return tl::unexpected(explained(std::move(result).error(), store, needed));
}

}  // namespace ssi::ckpt
