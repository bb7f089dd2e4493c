// SPDX-License-Identifier: BSD-3-Clause
// Configuration files. The only file that includes toml++.
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <fmt/core.h>
#include <toml++/toml.h>

#include <algorithm>
#include <iterator>

#include "setting_value.hpp"
#include "ssi/base/config.hpp"

namespace ssi {
namespace {

class Reader {
public:
    Reader(Config& config, std::string_view source_name)
        : config_(config), source_name_(source_name) {}

    Result<void> read(const toml::table& table, const std::string& prefix) {
        for (const auto& [key, node] : table) {
            const std::string full = prefix + std::string(key.str());
            const std::string place =
                fmt::format("{}:{}", source_name_, key.source().begin.line);
            if (const toml::table* inner = node.as_table()) {
                SSI_TRY(check_table(full, place));
                SSI_TRY(read(*inner, full + "."));
                continue;
            }
            SSI_TRY(read_value(full, node, place));
        }
        return {};
    }

private:
    Result<void> check_table(const std::string& name, const std::string& place) {
        const auto settings = settings_table();
        const bool known = std::any_of(settings.begin(), settings.end(), [&](const Setting& s) {
            return std::string_view(s.key).starts_with(name + ".");
        });
        if (known) return {};
        return fail(Errc::bad_config,
                    fmt::format("{}: unknown table [{}]; `ssi config` lists all", place, name));
    }

    Result<void> read_value(const std::string& key, const toml::node& node,
                            const std::string& place) {
        if (const auto* text = node.as_string()) return config_.set(key, text->get(), place);
        if (const auto* number = node.as_integer())
            return config_.set(key, std::to_string(number->get()), place);
        if (const auto* flag = node.as_boolean())
            return config_.set(key, flag->get() ? "true" : "false", place);
        return fail(
            Errc::bad_config,
            fmt::format("{}: {} is neither a string, an integer nor a boolean", place, key));
    }

    Config& config_;
    std::string_view source_name_;
};

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            (out += '\\') += c;
        else if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(byte));
        else
            out += c;
    }
    return out += '"';
}

bool plain_number(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return c >= '0' && c <= '9';
    });
}

}  // namespace

Result<Config> Config::from_toml(std::string_view text, std::string_view source_name) {
    const toml::parse_result parsed = toml::parse(text, source_name);
    if (!parsed)
        return fail(Errc::bad_config,
                    fmt::format("{}:{}: {}", source_name, parsed.error().source().begin.line,
                                parsed.error().description()));
    Config config;
    SSI_TRY(Reader(config, source_name).read(parsed.table(), ""));
    return config;
}

std::string Config::to_toml() const {
    std::string out;
    auto to = std::back_inserter(out);
    std::string_view table;
    for (const Setting& setting : settings_table()) {
        const std::string_view key = setting.key;
        const auto dot = key.find('.');
        const auto here = dot == std::string_view::npos ? std::string_view{} : key.substr(0, dot);
        if (here != table) fmt::format_to(to, "[{}]\n", here);
        table = here;
        const Value& value = values_.find(key)->second;
        const bool bare = setting.type == SettingType::boolean ||
                          (setting.type == SettingType::integer && plain_number(value.text));
        fmt::format_to(to, "# {} Accepted: {}.\n", setting.help, accepted_values(setting));
        if (value.source != "default") fmt::format_to(to, "# Set by {}.\n", value.source);
        fmt::format_to(to, "{} = {}\n\n", key.substr(dot + 1),
                       bare ? value.text : quoted(value.text));
    }
    out.pop_back();
    return out;
}

}  // namespace ssi
