// SPDX-License-Identifier: BSD-3-Clause
// What the verbs of `ssi fs` have in hand while they run.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "fs.hpp"
#include "fs_tree.hpp"
#include "ssi/kddm/session.hpp"
#include "words.hpp"

namespace ssi::cli {

// One per rank. Not thread-safe.
class FsRun {
public:
    FsRun(Session& session, Kdfs& system, const FsOptions& options)
        : session_(session), system_(system), options_(options) {}

    Session& session() { return session_; }
    Kdfs& system() { return system_; }
    const FsOptions& options() const { return options_; }
    bool is_first() const { return session_.rank() == 0; }

    // Prints a failure and remembers the first.
    void fault(const Failure& failure);
    template <class T>
    bool good(const Result<T>& result) {
        if (!result) fault(result.error());
        return result.has_value();
    }
    // On rank 0 alone, for each operand.
    Result<void> each(const std::function<void(const std::string& path)>& body);
    // Collective: what the verb is worth when some ranks had faults. Who had none says nothing.
    Result<void> verdict();

private:
    Session& session_;
    Kdfs& system_;
    const FsOptions& options_;
    std::optional<Failure> first_;
};

// The verbs, by files.
Result<void> fs_df(FsRun& run);
Result<void> fs_ls(FsRun& run);
Result<void> fs_stat(FsRun& run);
Result<void> fs_cat(FsRun& run);
Result<void> fs_rm(FsRun& run);
Result<void> fs_mkdir(FsRun& run);
Result<void> fs_mv(FsRun& run);
Result<void> fs_cp(FsRun& run);
Result<void> fs_setstripe(FsRun& run);
Result<void> fs_getstripe(FsRun& run);
Result<void> fs_cache(FsRun& run);
Result<void> fs_check(FsRun& run);
Result<void> fs_scrub(FsRun& run);

// "drwxr-xr-x"
std::string mode_text(std::uint32_t mode);
const char* type_name(std::uint32_t mode);
std::string placement_name(fs::Placement placement);
std::string join(const std::string& directory, const std::string& name);
std::string last_name(const std::string& path);

}  // namespace ssi::cli
