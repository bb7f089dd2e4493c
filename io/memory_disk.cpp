// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/memory_disk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "disk_parts.hpp"
#include "memory_state.hpp"

namespace ssi::io {
namespace {

using Kind = DiskRequest::Kind;

class Memory final : public MemoryDisk {
public:
    explicit Memory(MemoryDiskOptions options)
        : state_(std::make_shared<MemoryState>(std::move(options))) {
        state_->disk = this;
    }
    ~Memory() override {
        std::lock_guard lock(state_->mutex);
        state_->gone = true;
        state_->waiting.clear();
        state_->changed.notify_all();
    }

    Result<std::unique_ptr<DiskFile>> open(const std::string& name, OpenMode mode) override;
    Result<void> remove(const std::string& name) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> make_directory(const std::string& name) override;
    Result<std::vector<std::string>> list(const std::string& directory) override;
    Result<std::vector<std::string>> list_directories(const std::string& directory) override;
    Result<void> remove_directory(const std::string& name) override;
    Result<void> sync_directory(const std::string& directory) override;
    Result<DiskSpace> space() override;
    void submit(std::span<DiskRequest* const> requests) override;
    std::size_t poll() override { return state_->reap(); }
    void wait(DiskRequest& request) override;
    const std::string& name() const override { return state_->options.name; }
    std::unique_ptr<MemoryDisk> after_power_cut(std::uint64_t seed) const override;

private:
    tl::unexpected<Failure> missing(const char* verb, const std::string& name) const {
        return fail_errno(Errc::not_found, ENOENT,
                          fmt::format("cannot {} {} of {}", verb, name, state_->options.name));
    }
    tl::unexpected<Failure> is_a_directory(const char* verb, const std::string& name) const {
        return fail_errno(Errc::io, EISDIR,
                          fmt::format("cannot {} {} of {}", verb, name, state_->options.name));
    }
    // Directories must be there before their files. With the lock held.
    bool has_directory(const std::string& name) const {
        return state_->names.is_folder(directory_of(name));
    }
    // Releases the lock and tells.
    void changed(std::unique_lock<sys::Mutex>& lock) {
        const std::uint64_t operation = ++state_->operations;
        lock.unlock();
        state_->tell(operation);
    }

