// SPDX-License-Identifier: BSD-3-Clause
// MemoryNames: the names of a MemoryDisk: which file each means now, and the changes that a power
// cut may undo because a directory they touch was not synced since. Not thread-safe: the disk's
// lock guards it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "memory_content.hpp"

namespace ssi::io {

using MemoryContentPtr = std::shared_ptr<MemoryContent>;

class MemoryNames {
public:
    MemoryContentPtr find(const std::string& name) const;     // null: no such file
    bool is_folder(const std::string& name) const { return now_.folders.contains(name); }
    void create(const std::string& name, MemoryContentPtr content);
    void remove(const std::string& name);                     // a file that is there
    void rename(const std::string& from, const std::string& to);   // the same
    void make_folder(const std::string& name);
    void remove_folder(const std::string& name);              // an empty one that is there
    std::vector<std::string> list(const std::string& folder) const;
    std::vector<std::string> list_folders(const std::string& folder) const;
    void sync(const std::string& folder);

    // The names that a power cut may leave; all synced.
    MemoryNames after_power_cut(Random& random) const;
    // Every file once, in an order that is the same in every run; `replace` gives it a new content.
    template <class Replace>
    void replace_contents(Replace replace) {
        for (auto& [name, content] : now_.files) content = replace(*content);
        synced_ = now_;
    }

private:
    enum class Kind : std::uint8_t { create, remove, rename, folder, no_folder };
    struct Change {
        Kind kind;
        std::string name;
        std::string to;                       // of a rename
        MemoryContentPtr content;             // of the file
        std::vector<std::string> unsynced;    // folders
        bool shares_name(const std::set<std::string>& names) const {
            return names.contains(name) || (kind == Kind::rename && names.contains(to));
        }
        void add_names(std::set<std::string>& names) const {
            names.insert(name);
            if (kind == Kind::rename) names.insert(to);
        }
    };
    struct State {
        std::map<std::string, MemoryContentPtr> files;
        std::set<std::string> folders{""};
        void apply(const Change& change);
    };
    void change(Change change);

    State now_;
    State synced_;
    std::vector<Change> changes_;   // that lead from synced_ to now_, oldest first
};

}  // namespace ssi::io
