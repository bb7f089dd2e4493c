// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints for C.
#include "ssi/ckpt/checkpoint.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <span>

#include "files_inside.hpp"
#include "grown.hpp"

using namespace ssi;
using namespace ssi::capi;

static_assert(SSI_CHECKPOINT_EXIT_AGAIN == Checkpoint::exit_again);

struct ssi_checkpoint {
    ssi_checkpoint(ssi_session& s, CheckpointOptions options)
        : session(s), checkpoint(s.session, std::move(options)) {}

    ssi_session& session;
    Checkpoint checkpoint;
    std::atomic<bool> busy{false};           // somebody is inside
    std::optional<Restarted> shown;          // what an ssi_restarted points into
    std::vector<const char*> passed_over;    // likewise
};

struct ssi_ticket {
    CheckpointTicket ticket;
};

namespace {

constexpr std::size_t least_options = offsetof(ssi_checkpoint_options, policy);
constexpr std::size_t least_take = sizeof(ssi_take_options);
constexpr std::size_t least_restarted = sizeof(ssi_restarted);

// The checkpoint is this caller's until the scope ends.
class Turn {
public:
    explicit Turn(ssi_checkpoint& checkpoint)
        : busy_(checkpoint.busy), ours_(!busy_.exchange(true, std::memory_order_acquire)) {}
    ~Turn() {
        if (ours_) busy_.store(false, std::memory_order_release);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    Result<void> check() const {
        if (ours_) return {};
        return fail(Errc::invalid_argument, "the checkpoint is in use, by another thread or by "
                                            "the function that runs this callback");
    }
    void keep() { ours_ = false; }           // there is nobody left to give it to

private:
    std::atomic<bool>& busy_;
    bool ours_;
};

template <class Body>
int on_checkpoint(ssi_checkpoint* checkpoint, Body&& body) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(checkpoint, "checkpoint"));
        const Turn turn(*checkpoint);
        SSI_TRY(turn.check());
        return body(*checkpoint);
    });
}

template <class Body>
int on_ticket(const ssi_ticket* ticket, Body&& body) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(ticket, "ticket"));
        return body(ticket->ticket);
    });
}

Result<CheckpointOptions> options_of(const ssi_checkpoint_options* given) {
    ssi_checkpoint_options o = SSI_CHECKPOINT_OPTIONS_INIT;
    SSI_TRY(need(given, "options"));
    SSI_TRY(read_grown(given, least_options, o, "ssi_checkpoint_options"));
    return CheckpointOptions{.directory = o.directory ? o.directory : "",
                             .global_directory = o.global_directory ? o.global_directory : "",
                             .application = o.application ? o.application : "",
                             .keep = o.keep,
                             .policy = o.policy ? o.policy : "",
                             .signals = o.signals != 0};
}

Result<TakeOptions> take_of(const ssi_take_options* given) {
    ssi_take_options o = SSI_TAKE_OPTIONS_INIT;
    if (given) SSI_TRY(read_grown(given, least_take, o, "ssi_take_options"));
    if (o.length != 0) SSI_TRY(need(o.bytes, "bytes"));
    if (o.level > SSI_CHECKPOINT_GLOBAL)
        return fail(Errc::invalid_argument,
                    "level " + std::to_string(o.level) + " is none of ssi_checkpoint_level");
    return TakeOptions{.number = o.number,
                       .bytes = {static_cast<const std::byte*>(o.bytes), o.length},
                       .asynchronous = o.asynchronous != 0,
                       .incremental = o.incremental != 0,
                       .level = o.level == 0 ? CheckpointLevel::local
                                             : static_cast<CheckpointLevel>(o.level)};
}

Result<void> failed_callback(int number) {
    const bool known = std::ranges::any_of(error_table(), [&](const ErrorInfo& info) {
        return number != SSI_OK && static_cast<int>(info.code) == number;
    });
    return fail(known ? static_cast<Errc>(number) : Errc::function_failed,
                "a callback of the checkpoint returned " + std::to_string(number));
}

ssi_restarted restarted_as_c(ssi_checkpoint& c) {
    ssi_restarted r = SSI_RESTARTED_INIT;
    c.passed_over.clear();
    if (!c.shown) return r;
    const Restarted& from = *c.shown;
    for (const std::string& one : from.passed_over) c.passed_over.push_back(one.c_str());
    r.found = 1;
    r.saved_ranks = from.saved_ranks;
    r.version = from.version;
    r.number = from.number;
    r.bytes = from.bytes.data();
    r.length = from.bytes.size();
    r.description = from.description.c_str();
    r.time_ns = from.time;
    r.restored_bytes = from.restored_bytes;
    r.rebuilt_members = from.rebuilt_members;
    r.passed_over = c.passed_over.data();
    r.passed_over_count = c.passed_over.size();
    return r;
}

