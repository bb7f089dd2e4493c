// SPDX-License-Identifier: BSD-3-Clause
// The handle; what is protected. Taking is in take.cpp, putting back in restart.cpp.
#include "ssi/ckpt/checkpoint.hpp"

#include <errno.h>
#include <fmt/format.h>

#include <cstring>
#include <exception>

#include "checkpoint_state.hpp"
#include "cleaning.hpp"
#include "ssi/base/config.hpp"
#include "ssi/base/random.hpp"
#include "ssi/io/file_system.hpp"

namespace ssi {

using ckpt::agree;
using Impl = Checkpoint::Impl;

namespace {

CheckpointOptions with_defaults(CheckpointOptions options, const Config& config) {
    if (options.directory.empty()) options.directory = config.text("checkpoint.directory");
    if (options.global_directory.empty())
        options.global_directory = config.text("checkpoint.global_directory");
    if (options.application.empty()) options.application = ::program_invocation_short_name;
    if (options.keep == 0)
        options.keep = static_cast<std::uint32_t>(config.integer("checkpoint.keep"));
    return options;
}

ckpt::Doing doing(CheckpointEvent event) {
    switch (event) {
        case CheckpointEvent::before: return ckpt::Doing::before;
        case CheckpointEvent::after: return ckpt::Doing::after;
        case CheckpointEvent::restarted: return ckpt::Doing::restarted;
    }
    return ckpt::Doing::elsewhere;
}

}  // namespace

Impl::Impl(node::Node& n, kddm::Engine& e, kddm::sync::Hub& h, CheckpointOptions o)
    : node(n),
      engine(e),
      hub(h),
      config(n.doors().config),
      options(with_defaults(std::move(o), config)),
      cut(engine, &hub) {}

Result<void> Impl::open() {
    Result<void> alone;
    if (ckpt::Control::is_there(node))
        alone = fail(Errc::exists, "the session has a Checkpoint already: one at a time");
    SSI_TRY(agree(node, std::move(alone)));
    auto opened = ckpt::Places::open(node, options.directory);
    if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
    places = std::move(*opened);
    auto made = ckpt::Votes::make(node, engine, hub);
    SSI_TRY(agree(node, made ? Result<void>() : tl::unexpected<Failure>(made.error())));
    votes = std::move(*made);
    auto meet = ckpt::Meetings::make(node, engine);
    SSI_TRY(agree(node, meet ? Result<void>() : tl::unexpected<Failure>(meet.error())));
    meetings = std::move(*meet);
    SSI_TRY(meetings->begin());
    copies = std::make_unique<ckpt::Copies>(node, engine, hub);
    ckpt::Bytes name;
    if (node.rank() == 0) {
        const std::string text = fmt::format("{:016x}", Random::seed_from_system());
        const auto bytes = std::as_bytes(std::span(text));
        name.assign(bytes.begin(), bytes.end());
    }
    SSI_TRY(ckpt::share(node, name));
    session_name.assign(reinterpret_cast<const char*>(name.data()), name.size());
    SSI_TRY(ckpt::clean(node, *places));
    SSI_TRY(open_global());
    SSI_TRY(open_policy());
    control = std::make_unique<ckpt::Control>(node, *requests, policy.get(), drain.get(),
                                              places->own().name(), options.application);
    return {};
}

Result<void> Impl::open_global() {
    SSI_TRY(places->open_global(node, options.global_directory));
    if (!places->global()) return {};
    SSI_TRY(ckpt::clean_global(node, *places));
    Result<ckpt::VersionNumber> next;
    if (node.rank() == 0) next = places->global()->next_version();
    SSI_TRY(agree(node, next ? Result<void>() : tl::unexpected<Failure>(next.error())));
    next_globally = *next;
    auto made = ckpt::Drain::make(
        node, engine, hub, *places,
        static_cast<std::uint64_t>(config.integer("checkpoint.drain_rate_bytes")));
    if (made) drain = std::move(*made);
    return agree(node, made ? Result<void>() : tl::unexpected<Failure>(made.error()));
}

// By what all nodes know of each other.
Result<void> Impl::can_have(CheckpointLevel level) const {
    if (level == CheckpointLevel::local) return {};
    if (level == CheckpointLevel::global && !places->global())
        return fail(Errc::unsupported, "level global: there is no global store: set "
                                       "checkpoint.global_directory to one that all hosts see");
    if (level == CheckpointLevel::global) return {};
    const bool same_host = config.boolean("checkpoint.allow_same_host");
    Result<void> has;
    if (level == CheckpointLevel::parity) {
        const auto size = static_cast<std::size_t>(config.integer("checkpoint.group"));
        if (auto groups = ckpt::failure_groups(seats(), size, same_host); !groups)
            has = tl::unexpected<Failure>(std::move(groups).error());
    } else if (auto chosen = ckpt::partners(seats(), same_host); !chosen) {
        has = tl::unexpected<Failure>(std::move(chosen).error());
    }
    return has;
}

Result<void> Impl::open_policy() {
    Result<void> made;
    if (node.rank() == 0) {
        auto opened = ckpt::PolicyInForce::make(
            {clock(), config, node.doors().log}, options.policy,
            [this](CheckpointLevel level) { return can_have(level); });
        if (opened)
            policy = std::move(*opened);
        else
            made = tl::unexpected<Failure>(std::move(opened).error());
    }
    SSI_TRY(agree(node, std::move(made)));
    requests = std::make_unique<ckpt::Requests>(node, policy.get(), options.signals);
    return requests->begin();
}

Result<void> Impl::run(CheckpointEvent event) {
    meetings->now(doing(event));
    Result<void> done;
    for (const Callback& callback : callbacks)
        if (done && callback.event == event) done = ckpt::guarded(callback.function);
    if (done && event == CheckpointEvent::before)
        done = ckpt::guarded([this]() -> Result<void> {
            find_open_files();
            return ckpt::probe(protection.all());
        });
    meetings->now(ckpt::Doing::elsewhere);
    return done;
}

Result<void> Impl::run_together(CheckpointEvent event) {
    auto mine = run(event);
    SSI_TRY(meetings->meet_again(meet_for()));
    return agree(node, std::move(mine));
}

// Before anything is stopped, as that is the program's code, too.
void Impl::find_open_files() {
    open_files.clear();
    for (const ckpt::Protected& one : protection.all())
        if (one.system) open_files.push_back(one.file.now());
}

void Impl::protect(ckpt::Protected one) {
    value_or_throw(protection.add(std::move(one)));
}

void Impl::finish_last() {
    meetings->now(ckpt::Doing::saving);
    if (task) task->join();
    task.reset();
    saving.reset();
}

Checkpoint::Checkpoint(Session& session, CheckpointOptions options)
    : Checkpoint(session.internal_node(), session.internal_engine(), session.internal_hub(),
                 std::move(options)) {}

Checkpoint::Checkpoint(node::Node& node, kddm::Engine& engine, kddm::sync::Hub& hub,
                       CheckpointOptions options)
    : impl_(std::make_unique<Impl>(node, engine, hub, std::move(options))) {
    value_or_throw(impl_->open());
}

Checkpoint::~Checkpoint() {
    impl_->finish_last();
    if (impl_->drain) impl_->drain->finish();   // `status` tells how far it is meanwhile
    impl_->control.reset();
    impl_->drain.reset();
    impl_->meetings->now(ckpt::Doing::elsewhere);
}

void Checkpoint::protect(const kddm::RawSet& set) { protect_set(set, nullptr); }

void Checkpoint::protect_set(const kddm::RawSet& set, const std::type_info* type) {
    if (set.options().linker != "memory")
        throw Error(Failure{Errc::unsupported, 0, no_node,
                            fmt::format("set '{}' is kept by linker '{}', which has its objects: "
                                        "checkpoints save sets in memory", set.name(),
                                        set.options().linker)});
    impl_->protect({.item = {.kind = ckpt::ItemKind::set,
                             .id = {},
                             .name = set.name(),
                             .options = ckpt::set_options(set.options(), ckpt::type_name(type))},
                    .set = set,
                    .memory = {}});
}

void Checkpoint::protect_span(std::string_view name, std::span<std::byte> memory) {
    impl_->protect({.item = {.kind = ckpt::ItemKind::span,
                             .id = {},
                             .name = std::string(name),
                             .options = {}},
                    .set = {},
                    .memory = memory});
}

void Checkpoint::protect_array_bytes(std::string_view name, std::span<std::byte> piece,
                                     std::uint64_t offset, std::uint64_t length,
                                     std::uint32_t element_bytes) {
    protect_elements(name, piece, offset, length, element_bytes, nullptr);
}

void Checkpoint::protect_elements(std::string_view name, std::span<std::byte> piece,
                                  std::uint64_t offset, std::uint64_t length,
                                  std::uint32_t element_bytes, const std::type_info* type) {
    if (element_bytes == 0 || piece.size() % element_bytes != 0 ||
        length > UINT64_MAX / element_bytes)
        throw Error(Failure{Errc::invalid_argument, 0, no_node,
                            fmt::format("array '{}' of {} elements: {} bytes are no whole number "
                                        "of elements of {} bytes, or there are too many", name,
                                        length, piece.size(), element_bytes)});
    const std::uint64_t count = piece.size() / element_bytes;
    if (offset > length || count > length - offset)
        throw Error(Failure{Errc::invalid_argument, 0, no_node,
                            fmt::format("elements {} to {} of array '{}', which has {}", offset,
                                        offset + count, name, length)});
    impl_->protect({.item = {.kind = ckpt::ItemKind::array,
                             .id = {},
                             .name = std::string(name),
                             .options = ckpt::array_options(element_bytes, length,
                                                            ckpt::type_name(type))},
                    .set = {},
                    .memory = piece,
                    .offset = offset * element_bytes});
}

void Checkpoint::protect_file(std::string_view name, fs::FileSystem& system, fs::File& file,
                              bool content) {
    protect_file(name, system,
                 {.now = [&file] { return &file; },
                  .again = [&file](fs::File&& opened) { file = std::move(opened); }},
                 content);
}

void Checkpoint::protect_file(std::string_view name, fs::FileSystem& system, CheckpointFile file,
                              bool content) {
    impl_->protect({.item = {.kind = ckpt::ItemKind::file,
                             .id = {},
                             .name = std::string(name),
                             .options = {}},
                    .memory = {},
                    .system = &system,
                    .file = std::move(file),
                    .content = content});
}

void Checkpoint::protect_state(std::string_view name, CheckpointBackend& backend) {
    impl_->protect({.item = {.kind = ckpt::ItemKind::state,
                             .id = {},
                             .name = std::string(name),
                             .options = ckpt::state_options(backend.kind())},
                    .memory = {},
                    .file = {},
                    .backend = &backend});
}

void Checkpoint::on(CheckpointEvent event, std::function<Result<void>()> callback) {
    impl_->callbacks.push_back({event, std::move(callback)});
}

Result<CheckpointTicket> Checkpoint::take(std::string_view description, TakeOptions options) {
    return impl_->take(description, options);
}

bool Checkpoint::need() { return value_or_throw(impl_->requests->need()); }
TakeOptions Checkpoint::wanted(TakeOptions own) const {
    const ckpt::Wanted& by = impl_->requests->wanted();
    if (by.level != 0) own.level = static_cast<CheckpointLevel>(by.level);
    if (by.kind != SSI_CHECKPOINT_AS_PROGRAM)
        own.incremental = by.kind == SSI_CHECKPOINT_INCREMENTAL;
    return own;
}
bool Checkpoint::should_exit() const { return impl_->requests->should_exit(); }

Result<std::optional<Restarted>> Checkpoint::restart() { return impl_->restart({}, false); }
Result<std::optional<Restarted>> Checkpoint::find() { return impl_->restart({}, true); }

Result<Restarted> Checkpoint::restart(ckpt::VersionNumber version) {
    auto found = impl_->restart(version, false);
    if (!found) return tl::unexpected<Failure>(std::move(found).error());
    return std::move(**found);
}

Result<Restarted> Checkpoint::find(ckpt::VersionNumber version) {
    auto found = impl_->restart(version, true);
    if (!found) return tl::unexpected<Failure>(std::move(found).error());
    return std::move(**found);
}

// -- tickets

ckpt::VersionNumber CheckpointTicket::version() const { return state_->version; }

bool CheckpointTicket::test() const {
    std::lock_guard lock(state_->mutex);
    return state_->done;
}

Result<void> CheckpointTicket::wait() const {
    std::unique_lock lock(state_->mutex);
    while (!state_->done) state_->ended.wait(state_->mutex);
    return state_->outcome;
}

CheckpointTicket::Progress CheckpointTicket::progress() const {
    std::lock_guard lock(state_->mutex);
    const Nanoseconds now = state_->done ? state_->end : state_->clock.now();
    return {.saved = state_->saved,
            .saved_bytes = state_->saved_bytes.load(),
            .stopped_seconds = static_cast<double>(state_->stopped.load()) * 1e-9,
            .seconds = static_cast<double>(now - state_->begun) * 1e-9};
}

}  // namespace ssi
