// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/object_log.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <set>
#include <tuple>

#include "object_delta.hpp"
#include "object_state.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::io {
namespace {

LogRecord record_of(RecordKind kind, SetId set, ObjectId id,
                    std::span<const std::byte> payload = {}, std::size_t value_bytes = 0) {
    return {.kind = kind, .flags = 0, .set = set, .id = id, .version = 0,
            .value_bytes = static_cast<std::uint32_t>(value_bytes), .payload = payload};
}

bool only_removes(RecordKind kind) {
    return kind == RecordKind::remove || kind == RecordKind::done;
}

std::string name_of(const LogRecord& record) {
    return fmt::format("set {} object {}:{}", record.set.value, record.id.hi, record.id.lo);
}

bool is_intent(const LogRecord& record) {
    return record.kind == RecordKind::intent || record.kind == RecordKind::done;
}
using Name = std::tuple<bool, SetId, bool, ObjectId>;
Name key_of(const LogRecord& record) {
    const bool whole = (record.flags & record_whole_set) != 0;
    if (whole) return {true, record.set, false, {}};
    return {false, record.set, is_intent(record), record.id};
}

// One operation an object: which of two came first would need versions that are not known yet.
template <class Operations>
Result<void> check_names(const Operations& operations) {
    constexpr std::size_t few = 8;   // fewer are compared one by one, without memory for a set
    std::set<Name> seen;
    for (std::size_t i = 0; i < operations.size(); ++i) {
        const LogRecord& record = operations[i].record;
        bool fresh = true;
        if (operations.size() > few)
            fresh = seen.insert(key_of(record)).second;
        else
            for (std::size_t k = 0; k < i && fresh; ++k)
                fresh = operations[k].record.id != record.id ||
                        key_of(operations[k].record) != key_of(record);
        if (!fresh)
            return fail(Errc::invalid_argument,
                        fmt::format("{} twice in one transaction: merge the operations",
                                    name_of(record)));
    }
    return {};
}

}  // namespace

void LogTransaction::put(SetId set, ObjectId id, std::span<const std::byte> value) {
    operations_.push_back(
        {record_of(RecordKind::raw, set, id, without_zero_tail(value), value.size()), {}});
}
void LogTransaction::put_zero(SetId set, ObjectId id, std::uint32_t bytes) {
    operations_.push_back({record_of(RecordKind::zero, set, id, {}, bytes), {}});
}
void LogTransaction::put_ref(SetId set, ObjectId id, std::span<const std::byte> reference,
                             std::uint32_t value_bytes) {
    operations_.push_back({record_of(RecordKind::ref, set, id, reference, value_bytes), {}});
}
void LogTransaction::change(SetId set, ObjectId id, std::uint32_t value_bytes,
                            ValueChanges changes, std::span<const std::byte> whole) {
    operations_.push_back({record_of(RecordKind::delta, set, id, {}, value_bytes),
                           std::move(changes), whole});
}
void LogTransaction::remove(SetId set, ObjectId id) {
    operations_.push_back({record_of(RecordKind::remove, set, id), {}});
}
void LogTransaction::remove_set(SetId set) {
    operations_.push_back({record_of(RecordKind::remove, set, {}), {}});
    operations_.back().record.flags = record_whole_set;
}
void LogTransaction::intent(SetId set, ObjectId id, std::span<const std::byte> what) {
    operations_.push_back({record_of(RecordKind::intent, set, id, what, what.size()), {}});
}
void LogTransaction::done(SetId set, ObjectId id) {
    operations_.push_back({record_of(RecordKind::done, set, id), {}});
}

ObjectLog::ObjectLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ObjectLog::~ObjectLog() {
    if (const auto closed = close(); !closed) return;   // whoever wants to know calls close()
}

Result<std::unique_ptr<ObjectLog>> ObjectLog::open(ObjectLogOptions options) {
    auto impl = std::make_unique<Impl>(std::move(options));
    Impl& state = *impl;
    SegmentLogOptions log = state.options.log;
    log.tasks = state.options.tasks;
    log.released = [&state](std::uint64_t generation) { state.released(generation); };
    auto opened = SegmentLog::open(std::move(log), [&](const FoundRecord& record) {
        state.index.apply(record);
    });
    if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
    state.log = std::move(*opened);
    auto out = std::unique_ptr<ObjectLog>(new ObjectLog(std::move(impl)));
    if (state.options.tasks)
        state.task = state.options.tasks->spawn("log compaction", [&state] { state.run(); });
    return out;
}