// `find(checkpoint)` returns a Result of a Restarted, or of an optional one.
template <class Find>
int put_back(ssi_checkpoint* checkpoint, ssi_restarted* restarted, Find&& find) noexcept {
    return on_checkpoint(checkpoint, [&](ssi_checkpoint& c) -> Result<void> {
        SSI_TRY(need(restarted, "restarted"));
        ssi_restarted mine{};
        SSI_TRY(read_grown(restarted, least_restarted, mine, "ssi_restarted"));
        return with(find(c.checkpoint), [&](auto& from) {
            c.shown = std::move(from);
            mine = restarted_as_c(c);
            mine.size = restarted->size;
            std::memcpy(restarted, &mine, std::min(restarted->size, sizeof mine));
        });
    });
}

}  // namespace

int ssi_checkpoint_open(ssi_session* session, const ssi_checkpoint_options* options,
                        ssi_checkpoint** checkpoint) {
    if (checkpoint) *checkpoint = nullptr;
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        SSI_TRY(need(checkpoint, "checkpoint"));
        return with(options_of(options), [&](CheckpointOptions& wanted) {
            auto opened = std::make_shared<ssi_checkpoint>(*session, std::move(wanted));
            *checkpoint = opened.get();
            std::lock_guard lock(session->mutex);
            session->checkpoint = std::move(opened);
        });
    });
}

int ssi_checkpoint_close(ssi_checkpoint* checkpoint) {
    if (!checkpoint) return SSI_OK;
    return call([&]() -> Result<void> {
        Turn turn(*checkpoint);
        SSI_TRY(turn.check());
        std::shared_ptr<ssi_checkpoint> owned;
        {
            std::lock_guard lock(checkpoint->session.mutex);
            owned = std::move(checkpoint->session.checkpoint);
        }
        turn.keep();
        return {};
    });
}

int ssi_checkpoint_protect_set(ssi_checkpoint* checkpoint, ssi_set* set) {
    return on_checkpoint(checkpoint, [&](ssi_checkpoint& c) -> Result<void> {
        SSI_TRY(need(set, "set"));
        c.checkpoint.protect(set->raw);
        return {};
    });
}

int ssi_checkpoint_protect_span(ssi_checkpoint* checkpoint, const char* name, void* memory,
                                size_t length) {
    return on_checkpoint(checkpoint, [&](ssi_checkpoint& c) -> Result<void> {
        SSI_TRY(need(name, "name"));
        if (length != 0) SSI_TRY(need(memory, "memory"));
        c.checkpoint.protect_span(name, std::span(static_cast<std::byte*>(memory), length));
        return {};
    });
}

int ssi_checkpoint_protect_array(ssi_checkpoint* checkpoint, const char* name, void* piece,
                                 size_t count, uint32_t element_bytes, uint64_t offset,
                                 uint64_t length) {
    return on_checkpoint(checkpoint, [&](ssi_checkpoint& c) -> Result<void> {
        SSI_TRY(need(name, "name"));
        if (count != 0) SSI_TRY(need(piece, "piece"));
        if (element_bytes != 0 && count > std::numeric_limits<size_t>::max() / element_bytes)
            return fail(Errc::invalid_argument, "count is larger than any memory");
        c.checkpoint.protect_array_bytes(
            name, std::span(static_cast<std::byte*>(piece), count * element_bytes), offset, length,
            element_bytes);
        return {};
    });
}

int ssi_checkpoint_protect_file(ssi_checkpoint* checkpoint, const char* name, ssi_fs* fs,
                                ssi_file** file, int content) {
    return on_checkpoint(checkpoint, [&](ssi_checkpoint& c) -> Result<void> {
        SSI_TRY(need(name, "name"));
        SSI_TRY(need(fs, "fs"));
        SSI_TRY(need(file, "file"));
        c.checkpoint.protect_file(
            name, *fs->system,
            CheckpointFile{.now = [file] { return *file ? &(*file)->file : nullptr; },
                           .again = [fs, file](fs::File&& opened) {
                               *file = adopt(*fs, std::move(opened));
                           }},
            content != 0);
        return {};
    });
}

int ssi_checkpoint_on(ssi_checkpoint* checkpoint, ssi_checkpoint_event event,
                      ssi_checkpoint_callback callback, void* context) {
    return on_checkpoint(checkpoint, [&](ssi_checkpoint& c) -> Result<void> {
        SSI_TRY(need(reinterpret_cast<const void*>(callback), "callback"));
        if (event < SSI_CHECKPOINT_BEFORE || event > SSI_CHECKPOINT_RESTARTED)
            return fail(Errc::invalid_argument, "event is no ssi_checkpoint_event");
        c.checkpoint.on(static_cast<CheckpointEvent>(event), [callback, context]() -> Result<void> {
            const int number = callback(context);
            return number == SSI_OK ? Result<void>{} : failed_callback(number);
        });
        return {};
    });
}

