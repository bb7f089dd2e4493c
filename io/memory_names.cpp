// SPDX-License-Identifier: BSD-3-Clause
#include "memory_names.hpp"

#include <algorithm>

#include "disk_parts.hpp"

namespace ssi::io {

void MemoryNames::State::apply(const Change& change) {
    switch (change.kind) {
        case Kind::create: files[change.name] = change.content; break;
        case Kind::remove: files.erase(change.name); break;
        case Kind::rename:
            files.erase(change.name);
            files[change.to] = change.content;
            break;
        case Kind::folder: folders.insert(change.name); break;
        case Kind::no_folder:
            folders.erase(change.name);
            // What a power cut would bring back in it is gone with it.
            std::erase_if(files, [&](const auto& file) {
                return directory_of(file.first) == change.name;
            });
            break;
    }
}

void MemoryNames::change(Change change) {
    change.unsynced.push_back(directory_of(change.name));
    if (change.kind == Kind::rename && directory_of(change.to) != change.unsynced[0])
        change.unsynced.push_back(directory_of(change.to));
    now_.apply(change);
    changes_.push_back(std::move(change));
}

MemoryContentPtr MemoryNames::find(const std::string& name) const {
    const auto found = now_.files.find(name);
    return found == now_.files.end() ? nullptr : found->second;
}

void MemoryNames::create(const std::string& name, MemoryContentPtr content) {
    change({Kind::create, name, "", std::move(content), {}});
}

void MemoryNames::remove(const std::string& name) {
    change({Kind::remove, name, "", nullptr, {}});
}

void MemoryNames::rename(const std::string& from, const std::string& to) {
    if (from != to) change({Kind::rename, from, to, find(from), {}});
}

void MemoryNames::make_folder(const std::string& name) {
    if (!is_folder(name)) change({Kind::folder, name, "", nullptr, {}});
}

void MemoryNames::remove_folder(const std::string& name) {
    change({Kind::no_folder, name, "", nullptr, {}});
}

std::vector<std::string> MemoryNames::list_folders(const std::string& folder) const {
    std::vector<std::string> names;
    for (const std::string& name : now_.folders)
        if (!name.empty() && directory_of(name) == folder)
            names.push_back(folder.empty() ? name : name.substr(folder.size() + 1));
    return names;
}

std::vector<std::string> MemoryNames::list(const std::string& folder) const {
    std::vector<std::string> names;
    for (const auto& [name, content] : now_.files)
        if (directory_of(name) == folder)
            names.push_back(folder.empty() ? name : name.substr(folder.size() + 1));
    return names;
}

void MemoryNames::sync(const std::string& folder) {
    // A change that can no longer be undone needs those before it of the same names.
    // What is in a folder that was made again needs the end of the one before.
    std::set<std::string> needed, folders;
    std::vector<bool> durable(changes_.size());
    for (std::size_t i = changes_.size(); i-- > 0;) {
        Change& one = changes_[i];
        std::erase(one.unsynced, folder);
        durable[i] = one.unsynced.empty() || one.shares_name(needed) ||
                     (one.kind == Kind::no_folder && folders.contains(one.name));
        if (!durable[i]) continue;
        one.add_names(needed);
        folders.insert(directory_of(one.name));
    }
    std::vector<Change> rest;
    for (std::size_t i = 0; i < changes_.size(); ++i) {
        if (durable[i])
            synced_.apply(changes_[i]);
        else
            rest.push_back(std::move(changes_[i]));
    }
    changes_ = std::move(rest);
}

MemoryNames MemoryNames::after_power_cut(Random& random) const {
    MemoryNames left;
    left.now_ = synced_;
    // Now and then all or nothing happened.
    const std::uint64_t undone_of_4 = random.below(5);
    std::set<std::string> undone;
    for (const Change& one : changes_) {
        if (one.shares_name(undone) || undone.contains(directory_of(one.name)) ||
            random.chance(undone_of_4, 4))
            one.add_names(undone);
        else
            left.now_.apply(one);
    }
    // A folder that never was takes with it what was made in it.
    const auto lost = [&](const std::string& name) {
        for (std::string folder = directory_of(name); !folder.empty();
             folder = directory_of(folder))
            if (!left.now_.folders.contains(folder)) return true;
        return false;
    };
    std::erase_if(left.now_.files, [&](const auto& file) { return lost(file.first); });
    for (auto at = left.now_.folders.begin(); at != left.now_.folders.end();)
        at = lost(*at) ? left.now_.folders.erase(at) : std::next(at);
    left.synced_ = left.now_;
    return left;
}

}  // namespace ssi::io
