// SPDX-License-Identifier: BSD-3-Clause
// After a crash: what transactions over several logs promised is done; then the tree is checked and
// mended. Collective, before anybody uses it.
#include <fmt/format.h>

#include <cerrno>
#include <map>

#include "fs_check.hpp"
#include "fs_transaction.hpp"

namespace ssi::fs {
// Whether a log has an intent, or a mark, of that id.
Result<bool> Core::has_intent(std::uint32_t volume, SetId set, ObjectId id) {
    auto intents = volumes_->log(volume, io::KeptIn::metadata)->intents();
    if (!intents) return tl::unexpected<Failure>(std::move(intents).error());
    for (const io::Intent& i : *intents)
        if (i.set == set && i.id == id) return true;
    return false;
}

// {volume, set, id}: one byte, whether it is there.
Result<Core::Bytes> Core::serve_has_intent(std::span<const std::byte> arguments) {
    Reader reader(arguments);
    const auto volume = reader.get<std::uint32_t>();
    const SetId set(reader.get<std::uint32_t>());
    const auto id = reader.get<ObjectId>();
    if (!reader.ok() || !volumes_->log(volume, io::KeptIn::metadata))
        return fail(Errc::bad_message, "a malformed request about intents");
    auto has = has_intent(volume, set, id);
    if (!has) return tl::unexpected<Failure>(std::move(has).error());
    return Writer().put(*has).take();
}

Result<bool> Core::asks_intent(std::uint32_t volume, std::string_view set, ObjectId id) {
    auto answer = calls_->call(
        volumes_->node_of(volume), static_cast<std::uint8_t>(Verb::has_intent),
        Writer().put(volume).put(volumes_->number_of(set).value).put(id).bytes());
    if (!answer) return tl::unexpected<Failure>(std::move(answer).error());
    return Reader(*answer).get<bool>();
}

// The parts that other logs did not get.
Result<void> Core::redo(const io::Intent& intent) {
    Reader reader(intent.bytes);
    while (!reader.at_end()) {
        const auto volume = reader.get<std::uint32_t>();
        const auto part = reader.block();
        if (!reader.ok() || volume >= volumes_->volumes().size())
            return fail(Errc::parse, "an intent that is malformed");
        auto has = asks_intent(volume, mark_set, intent.id);
        if (!has) return tl::unexpected<Failure>(std::move(has).error());
        if (*has) continue;
        Writer call;
        call.put(volume).put(intent.id).put(false).block({}).block(part);
        SSI_TRY(call_volume(volume, Verb::log, call.bytes()));
    }
    return {};
}

// Several intents may have a value of one object: the newest counts.
Result<void> Core::apply_redo() {
    for (const std::uint32_t volume : own_volumes_) {
        std::map<std::pair<SetId, ObjectId>, PartView> newest;
        io::LogTransaction change;
        for (const RedoPart& redo : redo_parts_) {
            if (redo.volume != volume) continue;
            auto part = read_part(redo.part);
            if (!part) return tl::unexpected<Failure>(std::move(part).error());
            for (const PartView& view : *part) {
                PartView& known = newest.try_emplace({view.number, view.id}, view).first->second;
                if (view.version > known.version) known = view;
            }
            change.intent(volumes_->number_of(mark_set), redo.intent, {});
        }
        if (newest.empty()) continue;
        std::vector<PartView> parts;
        for (const auto& [name, view] : newest) parts.push_back(view);
        add_part(change, parts);
        change.use_reserve();   // a full log, too, has to get what it was promised
        io::ObjectLog* log = volumes_->log(volume, io::KeptIn::metadata);
        if (auto done = log->apply(change); !done) {
            Failure failure = std::move(done).error();
            if (failure.sys_errno == ENOSPC)
                failure.text = fmt::format("what a rename or a split has begun cannot be finished, "
                                           "as {} is full; mount it with a larger limit, or give "
                                           "its disk room: {}",
                                           volumes_->volumes()[volume].label, failure.text);
            return tl::unexpected<Failure>(std::move(failure));
        }
    }
    redo_parts_.clear();
    return {};
}

Result<void> Core::recover() {
    std::vector<io::Intent> intents;
    const auto collect = [&]() -> Result<void> {
        for (const std::uint32_t volume : own_volumes_) {
            auto kept = volumes_->log(volume, io::KeptIn::metadata)->intents();
            if (!kept) return tl::unexpected<Failure>(std::move(kept).error());
            for (io::Intent& i : *kept)
                if (i.set == volumes_->number_of(intent_set)) intents.push_back(std::move(i));
        }
        return {};
    };
    SSI_TRY(agree(collect()));
    const auto redo_all = [&]() -> Result<void> {
        for (const io::Intent& intent : intents) SSI_TRY(redo(intent));
        return {};
    };
    redoing_ = true;
    SSI_TRY(agree({}));
    SSI_TRY(agree(redo_all()));
    redoing_ = false;
    SSI_TRY(agree(apply_redo()));
    const auto forget = [&](std::string_view set) -> Result<void> {
        SSI_TRY(volumes_->sync());
        for (const std::uint32_t volume : own_volumes_) {
            io::ObjectLog* log = volumes_->log(volume, io::KeptIn::metadata);
            auto kept = log->intents();
            if (!kept) return tl::unexpected<Failure>(std::move(kept).error());
            io::LogTransaction change;
            for (const io::Intent& i : *kept)
                if (i.set == volumes_->number_of(set)) change.done(i.set, i.id);
            if (change.empty()) continue;
            if (auto done = log->apply(change); !done)
                return tl::unexpected<Failure>(std::move(done).error());
        }
        return volumes_->sync();
    };
    SSI_TRY(agree(volumes_->sync()));
    SSI_TRY(agree(forget(intent_set)));
    SSI_TRY(agree(forget(mark_set)));
    auto report = run_check(true, true);
    if (!report) return tl::unexpected<Failure>(std::move(report).error());
    if (node_.rank() == 0)
        SSI_LOG(node_.doors().log, info, "kdfs",
                "recovered: {} directories, {} files; {} leftovers of what was not durable mended",
                report->directories, report->files, report->repaired);
    return {};
}

Result<CheckReport> Core::run_check(bool repair, bool recovering) {
    Check check(*this, repair, recovering);
    {
        std::lock_guard lock(check_mutex_);
        check_ = &check;
    }
    calls_->drain();   // files that are closed are
    SSI_TRY(node_.barrier());
    auto report = check.run();
    Result<void> left = node_.barrier();
    {
        std::lock_guard lock(check_mutex_);
        check_ = nullptr;
    }
    if (!left && report) return tl::unexpected<Failure>(std::move(left).error());
    return report;
}

Result<Core::Bytes> Core::serve_check(std::span<const std::byte> arguments) {
    std::lock_guard lock(check_mutex_);
    if (!check_) return fail(Errc::bad_message, "a question of a check that is over");
    return check_->answer(arguments);
}

}  // namespace ssi::fs
