// SPDX-License-Identifier: BSD-3-Clause
// Reading objects: the value and the changes on it, each record verified.
#include <fmt/format.h>

#include "object_delta.hpp"
#include "object_state.hpp"

namespace ssi::io {

Result<ObjectValue> ObjectLog::Impl::get_from(const LogPlace& place,
                                              const std::vector<LogPlace>& deltas) const {
    auto first = log->read(place);
    if (!first) return tl::unexpected<Failure>(std::move(first).error());
    ObjectValue value{std::move(first->payload), first->record.version,
                      first->record.kind == RecordKind::ref, first->record.value_bytes};
    if (first->record.kind == RecordKind::zero || first->record.kind == RecordKind::raw)
        value.bytes.resize(value.value_bytes);   // what is not in the record is zero
    for (const LogPlace& at : deltas) {
        const auto delta = log->read(at);
        if (!delta) return tl::unexpected<Failure>(delta.error());
        SSI_TRY(apply_delta(value.bytes, value.version, delta->record.value_bytes,
                            delta->payload));
        value.version = delta->record.version;
        value.value_bytes = delta->record.value_bytes;
    }
    return value;
}

Result<ObjectValue> ObjectLog::Impl::get(SetId set, const ObjectKey& key) {
    const auto named = [&](const Failure& cause) {
        Failure failure = cause;
        failure.text = fmt::format("set {} {} {}:{}: {}", set.value,
                                   key.intent ? "intent" : "object", key.id.hi, key.id.lo,
                                   cause.text);
        return tl::unexpected(std::move(failure));
    };
    while (true) {
        Lock lock(mutex);
        const ObjectEntry* entry = index.find_there(set, key);
        if (!entry) return named({Errc::not_found, 0, no_node, "it is not in the log"});
        if (entry->kind == RecordKind::delta)
            return named({Errc::io, 0, no_node, "changes of a value that the log has not"});
        const Version version = entry->version;
        const LogPlace place = entry->place();
        const std::vector<LogPlace> deltas = entry->deltas ? *entry->deltas
                                                           : std::vector<LogPlace>{};
        lock.unlock();
        auto value = get_from(place, deltas);
        if (value && value->version == version) return value;
        // Compaction, or a newer value, may have come in between.
        lock.lock();
        entry = index.find_there(set, key);
        if (!entry || entry->version != version || entry->place() != place) continue;
        if (!value) {
            Failure lost = value.error();   // not_found is for what the index does not name
            if (lost.code == Errc::not_found) lost.code = Errc::io;
            return named(std::move(lost));
        }
        return named({Errc::io, 0, no_node,
                      fmt::format("version {} where version {} was expected", value->version,
                                  version)});
    }
}

Result<ObjectValue> ObjectLog::get(SetId set, ObjectId id) {
    return impl_->get(set, {id, false});
}

bool ObjectLog::contains(SetId set, ObjectId id) const {
    Impl::Lock lock(impl_->mutex);
    return impl_->index.find_there(set, {id, false}) != nullptr;
}

std::vector<ObjectFacts> ObjectLog::objects(SetId set) const {
    Impl::Lock lock(impl_->mutex);
    return impl_->index.objects(set);
}

std::vector<SetId> ObjectLog::sets() const {
    Impl::Lock lock(impl_->mutex);
    return impl_->index.sets();
}

Result<std::vector<Intent>> ObjectLog::intents() {
    Impl::Lock lock(impl_->mutex);
    const auto names = impl_->index.intents();
    lock.unlock();
    std::vector<Intent> out;
    for (const auto& [set, id] : names) {
        auto value = impl_->get(set, {id, true});
        if (!value && value.error().code == Errc::not_found) continue;   // done by now
        if (!value) return tl::unexpected<Failure>(std::move(value).error());
        out.push_back({set, id, value->version, std::move(value->bytes)});
    }
    return out;
}

}  // namespace ssi::io
