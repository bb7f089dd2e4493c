// SPDX-License-Identifier: BSD-3-Clause
#include "fs_async.hpp"

#include <algorithm>
#include <cerrno>
#include <list>
#include <mutex>
#include <new>
#include <vector>

namespace ssi::fs {
namespace {

enum class Stage : std::uint8_t { waiting, running, ended };

// Guarded by the mutex of Impl but for `body` and `result` while it runs.
struct Job {
    std::uint64_t file = 0;
    bool after_others = false;
    Stage stage = Stage::waiting;
    AsyncIo::Body body;
    Result<std::uint64_t> result;
    sys::WaitCell* cell = nullptr;   // of whoever waits for its end
};
using JobPtr = std::shared_ptr<Job>;

Failure cancelled() { return {Errc::cancelled, ECANCELED, no_node, "the file system ends"}; }

Result<std::uint64_t> run(const AsyncIo::Body& body) {
    try {
        return body();
    } catch (const std::bad_alloc&) {
        return fail_errno(Errc::out_of_memory, ENOMEM, "an operation in the background");
    }
}

class FailedOperation final : public kddm::Pending {
public:
    explicit FailedOperation(Failure failure) : failure_(std::move(failure)) {}
    bool ready() override { return true; }
    bool wait_for(std::int64_t) override { return true; }
    Result<std::uint64_t> take_number() override {
        return tl::unexpected<Failure>(std::move(failure_));
    }
    void rest(std::int64_t) override {}

private:
    Failure failure_;
};

}  // namespace

struct AsyncIo::Impl {
    explicit Impl(node::Node& n) : node(n) {}

    void work();
    JobPtr next();                       // that may run now; null: none
    void end(Job& job, Result<std::uint64_t> result);
    Nanoseconds deadline_of(Nanoseconds duration) const {
        const Nanoseconds now = node.doors().clock.now();
        return duration >= sys::Waiter::forever - now ? sys::Waiter::forever : now + duration;
    }

    node::Node& node;
    sys::Mutex mutex;                    // of what follows
    sys::Condition changed;
    std::list<JobPtr> jobs;              // that have not ended, in the order of their beginning
    std::vector<std::unique_ptr<sys::Tasks::Handle>> tasks;
    unsigned idle = 0;                   // of these
    unsigned wanted = 0;                 // jobs that wait
    bool stopping = false;
};

// The caller has the lock.
JobPtr AsyncIo::Impl::next() {
    for (auto at = jobs.begin(); at != jobs.end(); ++at) {
        const Job& job = **at;
        if (job.stage != Stage::waiting) continue;
        const bool held_up = job.after_others && std::any_of(jobs.begin(), at, [&](auto& earlier) {
                                 return earlier->file == job.file;
                             });
        if (!held_up) return *at;
    }
    return nullptr;
}

// The caller has the lock; afterwards nobody touches the cell.
void AsyncIo::Impl::end(Job& job, Result<std::uint64_t> result) {
    job.result = std::move(result);
    job.stage = Stage::ended;
    jobs.erase(std::ranges::find(jobs, &job, &JobPtr::get));   // near the front
    if (job.cell) node.doors().waiter.notify(*job.cell);
    job.cell = nullptr;
    changed.notify_all();   // who comes after others may go on
}

void AsyncIo::Impl::work() {
    std::unique_lock lock(mutex);
    while (!stopping) {
        const JobPtr job = next();
        if (!job) {
            ++idle;
            changed.wait(mutex);
            --idle;
            continue;
        }
        job->stage = Stage::running;
        --wanted;
        lock.unlock();
        auto result = run(job->body);
        lock.lock();
        end(*job, std::move(result));
        lock.unlock();
        job->body = nullptr;   // it is no longer inside the file: who closes that finds it ended
        lock.lock();
    }
}

class AsyncIo::Operation final : public kddm::Pending {
public:
    Operation(std::shared_ptr<Impl> impl, JobPtr job)
        : impl_(std::move(impl)), job_(std::move(job)) {}
    ~Operation() override {
        Body body;   // ends without the lock
        {
            std::lock_guard lock(impl_->mutex);
            if (job_->stage == Stage::waiting) {
                body = std::move(job_->body);
                --impl_->wanted;
                impl_->end(*job_, tl::unexpected(cancelled()));
            }
        }
        wait_for(forever);
    }
    bool ready() override {
        std::lock_guard lock(impl_->mutex);
        return job_->stage == Stage::ended;
    }
    bool wait_for(std::int64_t nanoseconds) override {
        sys::WaitCell cell;
        {
            std::lock_guard lock(impl_->mutex);
            if (job_->stage == Stage::ended) return true;
            job_->cell = &cell;
        }
        impl_->node.doors().waiter.wait_until(cell, impl_->deadline_of(nanoseconds));
        std::lock_guard lock(impl_->mutex);
        job_->cell = nullptr;
        return job_->stage == Stage::ended;
    }
    Result<std::uint64_t> take_number() override { return std::move(job_->result); }
    void rest(std::int64_t nanoseconds) override {
        sys::WaitCell never;
        impl_->node.doors().waiter.wait_until(never, impl_->deadline_of(nanoseconds));
    }

private:
    const std::shared_ptr<Impl> impl_;
    const JobPtr job_;
};

AsyncIo::AsyncIo(node::Node& node) : impl_(std::make_shared<Impl>(node)) {}
AsyncIo::~AsyncIo() { stop(); }

void AsyncIo::stop() {
    std::vector<JobPtr> never;
    {
        std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
        for (const JobPtr& job : impl_->jobs)
            if (job->stage == Stage::waiting) never.push_back(job);
        for (const JobPtr& job : never) impl_->end(*job, tl::unexpected(cancelled()));
        impl_->wanted = 0;
        impl_->changed.notify_all();
    }
    for (const JobPtr& job : never) job->body = nullptr;
    for (auto& task : impl_->tasks) task->join();
    impl_->tasks.clear();
}

std::unique_ptr<kddm::Pending> AsyncIo::begin(std::uint64_t file, bool after_others, Body body) {
    auto job = std::make_shared<Job>();
    job->file = file;
    job->after_others = after_others;
    job->body = std::move(body);
    Impl& impl = *impl_;
    std::lock_guard lock(impl.mutex);
    if (impl.stopping) return failed(cancelled());
    impl.jobs.push_back(job);
    if (++impl.wanted > impl.idle && impl.tasks.size() < most_tasks)
        impl.tasks.push_back(impl.node.doors().tasks.spawn("ssi-fs-async", [&impl] {
            impl.work();
        }));
    impl.changed.notify_one();
    return std::make_unique<Operation>(impl_, std::move(job));
}

std::unique_ptr<kddm::Pending> AsyncIo::failed(Failure failure) {
    return std::make_unique<FailedOperation>(std::move(failure));
}

}  // namespace ssi::fs