// With the lock. What a change becomes: a delta, or the whole value when there are many deltas.
Result<void> ObjectLog::Impl::plan_change(Plan& plan, Operations operations, std::size_t number,
                                          const std::map<std::size_t, Folded>& folded) {
    const LogTransaction::Operation& operation = operations[number];
    LogRecord record = operation.record;
    ObjectEntry* const entry = index.find(record.set, {record.id, false});
    if (!entry || !entry->is_there())
        return fail(Errc::not_found, fmt::format("{} is not there to be changed", name_of(record)));
    if (entry->kind == RecordKind::ref)
        return fail(Errc::invalid_argument,
                    fmt::format("{} is a reference: put a new one", name_of(record)));
    for (const ValueChange& change : operation.changes)
        if (change.offset > record.value_bytes ||
            change.bytes.size() > record.value_bytes - change.offset)
            return fail(Errc::invalid_argument,
                        fmt::format("{}: a change of {} bytes at {} of a value of {}",
                                    name_of(record), change.bytes.size(), change.offset,
                                    record.value_bytes));
    if (!operation.whole.empty() && operation.whole.size() != record.value_bytes)
        return fail(Errc::invalid_argument,
                    fmt::format("{}: {} bytes of a value of {}", name_of(record),
                                operation.whole.size(), record.value_bytes));
    if (const auto found = folded.find(number);
        found != folded.end() && found->second.version == entry->version) {
        record.kind = RecordKind::raw;
        record.payload = without_zero_tail(found->second.bytes);
        plan.add(record, entry);
        ++plan.folded;
        return {};
    }
    std::uint64_t chain = delta_bytes(operation.changes);
    if (entry->deltas)
        for (const LogPlace& place : *entry->deltas) chain += place.payload_bytes;
    const std::size_t deltas = entry->deltas ? entry->deltas->size() : 0;
    if (deltas >= options.delta_chain || chain > record.value_bytes) {
        if (operation.whole.empty()) {
            plan.to_fold.push_back(number);
            return {};
        }
        record.kind = RecordKind::raw;
        record.payload = without_zero_tail(operation.whole);
        plan.add(record, entry);
        ++plan.folded;
        return {};
    }
    const std::size_t begin = plan.deltas.size(), bytes = delta_bytes(operation.changes);
    SSI_ASSERT(begin + bytes <= plan.deltas.capacity(), "plan() made room for all deltas");
    plan.deltas.resize(begin + bytes);
    const auto delta = std::span(plan.deltas).subspan(begin);
    encode_delta(entry->version, operation.changes, delta);
    record.payload = delta;
    plan.add(record, entry);
    return {};
}

Result<void> ObjectLog::Impl::plan(Plan& out, Operations operations,
                                   const std::map<std::size_t, Folded>& folded) {
    std::size_t bytes = 0;
    for (const LogTransaction::Operation& operation : operations)
        if (operation.record.kind == RecordKind::delta) bytes += delta_bytes(operation.changes);
    out.deltas.reserve(bytes);   // records point into it
    out.records.reserve(operations.size());
    for (std::size_t i = 0; i < operations.size(); ++i) {
        const LogRecord& record = operations[i].record;
        if (!only_removes(record.kind)) out.urgency = Urgency::ordinary;
        if (record.kind == RecordKind::delta) {
            SSI_TRY(plan_change(out, operations, i, folded));
        } else if (!only_removes(record.kind)) {
            out.add(record, nullptr);
        } else if (record.flags & record_whole_set) {
            if (index.has_objects(record.set)) out.add(record, nullptr);
        } else {
            ObjectEntry* const entry = index.find(record.set, {record.id, is_intent(record)});
            if (entry && entry->is_there()) out.add(record, entry);
        }
    }
    return {};
}

