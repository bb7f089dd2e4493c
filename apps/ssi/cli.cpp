// SPDX-License-Identifier: BSD-3-Clause
// The command line of `ssi`. The only file that includes CLI11.
#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>
#include <system_error>

#include "checkpoint.hpp"
#include "commands.hpp"
#include "fs.hpp"
#include "machine.hpp"
#include "restart.hpp"

namespace ssi::cli {
namespace {

// What the command line said.
struct Choices {
    bool json = false;
    bool markdown = false;
    bool toml = false;
    DoctorOptions doctor;
    std::string arena;
    std::vector<std::string> files;
    StatOptions stat;
    std::optional<double> watch_seconds;
    std::string page = "ssi";
    FsOptions fs;
    std::vector<char*> arguments;   // as they came, with those of settings; null at the end
    std::string log_verb;
    std::string log_directory;
    CheckpointRequest checkpoint;
    RestartRequest restart;
};

struct Verbs {
    CLI::App* info;
    CLI::App* doctor;
    CLI::App* stat;
    CLI::App* nodes;
    CLI::App* log;
    CLI::App* fs;
    CLI::App* checkpoint;
    CLI::App* restart;
    CLI::App* config;
    CLI::App* man;
};

CLI::App* add_verb(CLI::App& app, Choices& choices, const char* name, const char* text) {
    CLI::App* verb = app.add_subcommand(name, text);
    verb->add_flag("--json", choices.json, "Print one JSON object instead of text.");
    return verb;
}

CLI::Option* add_session(CLI::App* verb, Choices& choices) {
    return verb
        ->add_option("--session", choices.stat.session,
                     "The running session whose id begins like this. Default: the only one.")
        ->type_name("ID");
}

void describe_stat(CLI::App& app, Choices& choices, Verbs& verbs) {
    verbs.stat = add_verb(app, choices, "stat",
                          "Print the statistics of a running session, or those that a run wrote "
                          "(setting stats.file).");
    CLI::Option* files = verbs.stat->add_option(
        "FILE", choices.files,
        "OpenMetrics text, one file per node; several are added up. Without: a running session.");
    files->type_name("");
    add_session(verbs.stat, choices)->excludes(files);
    verbs.stat->add_option("--node", choices.stat.node, "This node only.")
        ->type_name("N")
        ->excludes(files);
    verbs.stat
        ->add_flag("--waits", choices.stat.waits,
                   "Also who waits for what, since when, and who holds it.")
        ->excludes(files);
    verbs.stat
        ->add_option("--watch", choices.watch_seconds,
                     "Again every so many seconds, until the session ends.")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.1, 86400.0))
        ->excludes(files);
    verbs.nodes = add_verb(app, choices, "nodes",
                           "List the running sessions of this user and their nodes: host, process, "
                           "cores, resident memory, time up.");
    add_session(verbs.nodes, choices);
}

void describe_log(CLI::App& app, Choices& choices, Verbs& verbs) {
    verbs.log = add_verb(app, choices, "log",
                         "Look into a segment log that no session has open: `ssi log dump DIR` "
                         "prints a line for each record (with --json an object for each), `ssi log "
                         "verify DIR` reads all and names every fault. Changes nothing.");
    verbs.log->add_option("dump|verify", choices.log_verb, "What to do.")
        ->type_name("")
        ->required()
        ->check(CLI::IsMember({"dump", "verify"}));
    verbs.log->add_option("DIR", choices.log_directory, "The directory of the log's segments.")
        ->type_name("")
        ->required();
}

void describe_fs(CLI::App& app, Choices& choices, Verbs& verbs) {
    verbs.fs = app.add_subcommand(
        "fs", "Look at and change files in kDFS, alone or with all ranks of mpirun or srun: those "
              "of a running session, ssi fs VERB ..., or those on the volumes of a stopped one, "
              "ssi fs --volume DIR/%n VERB ...");
    verbs.fs->add_option("--session", choices.fs.session,
                         "The running session whose id begins like this. Default: the only one "
                         "that has a file system.")
        ->type_name("ID");
    verbs.fs->add_option("--volume", choices.fs.volumes,
                         "Directory of a volume; may be given several times. DIR/%n stands for "
                         "DIR/0, DIR/1, ..., volume k for rank k modulo their number.")
        ->type_name("DIR")
        ->allow_extra_args(false);
    verbs.fs->add_flag("--create", choices.fs.create,
                       "Make volumes that are not there, with an empty file system.");
    verbs.fs->add_option("--cache", choices.fs.cache, "Memory of each rank for file data.")
        ->type_name("SIZE");
    verbs.fs->require_subcommand(0, 1);
    for (const FsVerb& verb : fs_verbs()) {
        CLI::App* added = verbs.fs->add_subcommand(verb.name, verb.text);
        added->add_flag("--json", choices.fs.json, "Print JSON instead of text.");
        for (const FsFlag& flag : verb.flags)
            added->add_flag(flag.names, choices.fs.*flag.value, flag.text);
        for (const FsValue& value : verb.values)
            added->add_option(value.names, choices.fs.*value.value, value.text)
                ->type_name(value.type);
        if (verb.most > 0)
            added->add_option("PATH", choices.fs.operands, verb.operands)
                ->type_name("")
                ->required(verb.least > 0);
        added->set_help_flag("-h,--help", "Print help.");
        added->callback([&choices, &verb] { choices.fs.verb = verb.name; });
    }
}

