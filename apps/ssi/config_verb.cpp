// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>

#include "commands.hpp"
#include "ssi/base/json.hpp"

namespace ssi::cli {
namespace {

std::string as_json(const Config& config) {
    Json json;
    json.object().array("settings");
    for (const Setting& setting : settings_table()) {
        json.object().field("key", setting.key);
        switch (setting.type) {
            case SettingType::boolean: json.field("value", config.boolean(setting.key)); break;
            case SettingType::integer: json.field("value", config.integer(setting.key)); break;
            default: json.field("value", config.text(setting.key));
        }
        json.field("unit", setting.unit)
            .field("source", config.source(setting.key))
            .field("default", setting.default_value)
            .field("variable", variable_name(setting))
            .field("flag", flag_name(setting))
            .field("help", setting.help)
            .end();
    }
    return json.end().end().text() + "\n";
}

}  // namespace

void run_config(const Config& config, ConfigFormat format) {
    switch (format) {
        case ConfigFormat::toml: fmt::print("{}", config.to_toml()); return;
        case ConfigFormat::markdown: fmt::print("{}", Config::markdown()); return;
        case ConfigFormat::json: fmt::print("{}", as_json(config)); return;
    }
}

}  // namespace ssi::cli
