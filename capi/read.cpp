// SPDX-License-Identifier: BSD-3-Clause
#include <span>

#include "handles.hpp"

using namespace ssi;
using namespace ssi::capi;

int ssi_read(ssi_set* set, ssi_object_id id, size_t offset, void* bytes, size_t length,
             uint64_t* version) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        if (length != 0) SSI_TRY(need(bytes, "bytes"));
        const std::span out(static_cast<std::byte*>(bytes), length);
        return with(set->raw.read_into(object(id), offset, out), [&](std::uint64_t found) {
            if (version) *version = found;
        });
    });
}

int ssi_read_many(ssi_set* set, const ssi_object_id* ids, size_t count, size_t offset,
                  void* bytes, size_t length, uint64_t* versions) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        if (count == 0) return {};
        SSI_TRY(need(ids, "ids"));
        if (length != 0) SSI_TRY(need(bytes, "bytes"));
        const auto names = objects(ids, count);
        return set->raw.read_many(names, offset, length,
                                  std::span(static_cast<std::byte*>(bytes), count * length),
                                  std::span(versions, versions ? count : 0));
    });
}