// What all verbs on a running session take.
void add_of_session(CLI::App& verb, CheckpointRequest& request) {
    verb.add_flag("--json", request.json, "Print one JSON object instead of text.");
    verb.add_option("--session", request.session,
                    "The running session whose id begins like this. Default: the only one.")
        ->type_name("ID");
    verb.set_help_flag("-h,--help", "Print help.");
}

CLI::App* add_policy_verb(CLI::App& policy, CheckpointRequest& request, const char* name,
                          const char* text) {
    CLI::App* verb = policy.add_subcommand(name, text);
    verb->set_help_flag("-h,--help", "Print help.");
    verb->callback([&request, name] { request.policy_verb = name; });
    return verb;
}

void describe_simulate(CLI::App& policy, CheckpointRequest& request) {
    CLI::App* simulate = add_policy_verb(
        policy, request, "simulate",
        "Run strategies against simulated failures, exponentially distributed, and print how much "
        "of the time is useful work, beside fixed intervals.");
    simulate->add_flag("--json", request.json, "Print one JSON object instead of text.");
    simulate->add_option("TEXT", request.policy_text, "Strategies, as `policy set` takes them.")
        ->type_name("")
        ->required();
    const auto add = [&](const char* name, double& value, const char* type, const char* text) {
        return simulate->add_option(name, value, text)
            ->type_name(type)
            ->check(CLI::Range(1e-3, 1e10));
    };
    add("--mtbf", request.mtbf_s, "S", "Mean time between failures of the whole job.")->required();
    add("--cost", request.cost_s, "S", "How long the program stands for one.")->required();
    add("--restart", request.restart_s, "S", "From a failure until it goes on. Default: --cost.");
    add("--hours", request.hours, "H", "How long the job is. Default: 1000.");
    simulate->add_option("--seed", request.seed, "Of the failures. Default: 1.")->type_name("N");
}

void describe_policy(CLI::App& policy, CheckpointRequest& request) {
    policy.require_subcommand(0, 1);
    policy
        .add_option("--interval", request.interval_s,
                    "Set the interval, in seconds, and leave the rest; 0: none.")
        ->type_name("S")
        ->check(CLI::Range(0, 31'536'000));
    CLI::App* set = add_policy_verb(policy, request, "set",
                                    "Put others in their place, from the next point of the program "
                                    "on. When one cannot be had all stays as it is.");
    add_of_session(*set, request);
    set->add_option("TEXT", request.policy_text,
                    "Such as \"young_daly mtbf_s=86400; time_limit exit=true\".")
        ->type_name("")
        ->required();
    add_policy_verb(policy, request, "list",
                    "Print all strategies that can be set, with their parameters: ours, and those "
                    "in the directories of checkpoint.policy_path.")
        ->add_flag("--json", request.json, "Print one JSON object instead of text.");
    describe_simulate(policy, request);
}

