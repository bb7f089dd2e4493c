// SPDX-License-Identifier: BSD-3-Clause
// The table of settings. A new setting is one row here and nothing else; `ssi config --markdown`
// then rewrites docs/configuration.md. Keep the rows of a TOML table together. A key without a dot
// must not be the name of a table: TOML could not hold both.
#include <array>
#include <cstdint>

#include "ssi/base/config.hpp"

namespace ssi {
namespace {

constexpr std::int64_t kib = 1024;
constexpr std::int64_t mib = 1024 * kib;
constexpr std::int64_t tib = 1024 * 1024 * mib;

constexpr Setting flag(const char* key, const char* value, const char* help) {
    return {key, SettingType::boolean, "", value, "", 0, 0, help};
}
constexpr Setting text(const char* key, const char* value, const char* help) {
    return {key, SettingType::text, "", value, "", 0, 0, help};
}
constexpr Setting choice(const char* key, const char* value, const char* choices,
                         const char* help) {
    return {key, SettingType::choice, "", value, choices, 0, 0, help};
}
constexpr Setting number(const char* key, const char* unit, const char* value,
                         std::int64_t minimum, std::int64_t maximum, const char* help) {
    return {key, SettingType::integer, unit, value, "", minimum, maximum, help};
}

constexpr std::array table{
    choice("progress", "auto", "auto|spin|yield|block",
           "How a task waits for the network. `auto` spins, yields and at last sleeps, by how many "
           "threads there are for the cores; `spin` never gives up its core: only with a core for "
           "every thread; `yield` polls and yields; `block` sleeps at once."),

    choice("log.level", "warn", "off|error|warn|info|debug|trace|data",
           "What is logged. `debug` grows with the number of objects, `trace` with requests, "
           "`data` with messages."),
    text("log.file", "",
         "Log lines are appended to this file too, besides standard error. Empty: no file."),

    number("wait.spin_iterations", "", "2000", 0, 1'000'000'000,
           "Polls that a waiter makes before it starts to yield its core."),
    number("wait.backoff_us", "us", "500", 1, 1'000'000,
           "How long the progress thread lets pass without any poll before it takes over."),

    choice(
        "net.same_host", "on", "on|off",
        "`off` treats nodes of one host like nodes of two: nobody reads another process's memory, "
        "all goes by messages."),
    number("net.keepalive_ms", "ms", "200", 10, 60'000,
           "Period of the transport's keepalive. Over shared memory it is what notices a peer that "
           "has gone."),
    text("net.ucx_tls", "",
         "UCX transports to use, as in UCX_TLS, such as `tcp` or `sm,self`. Empty: UCX's own "
         "choice, or UCX_TLS where that is set."),

    flag("detect.enabled", "true",
         "Whether dead nodes are detected and declared lost. Off, operations that need a dead node "
         "wait for ever."),
    number("detect.interval_ms", "ms", "200", 10, 60'000,
           "How often a node looks whether silent peers are alive."),
    number("detect.grace_ms", "ms", "1000", 0, 600'000,
           "How long operations in flight when a node dies may still complete before they fail "
           "with peer_lost."),

    number("arena.chunk_bytes", "bytes", "2M", 64 * kib, 1024 * mib,
           "Arenas grow by this much at a time. Rounded up to a multiple of 64K."),
    number("arena.limit_bytes", "bytes", "0", 0, 64 * tib,
           "Most bytes that the objects of one node may take in memory. 0: no limit but the "
           "machine's. Reaching it fails with out_of_memory."),
    number("arena.warm_bytes", "bytes", "16M", 0, 64 * tib,
           "Memory that is touched ahead of its use, as the first touch of fresh memory is slow. "
           "Counts towards what an idle node occupies."),
    flag("arena.huge_pages", "true",
         "Ask for transparent huge pages for objects that no other process maps."),

    number("kddm.shards", "", "16", 1, 4096,
           "Parts with a lock each that a node's object table has. More serve more threads; "
           "rounded up to a power of two."),
    number("kddm.executor_threads", "", "1", 1, 1024,
           "Threads that run release hooks and shipped functions not marked inline."),
    choice("kddm.read_way", "auto", "auto|mapped|rma|message",
           "How one-sided reads come by an object of another node. `mapped`: out of its memory, "
           "where that is on this host and net.same_host is on. `rma`: out of its memory by the "
           "network, also where the network needs the other processor for it. `auto`: mapped, "
           "else by a network that needs no help. What cannot be had so, and all with `message`, "
           "is asked for. Give all nodes the same."),
    flag("kddm.atomics_in_place", "true",
            "Change numbers of objects that are at home on another node of this host in that "
            "node's memory, which is then mapped for writing, without a message and without its "
            "processor, where it can be mapped for one-sided reads. Give all nodes the same."),
    number("kddm.try_timeout_us", "us", "2000", 0, 60'000'000,
           "How long try_grab waits for an answer from another node before it gives up with "
           "would_block."),

    number("kddm.moves_to_visit", "", "8", 0, 255,
           "After how many moves of ownership in a row, each to another node than the last, an "
           "object is given out for one visit at a time. 0: never."),
    number("kddm.memory_bytes", "bytes", "0", 0, 64 * tib,
           "Budget of a node: most bytes that the objects on it, of all sets, take in memory. "
           "Above it copies are dropped, objects of other homes sent home, and those that a linker "
           "keeps written back and dropped. 0: no budget. Kept to a few arena.chunk_bytes."),
    number("kddm.evict_timeout_ms", "ms", "2000", 1, 600'000,
           "How long a verb waits for memory within the budget before it fails with "
           "out_of_memory."),
    number("kddm.linker_threads", "", "2", 1, 1024,
           "Threads that run linkers. They start with the first set that has one."),

    text("checkpoint.directory", "",
         "Where an application's checkpoints are kept, unless it says so itself. `%n` stands for "
         "the node id. Empty: nowhere."),
    text("checkpoint.global_directory", "",
         "Level global: where all hosts see the same directory, to which checkpoints are copied "
         "from checkpoint.directory in the background. Empty: nowhere."),
    number("checkpoint.drain_rate_bytes", "bytes", "0", 0, 64 * tib,
           "Most that a node copies there in a second, to leave network and disks to others. 0: no "
           "limit."),
    number("checkpoint.keep", "", "2", 1, 1'000'000,
           "How many versions are kept. Those that they refer to are kept, too."),
    number("checkpoint.interval_s", "s", "0", 0, 31'536'000,
           "After how long another checkpoint is due, besides what checkpoint.policy says. 0: no "
           "interval."),
    text("checkpoint.policy", "",
         "When a checkpoint is taken, at which level, whole or incremental: strategies with "
         "parameters, with `;` between them, such as `young_daly mtbf_s=86400; time_limit "
         "exit=true`. `ssi checkpoint policy list` explains them. Empty: `interval`, by "
         "checkpoint.interval_s."),
    text("checkpoint.policy_path", "",
         "Directories, with `:` between them, where strategies are looked for that are none of "
         "ours, as NAME.so. Those of the user or of root that others cannot write to."),
    number("checkpoint.mtbf_s", "s", "0", 0, 3'153'600'000,
           "Mean time between failures of the whole job, for strategies that go by it. 0: as "
           "observed."),
    number("checkpoint.job_end_s", "s", "0", 0, 1'000'000'000'000,
           "When the job ends, in seconds since 1970 (UTC). 0: as SLURM_JOB_END_TIME says, where "
           "it is set."),
    number("checkpoint.failures", "", "0", 0, 1'000'000'000,
           "How often runs of this program have ended by a failure until now. Set by ssi-relaunch "
           "for the run that it starts."),
    number("checkpoint.ran_s", "s", "0", 0, 1'000'000'000'000,
           "How long those runs have run in all. Set by ssi-relaunch."),
    number("checkpoint.full_every", "", "8", 1, 9,
           "Of incremental checkpoints in a row, each so many-th is a whole one. 1: all are."),
    flag("checkpoint.allow_same_host", "false",
         "Keep copies of a rank's part with another rank of the same host, where there is one host "
         "alone. They do not survive that host, nor a disk that both use: for tests."),
    number("checkpoint.group", "", "8", 2, 1024,
           "Level parity: most ranks in a group, of which one may be lost. A part's parity takes a "
           "share of its size: 1 in so many, less one. One more where a rank would be alone."),
    text("checkpoint.substitute", "",
         "At a restart, files of kDFS to open instead of those that were open: `FROM=TO`, several "
         "with `;` between them."),
    flag("checkpoint.other_types", "false",
         "At a restart, put values of one type into sets and arrays of another that has the same "
         "size, such as one that has another name by now."),
    number("checkpoint.meet_ms", "ms", "600000", 1, 86'400'000,
           "How long ranks that want to take a checkpoint, or to restart, wait for those that have "
           "not come to the same point of the program, or do not come back from a callback. After "
           "10 s or a quarter of it the log names those."),
    number("checkpoint.timeout_ms", "ms", "10000", 1, 3'600'000,
           "How long all that is under way may take to come to rest before a checkpoint is given "
           "up and the application goes on without it."),
    number("checkpoint.shadow_bytes", "bytes", "0", 0, 64 * tib,
           "Most memory of a node for copies of objects that are written before they were saved; "
           "beyond it writers wait. 0: no limit."),
    number("checkpoint.rate_bytes", "bytes", "0", 0, 64 * tib,
           "Most that a node writes of a checkpoint in a second, to leave its disk to others. 0: "
           "no limit."),

    number("session.start_timeout_ms", "ms", "30000", 100, 3'600'000,
           "How long nodes wait for each other while a session starts."),

    choice("control.socket", "on", "on|off",
           "Whether each node has a control socket, by which `ssi stat` and `ssi nodes` look into "
           "a running session, and whether SIGUSR2 makes it print the same."),
    text("control.directory", "",
         "Directory of control sockets and contact files, for this user alone (mode 700); made "
         "when its parent exists. Empty: the first that can be used of $XDG_RUNTIME_DIR/ssi, "
         "$TMPDIR/ssi-UID and /tmp/ssi-UID."),

    text("stats.file", "",
         "At the end of a session each node writes its statistics here as OpenMetrics text; read "
         "it with `ssi stat`. `%n` stands for the node id. Empty: not written."),
};

}  // namespace

std::span<const Setting> settings_table() { return table; }

}  // namespace ssi
