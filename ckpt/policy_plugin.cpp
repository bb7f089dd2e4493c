// SPDX-License-Identifier: BSD-3-Clause
#include "policy_plugin.hpp"

#include <dlfcn.h>
#include <errno.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "policy_builtin.hpp"

namespace ssi::ckpt {
namespace {

namespace stdfs = std::filesystem;

constexpr const char* entry_name = "ssi_checkpoint_policy_entry";
constexpr const char* header = "ssi/ckpt/policy.h";

std::vector<std::string> directories(std::string_view path) {
    std::vector<std::string> all;
    while (!path.empty()) {
        const std::string_view one = path.substr(0, path.find(':'));
        path.remove_prefix(std::min(one.size() + 1, path.size()));
        if (!one.empty()) all.emplace_back(one);
    }
    return all;
}

// `sticky`: whether a directory of root will do in which each removes what is his own, like /tmp.
Result<void> check_one(const stdfs::path& what, bool sticky) {
    struct stat status {};
    if (::stat(what.c_str(), &status) != 0)
        return fail_errno(Errc::io, errno,
                          fmt::format("policy plugin: cannot look at {}", what.string()));
    if (status.st_uid != 0 && status.st_uid != ::geteuid())
        return fail(Errc::io, fmt::format("policy plugin: {} belongs to another user: make a copy "
                                          "in a directory of your own", what.string()));
    const bool shared = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (!shared || (sticky && status.st_uid == 0 && (status.st_mode & S_ISVTX) != 0)) return {};
    return fail(Errc::io, fmt::format("policy plugin: others may write to {}: chmod go-w {}",
                                      what.string(), what.string()));
}

Result<void> check_table(const std::string& file, const ssi_checkpoint_policy* table) {
    if (!table)
        return fail(Errc::unsupported, fmt::format("{} is no policy plugin: it exports no {} ({})",
                                                   file, entry_name, header));
    if (table->abi != SSI_CHECKPOINT_POLICY_ABI)
        return fail(Errc::unsupported,
                    fmt::format("{} has version {} of the interface of policies, this libssi has "
                                "{}: build it anew with this libssi's {}", file, table->abi,
                                SSI_CHECKPOINT_POLICY_ABI, header));
    if (!table->name || !table->help || !table->parameters || !table->create || !table->decide)
        return fail(Errc::unsupported,
                    fmt::format("{}: its {} lacks name, help, parameters, create or decide ({})",
                                file, entry_name, header));
    return {};
}

std::string builtin_names() {
    std::string names;
    for (const ssi_checkpoint_policy& one : builtin_policies())
        names.append(names.empty() ? "" : ", ").append(one.name);
    return names;
}

}  // namespace

Result<void> check_owner(const std::string& file) {
    const stdfs::path whole(file);
    SSI_TRY(check_one(whole, false));
    bool nearest = true;
    for (stdfs::path at = whole.parent_path();; at = at.parent_path()) {
        SSI_TRY(check_one(at, !nearest));
        if (at == at.parent_path()) return {};
        nearest = false;
    }
}

Result<PolicyPlugin> load_plugin(const std::string& name) {
    std::error_code error;
    const std::string file = stdfs::canonical(name, error).string();
    if (error)
        return fail_errno(error == std::errc::no_such_file_or_directory ? Errc::not_found
                                                                        : Errc::io,
                          error.value(), fmt::format("policy plugin {}", name));
    SSI_TRY(check_owner(file));
    void* const handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char* const why = ::dlerror();
        return fail(Errc::io, fmt::format("policy plugin {} cannot be loaded: {}", file,
                                          why ? why : "no reason is given"));
    }
    PolicyPlugin plugin{.file = file,
                        .library = std::shared_ptr<void>(handle, [](void* h) { ::dlclose(h); })};
    plugin.table = static_cast<const ssi_checkpoint_policy*>(::dlsym(handle, entry_name));
    SSI_TRY(check_table(file, plugin.table));
    return plugin;
}

Result<PolicyPlugin> find_plugin(const std::string& name, std::string_view path) {
    if (name.find('/') != std::string::npos) return load_plugin(name);
    for (const std::string& directory : directories(path)) {
        const std::string file = directory + "/" + name + ".so";
        if (stdfs::exists(file)) return load_plugin(file);
    }
    return fail(Errc::not_found,
                fmt::format("no checkpoint policy '{}': there are {}, {}", name, builtin_names(),
                            path.empty() ? "and plugins by their path or in checkpoint.policy_path"
                                         : fmt::format("and no {}.so in checkpoint.policy_path, {}",
                                                       name, path)));
}

std::vector<std::string> plugin_files(std::string_view path) {
    std::vector<std::string> files;
    for (const std::string& directory : directories(path)) {
        std::error_code error;
        for (stdfs::directory_iterator at(directory, error), end; !error && at != end;
             at.increment(error))
            if (at->path().extension() == ".so") files.push_back(at->path().string());
    }
    std::ranges::sort(files);
    return files;
}

}  // namespace ssi::ckpt