// Verbs on a running session.
void describe_checkpoint_session(CLI::App& checkpoint, Choices& choices) {
    CheckpointRequest& request = choices.checkpoint;
    const auto add = [&](const char* name, const char* text) {
        CLI::App* verb = checkpoint.add_subcommand(name, text);
        add_of_session(*verb, request);
        verb->callback([&request, name] {
            request.verb = name;
            request.of_session = true;
        });
        return verb;
    };
    const auto add_waiting = [&](const char* name, const char* text) {
        add(name, text)
            ->add_option("--timeout", request.timeout_s, "Give up waiting after so many seconds.")
            ->type_name("S")
            ->check(CLI::PositiveNumber);
    };
    add_waiting("take", "Have a running session take one at the next point of its program, and "
                        "wait until it is durable.");
    add_waiting("halt", "The same, and its program leaves afterwards (exit code 75), so that it "
                        "can go on later.");
    add_waiting("freeze", "Have all ranks of a running session stand still at the next point of "
                          "its program, and wait until they do. Nothing is saved.");
    add("thaw", "Let a session that stands still go on.");
    add("status", "Print what a running session says of the last one it has taken, and of what it "
                  "copies to the global store.");
    describe_policy(*add("policy", "Print by which strategies a running session takes checkpoints, "
                                   "what they have decided last and why, and when the next one is "
                                   "expected."),
                    request);
}

void describe_checkpoint(CLI::App& app, Choices& choices, Verbs& verbs) {
    using Takes = CheckpointVerb::Takes;
    CheckpointRequest& request = choices.checkpoint;
    verbs.checkpoint = app.add_subcommand(
        "checkpoint", "Look at and remove checkpoints on disk, whether or not a session runs: ssi "
                      "checkpoint VERB DIR...; or have a running session take one.");
    verbs.checkpoint->require_subcommand(0, 1);
    for (const CheckpointVerb& verb : checkpoint_verbs()) {
        CLI::App* added = verbs.checkpoint->add_subcommand(verb.name, verb.text);
        added->add_flag("--json", request.json, "Print one JSON object instead of text.");
        if (verb.version != Takes::nothing)
            added->add_option("--version", request.version,
                              verb.version == Takes::always
                                  ? "This version."
                                  : "This version. Default: the newest complete one.")
                ->type_name("N")
                ->required(verb.version == Takes::always);
        if (verb.all)
            added->add_flag("--all", request.all, "All versions, each byte once.")
                ->excludes("--version");
        if (verb.keep) {
            added->add_option("--keep", request.keep, "How many complete versions stay.")
                ->type_name("N")
                ->required()
                ->check(CLI::Range(1, 1 << 30));
            added->add_flag("--dry-run", request.dry_run, "Only tell what would be removed.");
        }
        added->add_option("DIR", request.directories,
                          "A directory of checkpoints, or one whose directories are; %n in it "
                          "stands for any number. Several are one store in several places, such as "
                          "the nodes' own. Default: checkpoint.directory.")
            ->type_name("");
        added->set_help_flag("-h,--help", "Print help.");
        added->callback([&request, &verb] { request.verb = verb.name; });
    }
    describe_checkpoint_session(*verbs.checkpoint, choices);
}

void describe_restart(CLI::App& app, Choices& choices, Verbs& verbs) {
    RestartRequest& request = choices.restart;
    verbs.restart = add_verb(
        app, choices, "restart",
        "Run a program again from the newest checkpoint: ssi restart DIR -- LAUNCHER..., as "
        "ssi-relaunch does; or tell what it would go on from, and whether all is there: --dry-run, "
        "which changes nothing and needs no mpirun.");
    CLI::Option* dry = verbs.restart->add_flag(
        "--dry-run", request.dry_run,
        "Print the version that would be taken and why no newer one, where its members are, what "
        "redundancy is lost, which files of kDFS it needs, on how many ranks it goes on, and the "
        "memory that they need. Every byte is verified.");
    verbs.restart
        ->add_flag("--quick", request.quick, "Do not read what was saved, but manifests and "
                                             "names alone.")
        ->needs(dry);
    verbs.restart->add_option("--version", request.version, "This version. Default: the newest.")
        ->type_name("N")
        ->needs(dry);
    verbs.restart->add_option("--ranks", request.ranks, "On so many. Default: as many as saved.")
        ->type_name("N")
        ->check(CLI::Range(1, 1 << 20))
        ->needs(dry);
    verbs.restart
        ->add_option("--substitute", request.substitutions,
                     "A file of kDFS to open instead of one that was open (checkpoint.substitute); "
                     "may be given several times.")
        ->type_name("FROM=TO")
        ->allow_extra_args(false);
    verbs.restart
        ->add_option("DIR", request.directories,
                     "A directory of checkpoints, or one whose directories are; %n in it stands "
                     "for any number. Default: checkpoint.directory.")
        ->type_name("");
}

