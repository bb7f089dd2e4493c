// SPDX-License-Identifier: BSD-3-Clause
// Future<T>: what get_async, grab_async, apply_async and the asynchronous atomics return.
//
// Of an operation: it is under way; dropping the future gives its result up, but it may execute.
// Of a get or grab: the object has been asked for, and until somebody waits it is held by nobody:
// another node may have it meanwhile (then it is asked for again), so futures never deadlock.
// wait(), wait_for() and get() acquire it as get and grab do, for the calling task, under the same
// order rule: wait for several in ascending (set, id) order, or by when_all().
// Errors of the call itself are the future's too.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "ssi/base/result.hpp"

namespace ssi::kddm {

class RawGuard;

// What a future waits for. Private to kddm but for its name.
class Pending {
public:
    virtual ~Pending() = default;                        // gives up
    virtual bool ready() = 0;
    virtual bool wait_for(std::int64_t nanoseconds) = 0; // true: a result or failure is there
    virtual Result<RawGuard> take_guard();
    virtual Result<std::uint64_t> take_number();
    virtual Result<std::vector<std::byte>> take_bytes();
    // Those that acquire an object are waited for after all others, in the order of this.
    struct Order {
        bool acquires = false;
        SetId set{};
        ObjectId id{};
        friend auto operator<=>(const Order&, const Order&) = default;
    };
    virtual Order order() const { return {}; }
    virtual void rest(std::int64_t nanoseconds) = 0;     // lets messages come in
    static constexpr std::int64_t forever = INT64_MAX;
};

void wait_all(std::span<Pending* const> pending);
std::size_t wait_any(std::span<Pending* const> pending);

}  // namespace ssi::kddm

namespace ssi {

// Movable; empty after get(), result() and a move. Used by one task at a time, which need not be
// the one that made it; a guard belongs to the task that waited for it.
template <class T>
class Future {
public:
    using Take = Result<T> (*)(kddm::Pending&);
    Future() = default;
    Future(std::unique_ptr<kddm::Pending> pending, Take take)
        : pending_(std::move(pending)), take_(take) {}

    bool valid() const { return pending_ != nullptr; }
    // Whether get() would return without waiting for messages; handles those that are here. Pins
    // nothing: of a get or grab it is a hint (and always true under home coherence, which keeps
    // nothing that nobody holds).
    bool ready() { return pending_->ready(); }
    void wait() { pending_->wait_for(kddm::Pending::forever); }
    // False when the time passed first; then nothing is held.
    template <class Rep, class Period>
    bool wait_for(std::chrono::duration<Rep, Period> duration) {
        return pending_->wait_for(
            std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count());
    }
    // Waits; get() throws ssi::Error.
    Result<T> result() {
        pending_->wait_for(kddm::Pending::forever);
        const std::unique_ptr<kddm::Pending> pending = std::move(pending_);
        return take_(*pending);
    }
    T get() { return value_or_throw(result()); }
    void cancel() { pending_.reset(); }

    kddm::Pending& pending() { return *pending_; }
    std::unique_ptr<kddm::Pending> release() { return std::move(pending_); }

private:
    std::unique_ptr<kddm::Pending> pending_;
    Take take_ = nullptr;
};

// Waits until every future has its result or failure, in an order that cannot deadlock.
template <class T>
void when_all(std::span<Future<T>> futures) {
    std::vector<kddm::Pending*> pending;
    for (Future<T>& future : futures)
        if (future.valid()) pending.push_back(&future.pending());
    kddm::wait_all(pending);
}
template <class T>
void when_all(std::vector<Future<T>>& futures) {
    when_all(std::span(futures));
}
template <class... T>
void when_all(Future<T>&... futures) {
    kddm::Pending* const pending[] = {&futures.pending()...};
    kddm::wait_all(pending);
}

// The place of one that is ready(); waits until there is one. All must be valid, and at least one.
template <class T>
std::size_t wait_any(std::span<Future<T>> futures) {
    std::vector<kddm::Pending*> pending;
    for (Future<T>& future : futures) pending.push_back(&future.pending());
    return kddm::wait_any(pending);
}
template <class T>
std::size_t wait_any(std::vector<Future<T>>& futures) {
    return wait_any(std::span(futures));
}

}  // namespace ssi
