// SPDX-License-Identifier: BSD-3-Clause
// WrappedDisk: a disk in front of another that does something to requests on their way. For each
// request a shadow goes to the disk below; the wrapper decides when, may change it, and looks at
// how it ended before the request itself is done. Threads and fibers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ssi/io/disk.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::io {

class WrappedDisk;

struct Shadow {
    DiskRequest below;                  // what goes to the disk below; a copy at first
    DiskRequest* request = nullptr;
    WrappedDisk* disk = nullptr;
    int stage = 0;                      // the wrapper's
    std::unique_ptr<std::byte, void (*)(void*)> buffer{nullptr, nullptr};   // the wrapper's
    std::vector<DiskPiece> pieces;      // the wrapper's
    std::vector<Shadow*> others;        // that went along with this one, as one request below
    // Under the wrapper's lock:
    bool forwarded = false;
    Shadow* leader = nullptr;           // it goes along with that one
    int users = 1;                      // whoever will end it, and who waits below
    Shadow* before = nullptr;           // in the list of those that are below
    Shadow* behind = nullptr;
};

class WrappedFile final : public DiskFile {
public:
    WrappedFile(std::unique_ptr<DiskFile> below, WrappedDisk& disk)
        : below(std::move(below)), disk_(disk) {}
    Result<std::uint64_t> size() const override { return below->size(); }
    Result<void> truncate(std::uint64_t bytes) override;
    Result<void> allocate(std::uint64_t place, std::uint64_t bytes) override;
    Result<void> punch(std::uint64_t place, std::uint64_t bytes) override;
    const std::string& name() const override { return below->name(); }

    const std::unique_ptr<DiskFile> below;

private:
    WrappedDisk& disk_;
};

class WrappedDisk {
public:
    explicit WrappedDisk(Disk& below) : below_(below) {}
    virtual ~WrappedDisk() = default;

    // What is not a request: whether it happens at all, with the failure if not.
    virtual Result<void> allow(const char* verb, const std::string& name) = 0;

    Result<std::unique_ptr<DiskFile>> open_below(const std::string& name, OpenMode mode);
    void submit_shadows(std::span<DiskRequest* const> requests);
    void wait_for(DiskRequest& request);
    Disk& below() { return below_; }

protected:
    // Takes the shadow, on the submitting task, and at once or later forwards or ends it.
    virtual void start(Shadow& shadow) = 0;
    // Its part below is done. Ends the shadow, or forwards it once more.
    virtual void after(Shadow& shadow) = 0;
    // `others` go along in this shadow's request below; the wrapper ends them before it.
    void forward(Shadow& shadow, std::vector<Shadow*> others = {});
    // Outcome of the request: what `below` has. The shadow is gone afterwards.
    void end(Shadow& shadow);

private:
    void refuse(DiskRequest& request);
    static void done_below(DiskRequest& request, void* shadow);
    // Under the lock:
    void leave(Shadow& shadow);
    void enter(Shadow& shadow);         // the list of those that are below
    void take_out(Shadow& shadow);
    Shadow* one_below() const;

    Disk& below_;
    sys::Mutex mutex_;
    sys::Condition changed_;            // a request was forwarded or ended
    Shadow* last_ = nullptr;            // of those that are below
};

// The verbs of Disk by those of a WrappedDisk, for a class that is both.
template <class Face>
class Wrapping : public Face, protected WrappedDisk {
public:
    explicit Wrapping(Disk& below) : WrappedDisk(below) {}
    Result<std::unique_ptr<DiskFile>> open(const std::string& name, OpenMode mode) override {
        return open_below(name, mode);
    }
    Result<void> remove(const std::string& name) override {
        SSI_TRY(allow("remove", name));
        return below().remove(name);
    }
    Result<void> rename(const std::string& from, const std::string& to) override {
        SSI_TRY(allow("rename", from));
        return below().rename(from, to);
    }
    Result<void> make_directory(const std::string& name) override {
        SSI_TRY(allow("make directory", name));
        return below().make_directory(name);
    }
    Result<std::vector<std::string>> list(const std::string& directory) override {
        if (auto allowed = allow("list", directory); !allowed)
            return tl::unexpected<Failure>(std::move(allowed).error());
        return below().list(directory);
    }
    Result<std::vector<std::string>> list_directories(const std::string& directory) override {
        if (auto allowed = allow("list", directory); !allowed)
            return tl::unexpected<Failure>(std::move(allowed).error());
        return below().list_directories(directory);
    }
    Result<void> remove_directory(const std::string& name) override {
        SSI_TRY(allow("remove directory", name));
        return below().remove_directory(name);
    }
    Result<void> sync_directory(const std::string& directory) override {
        SSI_TRY(allow("sync", directory));
        return below().sync_directory(directory);
    }
    Result<DiskSpace> space() override { return below().space(); }
    void submit(std::span<DiskRequest* const> requests) override { submit_shadows(requests); }
    std::size_t poll() override { return below().poll(); }
    void wait(DiskRequest& request) override { wait_for(request); }
    int event_fd() const override { return const_cast<Wrapping*>(this)->below().event_fd(); }
    const std::string& name() const override {
        return const_cast<Wrapping*>(this)->below().name();
    }
};

}  // namespace ssi::io