Verbs describe(CLI::App& app, Choices& choices) {
    app.set_help_flag("-h,--help", "Print this help and leave.");
    app.set_version_flag("--version", "ssi " SSI_VERSION, "Print the version and leave.");
    app.require_subcommand(0, 1);  // see run: CLI11 would not name what it took for no verb
    app.footer("Settings: every verb takes --ssi-KEY VALUE and SSI_* variables; see `ssi config`.");
    Verbs verbs{};
    verbs.info = add_verb(app, choices, "info",
                          "Say what libssi runs on: machine, memory, UCX, MPI, launcher.");
    verbs.doctor = add_verb(app, choices, "doctor",
                            "Check whether sessions can run here; name what is wrong and the way "
                            "out. Exits with 1 when a check fails.");
    verbs.doctor->add_option("--ranks", choices.doctor.ranks,
                             "Ranks that will run on this host. Default: as the launcher says, "
                             "else one per usable core.")
        ->type_name("N")
        ->check(CLI::Range(1, 1 << 20));
    verbs.doctor->add_option("--arena", choices.arena,
                             "Memory for objects that each rank needs, such as 4G; fails when it "
                             "cannot fit. Default: arena.limit_bytes.")
        ->type_name("SIZE");
    describe_stat(app, choices, verbs);
    describe_log(app, choices, verbs);
    describe_fs(app, choices, verbs);
    describe_checkpoint(app, choices, verbs);
    describe_restart(app, choices, verbs);
    verbs.config = add_verb(app, choices, "config",
                            "Print all settings: as TOML with the values in force, or as the "
                            "reference in Markdown.");
    CLI::Option* markdown = verbs.config->add_flag("--markdown", choices.markdown,
                                                   "Print docs/configuration.md.");
    verbs.config->add_flag("--toml", choices.toml, "Print TOML (the default).")->excludes(markdown);
    verbs.config->get_option("--json")->excludes(markdown);
    verbs.man = app.add_subcommand("man", "Print a manual page for man -l: ssi, config or errors.");
    verbs.man->add_option("PAGE", choices.page, "ssi, config or errors. Default: ssi.")
        ->type_name("")
        ->check(CLI::IsMember({"ssi", "config", "errors"}));
    for (CLI::App* verb : app.get_subcommands({})) verb->set_help_flag("-h,--help", "Print help.");
    return verbs;
}

void add_help(const CLI::App& verb, const std::string& name, std::vector<VerbHelp>& out) {
    VerbHelp help{name, "", verb.get_description(), {}};
    for (const CLI::Option* option : verb.get_options()) {
        std::string names = option->get_name(false, true);
        if (option->get_positional()) {
            if (!help.operands.empty()) help.operands += " ";
            help.operands += names + (option->get_items_expected_max() > 1 ? "..." : "");
            names = option->get_single_name();
        } else if (!option->get_type_name().empty()) {
            names += " " + option->get_type_name().substr(0, option->get_type_name().find(':'));
        }
        help.options.push_back({names, option->get_description()});
    }
    out.push_back(std::move(help));
    for (const CLI::App* inner : verb.get_subcommands({}))
        add_help(*inner, name + " " + inner->get_name(), out);
}

std::vector<VerbHelp> verb_help(CLI::App& app) {
    std::vector<VerbHelp> out;
    for (const CLI::App* verb : app.get_subcommands({})) add_help(*verb, verb->get_name(), out);
    return out;
}

// Under a launcher all ranks see the same command line; one speaks.
int report(const Failure& failure) {
    if (speaks_alone()) fmt::print(stderr, "ssi: {}\n", failure.to_string());
    return error_info(failure.code).exit_code;
}

int usage(std::string_view text) {
    if (speaks_alone()) fmt::print(stderr, "ssi: {}; see `ssi --help`\n", text);
    return error_info(Errc::invalid_argument).exit_code;
}

int print_manual(CLI::App& app, const std::string& page) {
    fmt::print("{}", page == "config"   ? manual_of_config()
                     : page == "errors" ? manual_of_errors()
                                        : manual_of_program(verb_help(app)));
    return 0;
}

