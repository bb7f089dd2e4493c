// SPDX-License-Identifier: BSD-3-Clause
#include "slow_linker.hpp"

#include <algorithm>

namespace ssi::model {
namespace {

constexpr std::uint64_t one_call_fails_in = 60;
constexpr std::uint64_t longest_call_ns = 8000;

}  // namespace

Result<void> SlowLinker::take_time() {
    tasks_.sleep_for(static_cast<Nanoseconds>(random_.below(longest_call_ns)));
    if (fails_ && random_.chance(1, one_call_fails_in)) return fail(Errc::io, "told to fail");
    return {};
}

Result<std::size_t> SlowLinker::fetch(kddm::ObjectView& object) {
    if (auto taken = take_time(); !taken) return tl::unexpected<Failure>(taken.error());
    const auto* bytes = find(object.id());
    if (!bytes) return none;
    if (auto sized = object.resize(bytes->size()); !sized)
        return tl::unexpected<Failure>(sized.error());
    std::ranges::copy(*bytes, object.bytes().begin());
    return bytes->size();
}

Result<void> SlowLinker::write_back(ObjectId id, std::span<const std::byte> bytes) {
    const std::vector<std::byte> before(bytes.begin(), bytes.end());
    SSI_TRY(take_time());
    if (!std::ranges::equal(before, bytes))
        return fail(Errc::internal, "the bytes changed while they were written back");
    objects_[id] = before;
    return {};
}

Result<void> SlowLinker::remove(ObjectId id) {
    SSI_TRY(take_time());
    objects_.erase(id);
    return {};
}

const std::vector<std::byte>* SlowLinker::find(ObjectId id) const {
    const auto at = objects_.find(id);
    return at == objects_.end() ? nullptr : &at->second;
}

}  // namespace ssi::model