int ssi_checkpoint_take(ssi_checkpoint* checkpoint, const char* description,
                        const ssi_take_options* options, ssi_ticket** ticket) {
    if (ticket) *ticket = nullptr;
    return on_checkpoint(checkpoint, [&](ssi_checkpoint& c) -> Result<void> {
        const auto wanted = take_of(options);
        if (!wanted) return tl::unexpected<Failure>(wanted.error());
        auto made = std::make_unique<ssi_ticket>(ssi_ticket{CheckpointTicket(nullptr)});
        return with(c.checkpoint.take(description ? description : "", *wanted),
                    [&](CheckpointTicket& taken) {
                        made->ticket = std::move(taken);
                        if (ticket) *ticket = made.release();
                    });
    });
}

int ssi_checkpoint_need(ssi_checkpoint* checkpoint, int* wanted) {
    return on_checkpoint(checkpoint, [&](ssi_checkpoint& c) -> Result<void> {
        SSI_TRY(need(wanted, "wanted"));
        *wanted = c.checkpoint.need();
        return {};
    });
}

int ssi_checkpoint_wanted(ssi_checkpoint* checkpoint, ssi_take_options* options) {
    return on_checkpoint(checkpoint, [&](ssi_checkpoint& c) -> Result<void> {
        SSI_TRY(need(options, "options"));
        const auto own = take_of(options);
        if (!own) return tl::unexpected<Failure>(own.error());
        const TakeOptions wanted = c.checkpoint.wanted(*own);
        options->incremental = wanted.incremental ? 1 : 0;
        options->level = static_cast<std::uint32_t>(wanted.level);
        return {};
    });
}

int ssi_checkpoint_should_exit(const ssi_checkpoint* checkpoint) {
    return checkpoint && checkpoint->checkpoint.should_exit();
}

int ssi_checkpoint_restart(ssi_checkpoint* checkpoint, ssi_restarted* restarted) {
    return put_back(checkpoint, restarted, [](Checkpoint& c) { return c.restart(); });
}
int ssi_checkpoint_restart_version(ssi_checkpoint* checkpoint, uint64_t version,
                                   ssi_restarted* restarted) {
    return put_back(checkpoint, restarted, [&](Checkpoint& c) { return c.restart(version); });
}
int ssi_checkpoint_find(ssi_checkpoint* checkpoint, ssi_restarted* found) {
    return put_back(checkpoint, found, [](Checkpoint& c) { return c.find(); });
}
int ssi_checkpoint_find_version(ssi_checkpoint* checkpoint, uint64_t version,
                                ssi_restarted* found) {
    return put_back(checkpoint, found, [&](Checkpoint& c) { return c.find(version); });
}

int ssi_ticket_version(const ssi_ticket* ticket, uint64_t* version) {
    return on_ticket(ticket, [&](const CheckpointTicket& t) -> Result<void> {
        SSI_TRY(need(version, "version"));
        *version = t.version();
        return {};
    });
}

int ssi_ticket_test(const ssi_ticket* ticket, int* done) {
    return on_ticket(ticket, [&](const CheckpointTicket& t) -> Result<void> {
        SSI_TRY(need(done, "done"));
        *done = t.test();
        return {};
    });
}

int ssi_ticket_wait(const ssi_ticket* ticket) {
    return on_ticket(ticket, [](const CheckpointTicket& t) { return t.wait(); });
}

int ssi_ticket_progress(const ssi_ticket* ticket, ssi_take_progress* progress) {
    return on_ticket(ticket, [&](const CheckpointTicket& t) -> Result<void> {
        SSI_TRY(need(progress, "progress"));
        const CheckpointTicket::Progress p = t.progress();
        *progress = {p.saved_bytes, p.stopped_seconds, p.seconds};
        return {};
    });
}

void ssi_ticket_free(ssi_ticket* ticket) { delete ticket; }

int ssi_checkpoint_enter(ssi_session* session) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        auto section = std::make_unique<CheckpointCriticalSection>(session->session);
        entered().push_back({session, section.get()});
        section.release();
        return {};
    });
}

int ssi_checkpoint_leave(ssi_session* session) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        if (entered().empty() || entered().back().session != session)
            return fail(Errc::invalid_argument, "this thread has not entered: ssi_checkpoint_enter "
                                                "comes before each ssi_checkpoint_leave");
        delete entered().back().section;
        entered().pop_back();
        return {};
    });
}