int run(CLI::App& app, const Verbs& verbs, Choices& choices, const Result<Config>& loaded) {
    if (verbs.man->parsed()) return print_manual(app, choices.page);
    if (verbs.doctor->parsed()) {
        choices.doctor.json = choices.json;
        if (!choices.arena.empty()) {
            choices.doctor.arena_bytes = parse_bytes(choices.arena);
            if (!choices.doctor.arena_bytes)
                return usage("--arena: \"" + choices.arena + "\" is no size such as 512M or 4G");
        }
        if (loaded) return run_doctor(choices.doctor, *loaded, std::nullopt);
        return run_doctor(choices.doctor, Config(), loaded.error());
    }
    if (app.get_subcommands().empty()) return usage("a verb is needed, such as info or doctor");
    if (verbs.fs->parsed() && choices.fs.verb.empty())
        return usage("a verb of fs is needed, such as ls or cp");
    if (verbs.checkpoint->parsed() && choices.checkpoint.verb.empty())
        return usage("a verb of checkpoint is needed, such as list or verify");
    for (const FsVerb& verb : fs_verbs())
        if (choices.fs.verb == verb.name && choices.fs.operands.size() < verb.least)
            return usage(fmt::format("fs {}: what is needed is {}", verb.name, verb.operands));
    if (!choices.fs.volumes.empty() && !choices.fs.session.empty())
        return usage("fs: either --session of a running session or --volume of a stopped one");
    if (!loaded) return report(loaded.error());
    if (verbs.fs->parsed())
        return run_fs(choices.fs, static_cast<int>(choices.arguments.size()) - 1,
                      choices.arguments.data());
    if (verbs.info->parsed()) return run_info(*loaded, choices.json);
    if (verbs.stat->parsed() || verbs.nodes->parsed()) {
        choices.stat.json = choices.json;
        choices.stat.watch_seconds = choices.watch_seconds.value_or(0);
        const auto done = verbs.nodes->parsed()
                              ? run_nodes(*loaded, choices.stat.session, choices.json)
                          : choices.files.empty() ? run_stat_session(*loaded, choices.stat)
                                                  : run_stat(choices.files, choices.json);
        return done ? 0 : report(done.error());
    }
    if (verbs.log->parsed()) {
        const auto done = run_log(choices.log_verb, choices.log_directory, choices.json);
        return done ? 0 : report(done.error());
    }
    if (verbs.restart->parsed()) {
        choices.restart.json = choices.json;
        const auto done = run_restart(*loaded, choices.restart);
        return done ? 0 : report(done.error());
    }
    if (verbs.checkpoint->parsed()) {
        const std::string& policy = choices.checkpoint.policy_verb;
        const auto done = policy == "list" || policy == "simulate"
                              ? run_checkpoint_policy(*loaded, choices.checkpoint)
                          : choices.checkpoint.of_session
                              ? run_checkpoint_session(*loaded, choices.checkpoint)
                              : run_checkpoint(*loaded, choices.checkpoint);
        return done ? 0 : report(done.error());
    }
    run_config(*loaded, choices.markdown ? ConfigFormat::markdown
                        : choices.json   ? ConfigFormat::json
                                         : ConfigFormat::toml);
    return 0;
}

// What comes after `--` of `ssi restart` is another program's.
void take_launcher(int& argc, char** argv, RestartRequest& request) {
    if (argc < 2 || std::strcmp(argv[1], "restart") != 0) return;
    for (int i = 2; i < argc; ++i) {
        if (std::strcmp(argv[i], "--") != 0) continue;
        request.launcher.assign(argv + i + 1, argv + argc);
        argc = i;
        return;
    }
}

// Nothing that was printed may be lost in silence: /dev/full, a closed pipe, a full disk.
int flushed(int exit_code) {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
    return report({Errc::io, errno, no_node, "cannot write to standard output"});
}

}  // namespace

int main_of_ssi(int argc, char** argv) {
    // A bad variable or file ends only the verbs that need settings; with flags, all.
    bool has_flags = false;
    for (int i = 1; i < argc && std::strcmp(argv[i], "--") != 0; ++i)
        has_flags |= std::string_view(argv[i]).starts_with("--ssi-");
    Choices choices;
    choices.arguments.assign(argv, argv + argc + 1);
    const auto loaded = Config::load(&argc, argv);
    if (!loaded && has_flags) return report(loaded.error());
    CLI::App app("libssi: one machine out of the nodes of an HPC allocation.", "ssi");
    try {
        const Verbs verbs = describe(app, choices);
        take_launcher(argc, argv, choices.restart);
        app.parse(argc, argv);
        return flushed(run(app, verbs, choices, loaded));
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0)   // --help, --version
            return speaks_alone() ? flushed(app.exit(error)) : 0;
        return usage(error.what());
    } catch (const std::system_error& error) {   // by fmt::print, when a buffer is full
        const int number = error.code().value();
        return report({Errc::io, number, no_node, "cannot write to standard output"});
    } catch (const std::exception& error) {
        return report({Errc::internal, 0, no_node, error.what()});
    }
}

}  // namespace ssi::cli
