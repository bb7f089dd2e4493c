// SPDX-License-Identifier: BSD-3-Clause
#include <span>

#include "handles.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace {

Result<void> check_room(const ssi_snapshot& snapshot) {
    return snapshot.capacity == 0 ? Result<void>{} : need(snapshot.bytes, "snapshot.bytes");
}

Result<void> give(const kddm::RawSnapshot& found, ssi_snapshot& snapshot) {
    snapshot.length = found.bytes.size();
    snapshot.version = found.version;
    return copy_out(found.bytes, snapshot.bytes, snapshot.capacity, "the object");
}

}  // namespace

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

int ssi_read_whole(ssi_set* set, ssi_object_id id, ssi_snapshot* snapshot) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        SSI_TRY(need(snapshot, "snapshot"));
        SSI_TRY(check_room(*snapshot));
        const auto found = set->raw.read(object(id));
        if (!found) return tl::unexpected<Failure>(found.error());
        return give(*found, *snapshot);
    });
}

int ssi_read_whole_many(ssi_set* set, const ssi_object_id* ids, size_t count,
                        ssi_snapshot* snapshots) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        if (count == 0) return {};
        SSI_TRY(need(ids, "ids"));
        SSI_TRY(need(snapshots, "snapshots"));
        const std::span places(snapshots, count);
        for (const ssi_snapshot& snapshot : places) SSI_TRY(check_room(snapshot));
        const auto found = set->raw.read_many(objects(ids, count));
        if (!found) return tl::unexpected<Failure>(found.error());
        Result<void> first;
        for (std::size_t i = 0; i < count; ++i)
            if (auto given = give((*found)[i], places[i]); first) first = std::move(given);
        return first;
    });
}