    const std::shared_ptr<MemoryState> state_;
};

Result<std::unique_ptr<DiskFile>> Memory::open(const std::string& name, OpenMode mode) {
    if (auto good = check_name(name); !good)
        return tl::unexpected<Failure>(std::move(good).error());
    std::unique_lock lock(state_->mutex);
    if (state_->names.is_folder(name))
        return is_a_directory("open", name);
    MemoryContentPtr content = state_->names.find(name);
    if (content && mode == OpenMode::create_new)
        return fail_errno(Errc::exists, EEXIST, fmt::format("cannot create {} of {}", name,
                                                            state_->options.name));
    const bool creates = mode == OpenMode::create || mode == OpenMode::create_new;
    if (!content && (!creates || !has_directory(name)))
        return missing(creates ? "create" : "open", name);
    if (!content) {
        content = std::make_shared<MemoryContent>();
        state_->names.create(name, content);
        changed(lock);
    }
    return std::make_unique<MemoryFile>(state_, name, std::move(content), mode == OpenMode::read);
}

Result<void> Memory::remove(const std::string& name) {
    SSI_TRY(check_name(name));
    std::unique_lock lock(state_->mutex);
    if (state_->names.is_folder(name)) return is_a_directory("remove", name);
    const MemoryContentPtr content = state_->names.find(name);
    if (!content) return missing("remove", name);
    state_->names.remove(name);
    content->leave(state_->room);
    changed(lock);
    return {};
}

Result<void> Memory::rename(const std::string& from, const std::string& to) {
    SSI_TRY(check_name(from));
    SSI_TRY(check_name(to));
    std::unique_lock lock(state_->mutex);
    if (state_->names.is_folder(from)) return is_a_directory("rename", from);
    if (!state_->names.find(from) || !has_directory(to)) return missing("rename", from);
    if (state_->names.is_folder(to))
        return is_a_directory("rename", fmt::format("{} to {}", from, to));
    if (const MemoryContentPtr replaced = state_->names.find(to); replaced && from != to)
        replaced->leave(state_->room);
    state_->names.rename(from, to);
    changed(lock);
    return {};
}

Result<void> Memory::make_directory(const std::string& name) {
    SSI_TRY(check_name(name));
    std::unique_lock lock(state_->mutex);
    if (state_->names.find(name))
        return fail_errno(Errc::exists, EEXIST, fmt::format("cannot make directory {} of {}: it "
                                                            "is a file", name,
                                                            state_->options.name));
    if (!has_directory(name)) return missing("make directory", name);
    state_->names.make_folder(name);
    changed(lock);
    return {};
}

Result<std::vector<std::string>> Memory::list(const std::string& directory) {
    if (auto good = check_name(directory, true); !good)
        return tl::unexpected<Failure>(std::move(good).error());
    std::lock_guard lock(state_->mutex);
    if (!state_->names.is_folder(directory)) return missing("list", directory);
    return state_->names.list(directory);
}

Result<std::vector<std::string>> Memory::list_directories(const std::string& directory) {
    if (auto good = check_name(directory, true); !good)
        return tl::unexpected<Failure>(std::move(good).error());
    std::lock_guard lock(state_->mutex);
    if (!state_->names.is_folder(directory)) return missing("list", directory);
    return state_->names.list_folders(directory);
}

Result<void> Memory::remove_directory(const std::string& name) {
    SSI_TRY(check_name(name));
    std::unique_lock lock(state_->mutex);
    if (!state_->names.is_folder(name)) return missing("remove directory", name);
    if (!state_->names.list(name).empty() || !state_->names.list_folders(name).empty())
        return fail_errno(Errc::io, ENOTEMPTY, fmt::format("cannot remove directory {} of {}", name,
                                                           state_->options.name));
    state_->names.remove_folder(name);
    changed(lock);
    return {};
}

Result<void> Memory::sync_directory(const std::string& directory) {
    SSI_TRY(check_name(directory, true));
    std::unique_lock lock(state_->mutex);
    if (!state_->names.is_folder(directory)) return missing("sync", directory);
    state_->names.sync(directory);
    changed(lock);
    return {};
}

Result<DiskSpace> Memory::space() {
    std::lock_guard lock(state_->mutex);
    const std::uint64_t total =
        state_->options.capacity_bytes ? state_->options.capacity_bytes : std::uint64_t{1} << 50;
    return DiskSpace{total, total - std::min(total, state_->room.used * block_bytes)};
}

void Memory::submit(std::span<DiskRequest* const> requests) {
    std::vector<DiskRequest*> refused;
    bool serve = false;
    {
        std::lock_guard lock(state_->mutex);
        for (DiskRequest* request : requests) {
            request->finished.store(false, std::memory_order_relaxed);
            request->moved = 0;
            request->sys_errno = check_request(*request);
            if (request->sys_errno == 0 && request->kind == Kind::write &&
                memory_file_of(*request).read_only)
                request->sys_errno = EBADF;
            if (request->sys_errno != 0) {
                refused.push_back(request);
                continue;
            }
            Nanoseconds due = state_->now();
            if (state_->timed())
                due += state_->options.least_latency +
                       static_cast<Nanoseconds>(state_->random.below(static_cast<std::uint64_t>(
                           state_->options.most_latency - state_->options.least_latency + 1)));
            state_->waiting.push_back({request, due, state_->operations});
        }
        if (state_->options.scheduler && !state_->served && !state_->waiting.empty())
            serve = state_->served = true;
        state_->changed.notify_all();
    }
    if (serve)
        state_->options.scheduler->spawn(state_->options.scheduler->group(),
                                         [state = state_] { state->serve(); });
    for (DiskRequest* request : refused) finish(*request);
    if (refused.empty()) return;
    // Another task may already wait for one of them.
    std::lock_guard lock(state_->mutex);
    state_->changed.notify_all();
}

void Memory::wait(DiskRequest& request) {
    while (!request.is_done()) {
        if (state_->reap() > 0) continue;
        std::lock_guard lock(state_->mutex);
        if (request.is_done()) return;
        const Nanoseconds due = state_->next_due();
        if (due == sys::Waiter::forever)
            state_->changed.wait(state_->mutex);      // somebody is about to finish it
        else if (const Nanoseconds left = due - state_->now(); left > 0)
            state_->changed.wait_for(state_->mutex, left);
    }
}

std::unique_ptr<MemoryDisk> Memory::after_power_cut(std::uint64_t seed) const {
    Random random(seed);
    std::lock_guard lock(state_->mutex);
    MemoryDiskOptions options = state_->options;
    options.observe = nullptr;
    options.seed = random.next();
    auto left = std::make_unique<Memory>(std::move(options));
    MemoryState& state = *left->state_;
    state.names = state_->names.after_power_cut(random);
    state.names.replace_contents([&](const MemoryContent& content) {
        std::vector<const DiskRequest*> under_way;
        for (const MemoryWaiting& one : state_->waiting)
            if (one.request->kind == Kind::write &&
                memory_file_of(*one.request).content.get() == &content)
                under_way.push_back(one.request);
        auto after = std::make_shared<MemoryContent>(content.after_power_cut(random, under_way));
        state.room.used += after->blocks();
        return after;
    });
    return left;
}

}  // namespace

std::unique_ptr<MemoryDisk> make_memory_disk(MemoryDiskOptions options) {
    return std::make_unique<Memory>(std::move(options));
}

}  // namespace ssi::io
