// SPDX-License-Identifier: BSD-3-Clause
// One table of settings. It generates the TOML keys, the SSI_* environment variables, the --ssi-*
// flags and docs/configuration.md. Precedence: flag over environment over file over default.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/base/result.hpp"

namespace ssi {

enum class SettingType : std::uint8_t { boolean, integer, text, choice };

struct Setting {
    const char* key;           // "arena.warm_bytes": TOML table.key
    SettingType type;
    const char* unit;          // "bytes", "ms", "us", ""; bytes also accept 64K, 2M, 1G
    const char* default_value; // as text
    const char* choices;       // "auto|spin|yield|block" for choice, else ""
    std::int64_t minimum;      // for integers
    std::int64_t maximum;
    const char* help;          // one or two sentences
};

std::span<const Setting> settings_table();
// "arena.warm_bytes" -> "SSI_ARENA_WARM_BYTES" and "--ssi-arena-warm-bytes".
std::string variable_name(const Setting& setting);
std::string flag_name(const Setting& setting);
// SSI_ variables that are no settings, and what they are for; SSI_TEST_* is free for tests.
struct ReservedVariable {
    const char* name;
    const char* help;
};
std::span<const ReservedVariable> reserved_variables();

// The values in force; immutable after load, shared by all nodes of a process. Thread-safe to read.
class Config {
public:
    Config();  // all defaults

    // Reads the TOML file that --ssi-config or else $SSI_CONFIG names, then SSI_* variables, then
    // --ssi-* arguments up to a "--" (`--ssi-key value` or `--ssi-key=value`; a boolean flag alone
    // means true), which it removes from argv; argc may be null. An unknown key, variable or flag,
    // or a value out of range: bad_config, naming it, its source (file and line, variable, flag)
    // and what is accepted.
    static Result<Config> load(int* argc, char** argv);
    static Result<Config> from_toml(std::string_view text, std::string_view source_name);

    Result<void> set(std::string_view key, std::string_view value, std::string_view source);

    // Unknown keys and wrong types assert: the table is the list. A map look-up each: ask once, at
    // start-up. integer() is in the setting's unit; text() also serves choices.
    bool boolean(std::string_view key) const;
    std::int64_t integer(std::string_view key) const;
    const std::string& text(std::string_view key) const;
    // Where the value in force came from: "default", "x.toml:3", "SSI_LOG_LEVEL",
    // "--ssi-log-level".
    const std::string& source(std::string_view key) const;

    std::string to_toml() const;    // all values, with help as comments; from_toml reads it
    static std::string markdown();  // docs/configuration.md, whole

private:
    struct Value {
        std::string text;
        std::int64_t integer = 0;
        std::string source;
    };
    const Value& value(std::string_view key, SettingType type) const;
    Result<void> read_environment();
    Result<void> read_flags(int* argc, char** argv);

    std::map<std::string, Value, std::less<>> values_;
};

}  // namespace ssi
