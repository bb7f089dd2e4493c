// SPDX-License-Identifier: BSD-3-Clause
#include "checkpoint_stores.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "ssi/io/libaio_disk.hpp"

namespace ssi::cli {
namespace {

namespace files = std::filesystem;

constexpr unsigned queue_depth = 8;   // a command line may name hundreds of stores

tl::unexpected<Failure> unreadable(const std::string& name, const std::error_code& error) {
    return fail_errno(error.value() == ENOENT ? Errc::not_found : Errc::io, error.value(),
                      fmt::format("cannot read {}", name));
}

// The directories in one, shorter names first: 9 before 10.
Result<std::vector<std::string>> directories_in(const std::string& name) {
    std::vector<std::string> found;
    std::error_code error;
    for (files::directory_iterator at(name, error), end; !error && at != end; at.increment(error)) {
        const std::string entry = at->path().filename().string();
        std::error_code ignored;
        if (!entry.starts_with('.') && entry != "lost+found" && at->is_directory(ignored))
            found.push_back(entry);
    }
    if (error) return unreadable(name, error);
    std::ranges::sort(found, {}, [](const std::string& entry) {
        return std::pair(entry.size(), entry);
    });
    return found;
}

std::string with_number(std::string name, std::string_view number) {
    for (auto at = name.find("%n"); at != std::string::npos; at = name.find("%n", at))
        name.replace(at, 2, number);
    return name;
}

// What the name stands for: itself, or the directories that there are by its pattern.
Result<std::vector<std::string>> expand(const std::string& name) {
    const auto at = name.find("%n");
    if (at == std::string::npos) return std::vector{name};
    const auto slash = name.rfind('/', at);
    const std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
    const std::string prefix = name.substr(begin, at - begin);
    const auto entries = directories_in(begin == 0 ? "." : name.substr(0, begin));
    if (!entries) return tl::unexpected<Failure>(entries.error());
    std::vector<std::string> found;
    for (const std::string& entry : *entries) {
        if (!entry.starts_with(prefix)) continue;
        std::string_view number = std::string_view(entry).substr(prefix.size());
        number = number.substr(0, number.find_first_not_of("0123456789"));
        const std::string path = with_number(name, number);
        std::error_code ignored;
        if (number.empty() || !files::is_directory(path, ignored)) continue;
        if (std::ranges::find(found, path) == found.end()) found.push_back(path);
    }
    if (found.empty())
        return fail(Errc::not_found, fmt::format("there is no directory {} for any number %n",
                                                 name));
    return found;
}

class Opener {
public:
    // False: no checkpoint was ever begun in it.
    Result<bool> open(const std::string& name) {
        std::error_code error;
        const std::string path = files::canonical(name, error).string();
        if (error) return unreadable(name, error);
        if (!files::is_directory(path, error))
            return unreadable(name, {ENOTDIR, std::generic_category()});
        if (paths_.contains(path)) return true;
        auto disk = io::make_libaio_disk(name, {.queue_depth = queue_depth});
        if (!disk) return tl::unexpected<Failure>(std::move(disk).error());
        auto store = ckpt::Store::open({.disk = disk->get(), .lock = true});
        if (!store) return tl::unexpected<Failure>(std::move(store).error());
        // A store whose record of that is damaged is one nevertheless.
        if (const auto next = (*store)->next_version(); next && *next == 1) return false;
        paths_.insert(path);
        opened_.disks.push_back(std::move(*disk));
        opened_.stores.push_back(std::move(*store));
        return true;
    }
    // Whether any of them is a store.
    Result<bool> open_some(const std::vector<std::string>& paths) {
        bool any = false;
        for (const std::string& path : paths) {
            const auto one = open(path);
            if (!one) return one;
            any = any || *one;
        }
        return any;
    }
    Result<bool> open_below(const std::string& name) {
        const auto entries = directories_in(name);
        if (!entries) return tl::unexpected<Failure>(entries.error());
        std::vector<std::string> paths;
        for (const std::string& entry : *entries)
            paths.push_back((files::path(name) / entry).string());
        return open_some(paths);
    }
    OpenStores take() { return std::move(opened_); }

private:
    std::set<std::string> paths_;
    OpenStores opened_;
};

}  // namespace

std::vector<ckpt::Store*> OpenStores::all() const {
    std::vector<ckpt::Store*> pointers;
    for (const auto& store : stores) pointers.push_back(store.get());
    return pointers;
}

Result<OpenStores> open_stores(const std::vector<std::string>& names) {
    Opener opener;
    for (const std::string& name : names) {
        const auto paths = expand(name);
        if (!paths) return tl::unexpected<Failure>(paths.error());
        auto any = opener.open_some(*paths);
        if (any && !*any && *paths == std::vector{name}) any = opener.open_below(name);
        if (!any) return tl::unexpected<Failure>(std::move(any).error());
        if (!*any)
            return fail(Errc::not_found, fmt::format("no checkpoint was ever begun in {}, nor in "
                                                     "its directories", name));
    }
    return opener.take();
}

}  // namespace ssi::cli
