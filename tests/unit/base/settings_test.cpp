// SPDX-License-Identifier: BSD-3-Clause
// The table of settings keeps its own rules.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "ssi/base/config.hpp"

namespace ssi {
namespace {

using testing::HasSubstr;

TEST(Settings, keys_variables_and_flags_are_unique) {
    std::set<std::string> keys, variables, flags;
    for (const Setting& setting : settings_table()) {
        EXPECT_TRUE(keys.insert(setting.key).second) << setting.key;
        EXPECT_TRUE(variables.insert(variable_name(setting)).second) << setting.key;
        EXPECT_TRUE(flags.insert(flag_name(setting)).second) << setting.key;
    }
    for (const auto& reserved : reserved_variables()) EXPECT_FALSE(variables.count(reserved.name));
    EXPECT_FALSE(flags.count("--ssi-config"));
}

TEST(Settings, names_map_as_documented) {
    const auto table = settings_table();
    const auto warm = std::find_if(table.begin(), table.end(), [](const Setting& s) {
        return std::string(s.key) == "arena.warm_bytes";
    });
    ASSERT_NE(warm, table.end());
    EXPECT_EQ(variable_name(*warm), "SSI_ARENA_WARM_BYTES");
    EXPECT_EQ(flag_name(*warm), "--ssi-arena-warm-bytes");
}

TEST(Settings, no_key_is_also_a_table_and_tables_are_in_one_piece) {
    std::set<std::string> left_tables;
    std::string current;
    for (const Setting& setting : settings_table()) {
        const std::string key = setting.key;
        const auto dot = key.find('.');
        EXPECT_EQ(key.find('.', dot == std::string::npos ? dot : dot + 1), std::string::npos);
        const std::string table = dot == std::string::npos ? "" : key.substr(0, dot);
        if (table != current) {
            EXPECT_FALSE(left_tables.count(table)) << key;
            left_tables.insert(current);
            current = table;
        }
        if (dot != std::string::npos) continue;
        for (const Setting& other : settings_table())
            EXPECT_FALSE(std::string(other.key).starts_with(key + ".")) << key;
    }
}

TEST(Settings, each_has_help_and_a_unit_in_its_name) {
    for (const Setting& setting : settings_table()) {
        const std::string key = setting.key, unit = setting.unit, help = setting.help;
        EXPECT_FALSE(help.empty()) << key;
        EXPECT_EQ(help.back(), '.') << key;
        EXPECT_TRUE(unit.empty() || key.ends_with("_" + unit)) << key;
    }
}

TEST(Settings, documentation_has_a_row_for_each) {
    const std::string text = Config::markdown();
    for (const Setting& setting : settings_table())
        EXPECT_THAT(text, HasSubstr("| `" + std::string(setting.key) + "` | "));
    for (const auto& reserved : reserved_variables())
        EXPECT_THAT(text, HasSubstr("| `" + std::string(reserved.name) + "` | "));
}

}  // namespace
}  // namespace ssi
