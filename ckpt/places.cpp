// SPDX-License-Identifier: BSD-3-Clause
#include "places.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "collect.hpp"
#include "manifest.hpp"
#include "ssi/base/random.hpp"
#include "ssi/io/libaio_disk.hpp"
#include "store_files.hpp"
#include "store_state.hpp"

namespace ssi::ckpt {
namespace {

constexpr const char* probe_name = "probe";
constexpr int most_stores = 65536;
constexpr int most_tries = 20;
constexpr Nanoseconds between_tries = 100'000'000;

std::string at_rank(const std::string& pattern, int rank) {
    const auto at = pattern.find("%n");
    return at == std::string::npos ? pattern
                                   : std::string(pattern).replace(at, 2, std::to_string(rank));
}

Result<void> make(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
    return fail_errno(Errc::io, errno,
                      fmt::format("cannot make {} for checkpoints: {}", directory,
                                  std::strerror(errno)));
}

}  // namespace

// Two nodes of a host that see the same one share a store. Nodes of two hosts may, too, without
// being known to: what each then does for it is harmless to do twice.
struct Places::Identity {
    std::uint64_t host = 0;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    friend auto operator<=>(const Identity&, const Identity&) = default;
};

Result<Store*> Places::add(node::Node& node, const std::string& directory) {
    auto disk = io::make_libaio_disk(directory, {.log = &node.doors().log});
    if (!disk) return tl::unexpected<Failure>(std::move(disk).error());
    disks_.push_back(std::move(*disk));
    auto store = Store::open({.disk = disks_.back().get(),
                              .lock = true,
                              .tasks = &node.doors().tasks,
                              .clock = &node.doors().clock});
    if (!store) return tl::unexpected<Failure>(std::move(store).error());
    owned_.push_back(std::move(*store));
    return owned_.back().get();
}

Result<void> Places::add_own(node::Node& node, const std::string& directory) {
    const auto store = add(node, directory);
    if (!store) return tl::unexpected<Failure>(store.error());
    stores_.push_back(*store);
    readable_.push_back(*store);
    return {};
}

Result<void> Places::open_here(node::Node& node, const std::string& pattern) {
    if (pattern.empty())
        return fail(Errc::invalid_argument,
                    "no directory for checkpoints: set checkpoint.directory, or give one");
    const std::string own = at_rank(pattern, rank_);
    // A pattern's directories lie in one that need not be there either.
    if (const auto at = pattern.find("%n"); at != std::string::npos && at > 1 &&
                                            pattern[at - 1] == '/')
        SSI_TRY(make(pattern.substr(0, at - 1)));
    SSI_TRY(make(own));
    SSI_TRY(add_own(node, own));
    if (own == pattern) return {};
    for (int rank = rank_ + node.size(); rank < most_stores; rank += node.size()) {
        struct stat of {};
        const std::string other = at_rank(pattern, rank);
        if (::stat(other.c_str(), &of) != 0) break;
        SSI_TRY(add_own(node, other));
    }
    return {};
}

// One session at a time: two would take each other's versions for their own. One that was killed
// just now may not be quite gone.
Result<void> Places::lock(node::Node& node, const std::string& directory) {
    for (int tries = 0;; ++tries) {
        auto lock = io::DirectoryLock::take(directory, true);
        // To go on from one that cannot be written to.
        if (!lock && lock.error().sys_errno == EROFS)
            lock = io::DirectoryLock::take(directory, false);
        if (lock) {
            locks_.push_back(std::move(*lock));
            return {};
        }
        if (lock.error().code != Errc::would_block)
            return tl::unexpected<Failure>(std::move(lock).error());
        if (tries == most_tries)
            return fail(Errc::would_block,
                        fmt::format("another session has the checkpoints in {}: wait for its end, "
                                    "or give this one another directory", directory));
        node.doors().tasks.sleep_for(between_tries);
    }
}

Result<void> Places::lock_all(node::Node& node) {
    if (!leads()) return {};
    for (Store* store : stores_) SSI_TRY(lock(node, store->name()));
    return {};
}

Result<std::unique_ptr<Places>> Places::open(node::Node& node, const std::string& pattern) {
    std::unique_ptr<Places> places(new Places(node.rank()));
    if (auto opened = agree(node, places->open_here(node, pattern)); !opened)
        return tl::unexpected<Failure>(std::move(opened).error());
    struct stat of {};
    Result<void> seen;
    if (::stat(places->own().name().c_str(), &of) != 0)
        seen = fail_errno(Errc::io, errno, fmt::format("cannot look at {}: {}",
                                                       places->own().name(),
                                                       std::strerror(errno)));
    if (auto fine = agree(node, std::move(seen)); !fine)
        return tl::unexpected<Failure>(std::move(fine).error());
    const Identity mine{node.members().find(node.id())->host_id, of.st_dev, of.st_ino};
    std::vector<Identity> all(static_cast<std::size_t>(node.size()));
    auto gathered = node.gather(no_node, std::as_bytes(std::span(&mine, 1)),
                                std::as_writable_bytes(std::span(all)));
    if (!gathered) return tl::unexpected<Failure>(std::move(gathered).error());
    places->leaders_.resize(all.size());
    std::map<Identity, int> first;
    for (std::size_t i = 0; i < all.size(); ++i)
        places->leaders_[i] = first.try_emplace(all[i], static_cast<int>(i)).first->second;
    places->device_ = fmt::format("{:x}:{:x}", mine.host, mine.device);
    if (auto locked = agree(node, places->lock_all(node)); !locked)
        return tl::unexpected<Failure>(std::move(locked).error());
    return places;
}

Result<void> Places::open_global_here(node::Node& node, const std::string& directory) {
    SSI_TRY(make(directory));
    struct stat global {};
    struct stat other {};
    if (::stat(directory.c_str(), &global) != 0)
        return fail_errno(Errc::io, errno, fmt::format("cannot look at {}: {}", directory,
                                                       std::strerror(errno)));
    for (Store* store : stores_)
        if (::stat(store->name().c_str(), &other) == 0 && other.st_dev == global.st_dev &&
            other.st_ino == global.st_ino)
            return fail(Errc::invalid_argument,
                        fmt::format("checkpoint.global_directory {} is the store of node {}, too: "
                                    "give it one of its own", directory, node.id().value));
    const auto store = add(node, directory);
    if (!store) return tl::unexpected<Failure>(store.error());
    global_ = *store;
    readable_.push_back(global_);
    return {};
}

// What the first node writes there all others must see.
Result<void> Places::open_global(node::Node& node, std::string directory) {
    Bytes told;
    const auto text = std::as_bytes(std::span(directory));
    if (rank_ == 0) told.assign(text.begin(), text.end());
    SSI_TRY(share(node, told));
    if (told.empty()) return {};
    directory.assign(reinterpret_cast<const char*>(told.data()), told.size());
    SSI_TRY(agree(node, open_global_here(node, directory)));
    Result<void> ready;
    if (rank_ == 0) ready = lock(node, directory);
    io::Disk& disk = global_->state().disk;
    Bytes token = encode_newest(Random::seed_from_system());
    if (rank_ == 0 && ready) ready = write_file(disk, probe_name, token);
    if (!ready && ready.error().sys_errno == EROFS) {   // to go on from: what is found will tell
        ready = {};
        token.clear();
    }
    SSI_TRY(agree(node, std::move(ready)));
    SSI_TRY(share(node, token));
    if (token.empty()) return {};
    Result<void> same;
    if (const auto found = read_file(disk, probe_name); !found || *found != token)
        same = fail(Errc::invalid_argument,
                    fmt::format("checkpoint.global_directory {} of node {} is another one than the "
                                "first node's: it must be one that all hosts see", directory,
                                node.id().value));
    auto agreed = agree(node, std::move(same));
    if (rank_ == 0) (void)disk.remove(probe_name);
    return agreed;
}

}  // namespace ssi::ckpt
