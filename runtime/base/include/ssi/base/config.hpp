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
    const char* key;           // "arena.warm_bytes": TOML table.key; SSI_ARENA_WARM_BYTES; --ssi-arena-warm-bytes
    SettingType type;
    const char* unit;          // "bytes", "ms", "us", "" ...; integers of unit bytes accept 64K, 2M, 1G
    const char* default_value; // as text
    const char* choices;       // "auto|spin|yield|block" for choice, else ""
    std::int64_t minimum;      // for integers
    std::int64_t maximum;
    const char* help;          // one or two sentences
};

std::span<const Setting> settings_table();

// The values in force; immutable after load, shared by all nodes of a process. Thread-safe to read.
class Config {
public:
    Config();  // all defaults

    // Reads $SSI_CONFIG (TOML, when set), then SSI_* variables, then --ssi-* arguments, which it
    // removes from argv. An unknown key, variable or flag, or a value out of range: bad_config,
    // naming it, its source (file and line, variable, flag) and what is accepted.
    static Result<Config> load(int* argc, char** argv);
    static Result<Config> from_toml(std::string_view text, std::string_view source_name);

    Result<void> set(std::string_view key, std::string_view value, std::string_view source);

    bool boolean(std::string_view key) const;          // unknown keys assert: the table is the list
    std::int64_t integer(std::string_view key) const;
    const std::string& text(std::string_view key) const;
    // Where the value in force came from: "default", "file x.toml:3", "SSI_LOG", "--ssi-log".
    const std::string& source(std::string_view key) const;

    std::string to_toml() const;
    static std::string markdown();  // docs/configuration.md, whole

private:
    struct Value {
        std::string text;
        std::int64_t integer = 0;
        std::string source;
    };
    std::map<std::string, Value, std::less<>> values_;
};

}  // namespace ssi