Result<void> ObjectLog::Impl::fold(const LogTransaction::Operation& operation, Folded& out) {
    const LogRecord& record = operation.record;
    auto value = get(record.set, {record.id, false});
    if (!value) return tl::unexpected<Failure>(std::move(value).error());
    out.version = value->version;
    out.bytes = std::move(value->bytes);
    return apply_changes(out.bytes, record.value_bytes, operation.changes);
}

// With the lock: what was appended is what everybody sees.
void ObjectLog::Impl::note(std::span<const LogRecord> records, const Appended& appended,
                           std::span<ObjectEntry* const> entries) {
    for (std::size_t i = 0; i < records.size(); ++i) {
        const LogRecord& record = records[i];
        index.apply({record.kind, record.flags, record.set, record.id,
                     record.version ? record.version : version_of(appended.batch, i),
                     record.value_bytes, appended.batch, appended.places[i]},
                    entries.empty() ? nullptr : entries[i]);
    }
    if (appended.places.back().segment == newest_segment) return;
    newest_segment = appended.places.back().segment;
    if (options.tasks && !compacting && !wanted && due()) {
        wanted = true;
        changed.notify_all();
    }
}

Result<Sequence> ObjectLog::apply(const LogTransaction& transaction) {
    Impl& state = *impl_;
    const Impl::Operations operations = transaction.operations_;
    if (operations.empty()) return fail(Errc::invalid_argument, "a transaction of no operations");
    SSI_TRY(check_names(operations));
    std::map<std::size_t, Impl::Folded> folded;
    bool made_space = false;
    while (true) {
        Impl::Lock lock(state.mutex);
        Impl::Plan plan;
        if (auto planned = state.plan(plan, operations, folded); !planned)
            return tl::unexpected<Failure>(std::move(planned).error());
        if (transaction.urgency_ == Urgency::reserve) plan.urgency = Urgency::reserve;
        if (!plan.to_fold.empty()) {
            lock.unlock();
            for (const std::size_t number : plan.to_fold)
                SSI_TRY(state.fold(operations[number], folded[number]));
            continue;
        }
        if (plan.records.empty()) return state.log->last();   // removes of what is not there
        const auto appended = state.log->try_append(plan.records, plan.urgency);
        if (appended) {
            state.note(plan.records, *appended, plan.entries);
            state.statistics.folded_deltas += plan.folded;
            return appended->batch;
        }
        if (appended.error().code != Errc::would_block)
            return tl::unexpected<Failure>(appended.error());
        lock.unlock();
        const auto room = state.log->prepare(batch_bytes(plan.records), plan.records.size(),
                                             plan.urgency);
        if (room) continue;
        if (room.error().sys_errno != ENOSPC || made_space)
            return tl::unexpected<Failure>(room.error());
        made_space = true;
        const auto space = state.make_space();
        if (!space) return tl::unexpected<Failure>(space.error());
        if (!*space) return tl::unexpected<Failure>(room.error());
    }
}

Result<void> ObjectLog::commit(Sequence sequence) { return impl_->log->commit(sequence); }
Result<void> ObjectLog::commit_all() { return impl_->log->commit_all(); }
void ObjectLog::start_commit() { impl_->log->start_commit(impl_->log->last()); }
Sequence ObjectLog::last() const { return impl_->log->last(); }
Sequence ObjectLog::durable() const { return impl_->log->durable(); }
const LogRecovery& ObjectLog::recovery() const { return impl_->log->recovery(); }

Result<void> ObjectLog::close() {
    Impl& state = *impl_;
    {
        Impl::Lock lock(state.mutex);
        state.stopping = true;
        state.changed.notify_all();
    }
    if (state.task) {
        state.task->join();
        state.task.reset();
    }
    return state.log->close();
}

ObjectLogStatistics ObjectLog::statistics() const {
    const auto segments = impl_->log->segments();
    const auto log = impl_->log->statistics();
    Impl::Lock lock(impl_->mutex);
    ObjectLogStatistics out = impl_->statistics;
    out.log = log;
    out.objects = impl_->index.object_count();
    out.intents = impl_->index.intent_count();
    out.live_bytes = impl_->index.total_live_bytes();
    for (const SegmentInfo& segment : segments) out.content_bytes += segment.content_bytes;
    return out;
}

Result<void> ObjectLog::health() const {
    Impl::Lock lock(impl_->mutex);
    return impl_->background;
}

}  // namespace ssi::io
