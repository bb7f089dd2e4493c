// SPDX-License-Identifier: BSD-3-Clause
// Manual pages in roff (man(7)), from the command line, the table of settings and that of errors.
#include <fmt/core.h>

#include <iterator>

#include "commands.hpp"

namespace ssi::cli {
namespace {

// Backslashes and hyphens mean something to roff, and so does a full stop or quote that begins a
// line.
std::string roff(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
    }
    if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
    return out;
}

std::string title(const char* name, int section, const char* what) {
    return fmt::format(".TH {} {} \"\" \"libssi {}\" \"libssi\"\n.SH NAME\n{} \\- {}\n", name,
                       section, SSI_VERSION, roff(name), what);
}

void entry(std::string& out, const std::string& tag, std::string_view text) {
    fmt::format_to(std::back_inserter(out), ".TP\n.B {}\n{}\n", roff(tag), roff(text));
}

}  // namespace

std::string manual_of_program(const std::vector<VerbHelp>& verbs) {
    std::string out = title("ssi", 1, "inspect libssi, the machine it runs on and its runs");
    out += ".SH SYNOPSIS\n";
    for (const VerbHelp& verb : verbs)
        out += fmt::format(".B ssi {}\n[options]{}\n.br\n", verb.name,
                           verb.operands.empty() ? "" : " \\fI" + roff(verb.operands) + "\\fR");
    out += ".B ssi\n\\-\\-help | \\-\\-version\n"
           ".SH DESCRIPTION\n"
           "libssi turns the nodes of an HPC allocation into one machine in user space.\n"
           ".B ssi\n"
           "needs neither mpirun nor a running session, and changes nothing;\n"
           ".B ssi checkpoint rm\nand\n.B ssi checkpoint prune\nremove checkpoints;\n.B ssi fs\n"
           "works on the files of a session, running or stopped, alone or under mpirun.\n";
    for (const VerbHelp& verb : verbs) {
        out += fmt::format(".SH \"ssi {}\"\n{}\n", verb.name, roff(verb.text));
        for (const OptionHelp& option : verb.options) entry(out, option.names, option.text);
    }
    out += ".SH SETTINGS\nEvery verb takes settings as flags, variables and a file; see\n"
           ".BR libssi\\-config (5).\n"
           ".SH \"EXIT STATUS\"\n0 when all is well; 1 when\n.B ssi doctor\nfound a failure; 2 for "
           "a mistake on the command line; else as listed in\n.BR libssi\\-errors (7).\n";
    return out;
}

std::string manual_of_config() {
    std::string out = title("libssi-config", 5, "settings of programs that use libssi");
    out += ".SH DESCRIPTION\n"
           "A program takes each setting from, the first found wins: a flag, an environment "
           "variable, the TOML file that\n.B \\-\\-ssi\\-config\nor\n.B SSI_CONFIG\nnames, its "
           "default. Settings in bytes take the suffixes K, M, G and T.\n"
           ".SH SETTINGS\n";
    for (const Setting& setting : settings_table())
        entry(out,
              fmt::format("{}, {}, {}", setting.key, variable_name(setting), flag_name(setting)),
              fmt::format("{} Default: {}{}{}.", setting.help,
                          *setting.default_value ? setting.default_value : "empty",
                          *setting.unit ? " " : "",
                          std::string_view(setting.unit) == "bytes" ? "" : setting.unit));
    out += ".SH VARIABLES\n";
    for (const auto& variable : reserved_variables()) entry(out, variable.name, variable.help);
    out += ".SH \"SEE ALSO\"\n.BR ssi (1),\n.BR libssi\\-errors (7)\n";
    return out;
}

std::string manual_of_errors() {
    std::string out = title("libssi-errors", 7, "errors of libssi: numbers, names, exit codes");
    out += ".SH DESCRIPTION\n"
           "Every error has one number, one name and one sentence. Public C++ functions throw it "
           "as\n.BR ssi::Error ;\nC functions return the number, which\n.B <ssi/ssi.h>\n"
           "calls SSI_ERR_ and the name in capitals (0 is SSI_OK); programs of libssi end with its "
           "exit code.\n.SH ERRORS\n";
    for (const ErrorInfo& info : error_table())
        entry(out,
              fmt::format("{} {} (exit code {})", static_cast<unsigned>(info.code), info.name,
                          info.exit_code),
              info.text);
    out += ".SH \"SEE ALSO\"\n.BR ssi (1),\n.BR libssi\\-config (5)\n";
    return out;
}

}  // namespace ssi::cli
