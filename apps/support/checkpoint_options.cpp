// SPDX-License-Identifier: BSD-3-Clause
#include "support/checkpoint_options.hpp"

namespace support {

std::string CheckpointReport::text() const {
    if (directory.empty()) return {};
    std::string out;
    if (restart)
        out = fmt::format("restarted   from version {}, {} {}, saved by {} rank{}\n",
                          restart->version, unit, restart->number, restart->saved_ranks,
                          restart->saved_ranks == 1 ? "" : "s");
    out += fmt::format("checkpoints {} in {}, for which the run stopped {:.3f} s\n", taken,
                       directory, stopped_seconds);
    if (failed != 0) out += fmt::format("checkpoints {} FAILED\n", failed);
    return out;
}

std::string CheckpointReport::json() const {
    if (directory.empty()) return {};
    std::string from = "null";
    if (restart)
        from = fmt::format("{{\"version\": {}, \"{}\": {}, \"saved_ranks\": {}}}",
                           restart->version, unit, restart->number, restart->saved_ranks);
    return fmt::format("  \"checkpoints\": {{\"directory\": {}, \"taken\": {}, \"failed\": {}, "
                       "\"stopped_seconds\": {}, \"restarted\": {}}},\n",
                       json_string(directory), taken, failed, stopped_seconds, from);
}

}  // namespace support
