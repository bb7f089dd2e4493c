// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

namespace ssi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ScopedVariable {
public:
    ScopedVariable(const char* name, const std::string& value) : name_(name) {
        setenv(name, value.c_str(), 1);
    }
    ~ScopedVariable() { unsetenv(name_); }
    ScopedVariable(const ScopedVariable&) = delete;
    ScopedVariable& operator=(const ScopedVariable&) = delete;

private:
    const char* name_;
};

class Arguments {
public:
    explicit Arguments(std::vector<std::string> words) : words_(std::move(words)) {
        words_.insert(words_.begin(), "program");
        for (auto& word : words_) pointers_.push_back(word.data());
        pointers_.push_back(nullptr);
        count = static_cast<int>(words_.size());
    }
    char** argv() { return pointers_.data(); }
    std::vector<std::string> left() const {
        EXPECT_EQ(pointers_[static_cast<std::size_t>(count)], nullptr);
        return {pointers_.begin() + 1, pointers_.begin() + count};
    }
    int count;

private:
    std::vector<std::string> words_;
    std::vector<char*> pointers_;
};

class ScopedFile {
public:
    explicit ScopedFile(const std::string& text)
        : path((std::filesystem::temp_directory_path() / "ssi-config-XXXXXX").string()) {
        const int fd = mkstemp(path.data());
        if (fd >= 0) close(fd);
        std::ofstream(path) << text;
    }
    ~ScopedFile() { std::filesystem::remove(path); }
    ScopedFile(const ScopedFile&) = delete;
    ScopedFile& operator=(const ScopedFile&) = delete;
    std::string path;
};

std::string failure_of(Arguments arguments) {
    const auto config = Config::load(&arguments.count, arguments.argv());
    if (config) return "loaded";
    EXPECT_EQ(config.error().code, Errc::bad_config);
    return config.error().text;
}

std::string failure_of_toml(std::string_view text) {
    const auto config = Config::from_toml(text, "x.toml");
    if (config) return "loaded";
    EXPECT_EQ(config.error().code, Errc::bad_config);
    return config.error().text;
}

TEST(Config, starts_with_the_defaults) {
    const Config config;
    EXPECT_EQ(config.text("progress"), "auto");
    EXPECT_EQ(config.integer("arena.chunk_bytes"), 2 << 20);
    EXPECT_TRUE(config.boolean("detect.enabled"));
    EXPECT_EQ(config.source("progress"), "default");
}

TEST(Config, flag_beats_variable_beats_file_beats_default) {
    const ScopedFile file(
        "progress = \"yield\"\n[kddm]\nshards = 1\n[wait]\nspin_iterations = 7\n");
    const ScopedVariable config_variable("SSI_CONFIG", file.path);
    const ScopedVariable progress("SSI_PROGRESS", "block");
    const ScopedVariable shards("SSI_KDDM_SHARDS", "2");
    Arguments arguments({"--ssi-kddm-shards", "3"});
    const auto config = Config::load(&arguments.count, arguments.argv());
    ASSERT_TRUE(config) << config.error().text;
    EXPECT_EQ(config->integer("kddm.shards"), 3);
    EXPECT_EQ(config->source("kddm.shards"), "--ssi-kddm-shards");
    EXPECT_EQ(config->text("progress"), "block");
    EXPECT_EQ(config->source("progress"), "SSI_PROGRESS");
    EXPECT_EQ(config->integer("wait.spin_iterations"), 7);
    EXPECT_EQ(config->source("wait.spin_iterations"), file.path + ":5");
    EXPECT_EQ(config->source("log.level"), "default");
}

TEST(Config, flag_names_the_file_before_the_variable_does) {
    const ScopedFile by_variable("[kddm]\nshards = 1\n");
    const ScopedFile by_flag("[kddm]\nshards = 2\n");
    const ScopedVariable config_variable("SSI_CONFIG", by_variable.path);
    Arguments arguments({"a", "--ssi-config=" + by_flag.path, "b"});
    const auto config = Config::load(&arguments.count, arguments.argv());
    ASSERT_TRUE(config) << config.error().text;
    EXPECT_EQ(config->integer("kddm.shards"), 2);
    EXPECT_THAT(arguments.left(), ElementsAre("a", "b"));
}

TEST(Config, removes_its_flags_and_keeps_all_others) {
    Arguments arguments({"--mine", "--ssi-arena-warm-bytes=64K", "file", "--ssi-log-level", "info",
                         "--ssi-arena-huge-pages", "x", "--", "--ssi-log-level", "loud"});
    const auto config = Config::load(&arguments.count, arguments.argv());
    ASSERT_TRUE(config) << config.error().text;
    EXPECT_EQ(config->integer("arena.warm_bytes"), 65536);
    EXPECT_EQ(config->text("log.level"), "info");
    EXPECT_TRUE(config->boolean("arena.huge_pages"));
    EXPECT_THAT(arguments.left(),
                ElementsAre("--mine", "file", "x", "--", "--ssi-log-level", "loud"));
}

TEST(Config, loads_without_arguments) {
    const auto config = Config::load(nullptr, nullptr);
    EXPECT_TRUE(config);
}

TEST(Config, refuses_unknown_flags_and_bad_values_by_name) {
    EXPECT_EQ(failure_of(Arguments({"--ssi-kddm-shard", "3"})),
              "unknown flag --ssi-kddm-shard; did you mean --ssi-kddm-shards?");
    EXPECT_EQ(failure_of(Arguments({"--ssi-completely-different-thing=1"})),
              "unknown flag --ssi-completely-different-thing; `ssi config` lists them");
    EXPECT_EQ(failure_of(Arguments({"--ssi-progress"})),
              "--ssi-progress needs a value: one of auto, spin, yield, block");
    EXPECT_EQ(failure_of(Arguments({"--ssi-progress=sleep"})),
              "--ssi-progress: \"sleep\" is no value for progress: accepted is one of auto, spin, "
              "yield, block");
    EXPECT_EQ(failure_of(Arguments({"--ssi-net-keepalive-ms=5"})),
              "--ssi-net-keepalive-ms: \"5\" is no value for net.keepalive_ms: accepted is 10 to "
              "60000 ms");
    EXPECT_EQ(failure_of(Arguments({"--ssi-config"})), "--ssi-config needs the name of a file");
}

TEST(Config, refuses_unknown_variables_but_reserved_ones) {
    {
        const ScopedVariable seed("SSI_SEED", "7"), session("SSI_SESSION", "x"),
            test("SSI_TEST_ANYTHING", "1");
        EXPECT_EQ(failure_of(Arguments({})), "loaded");
    }
    const ScopedVariable wrong("SSI_ARENA_WARM_BYTE", "7");
    EXPECT_EQ(failure_of(Arguments({})),
              "unknown variable SSI_ARENA_WARM_BYTE; did you mean SSI_ARENA_WARM_BYTES?");
}

TEST(Config, refuses_bad_values_of_variables_by_name) {
    const ScopedVariable wrong("SSI_DETECT_ENABLED", "perhaps");
    EXPECT_EQ(failure_of(Arguments({})),
              "SSI_DETECT_ENABLED: \"perhaps\" is no value for detect.enabled: accepted is true or "
              "false");
}

TEST(Config, names_a_file_that_cannot_be_read_and_who_named_it) {
    {
        const ScopedVariable variable("SSI_CONFIG", "/nonexistent.toml");
        EXPECT_EQ(failure_of(Arguments({})),
                  "SSI_CONFIG: cannot read configuration file /nonexistent.toml");
    }
    Arguments arguments({"--ssi-config", "/"});  // opens, but cannot be read
    const auto config = Config::load(&arguments.count, arguments.argv());
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().text, "--ssi-config: cannot read configuration file /");
    EXPECT_EQ(config.error().sys_errno, EISDIR);
}

TEST(Config, toml_mistakes_name_file_and_line) {
    EXPECT_EQ(failure_of_toml("progress = \"spin\"\n[kddm]\nshard = 1\n"),
              "x.toml:3: unknown setting kddm.shard; did you mean kddm.shards?");
    EXPECT_EQ(failure_of_toml("\n[kdm]\n"),
              "x.toml:2: unknown table [kdm]; `ssi config` lists all");
    EXPECT_EQ(failure_of_toml("[kddm]\nshards = 0\n"),
              "x.toml:2: \"0\" is no value for kddm.shards: accepted is 1 to 4096");
    EXPECT_EQ(failure_of_toml("[kddm]\nshards = 1.5\n"),
              "x.toml:2: kddm.shards is neither a string, an integer nor a boolean");
    EXPECT_THAT(failure_of_toml("progress = \"spin\"\nprogress = \"auto\"\n"),
                HasSubstr("x.toml:2: "));
    EXPECT_THAT(failure_of_toml("[kddm\n"), HasSubstr("x.toml:1: "));
}

TEST(Config, toml_takes_numbers_booleans_and_sizes_as_text) {
    const auto config = Config::from_toml(
        "[arena]\nwarm_bytes = \"3M\"\nlimit_bytes = 1048576\nhuge_pages = false\n", "x.toml");
    ASSERT_TRUE(config) << config.error().text;
    EXPECT_EQ(config->integer("arena.warm_bytes"), 3 << 20);
    EXPECT_EQ(config->integer("arena.limit_bytes"), 1 << 20);
    EXPECT_FALSE(config->boolean("arena.huge_pages"));
    EXPECT_EQ(config->source("arena.huge_pages"), "x.toml:4");
}

TEST(Config, bytes_take_suffixes_other_units_do_not) {
    Config config;
    const std::string_view key = "arena.warm_bytes";
    for (const auto& [text, bytes] : {std::pair<const char*, std::int64_t>{"0", 0},
                                      {"1k", 1024},
                                      {"64K", 65536},
                                      {"2M", 2 << 20},
                                      {"3g", 3ll << 30},
                                      {"1T", 1ll << 40}}) {
        ASSERT_TRUE(config.set(key, text, "test")) << text;
        EXPECT_EQ(config.integer(key), bytes) << text;
    }
    for (const char* text : {"", "K", "1KB", "1X", "-1", "0x10", "1.5M", " 1", "1 K", "65T",
                             "9999999999999T", "99999999999999999999"})
        EXPECT_FALSE(config.set(key, text, "test")) << text;
    EXPECT_EQ(config.integer(key), 1ll << 40) << "a refused value changes nothing";
    EXPECT_FALSE(config.set("net.keepalive_ms", "1K", "test"));
}

TEST(Config, booleans_have_four_spellings) {
    Config config;
    for (const char* yes : {"true", "on", "yes", "1"}) {
        ASSERT_TRUE(config.set("detect.enabled", yes, "test"));
        EXPECT_TRUE(config.boolean("detect.enabled"));
    }
    for (const char* no : {"false", "off", "no", "0"}) {
        ASSERT_TRUE(config.set("detect.enabled", no, "test"));
        EXPECT_FALSE(config.boolean("detect.enabled"));
    }
    EXPECT_FALSE(config.set("detect.enabled", "", "test"));
}

TEST(Config, written_as_toml_it_reads_back_the_same) {
    Config config;
    ASSERT_TRUE(config.set("log.file", "quo\"te\\ \n\x7f end", "test"));
    ASSERT_TRUE(config.set("arena.warm_bytes", "64M", "test"));
    ASSERT_TRUE(config.set("detect.enabled", "no", "test"));
    ASSERT_TRUE(config.set("progress", "spin", "test"));
    const auto again = Config::from_toml(config.to_toml(), "again");
    ASSERT_TRUE(again) << again.error().text;
    for (const Setting& setting : settings_table()) {
        switch (setting.type) {
            case SettingType::boolean:
                EXPECT_EQ(config.boolean(setting.key), again->boolean(setting.key));
                break;
            case SettingType::integer:
                EXPECT_EQ(config.integer(setting.key), again->integer(setting.key));
                break;
            default: EXPECT_EQ(config.text(setting.key), again->text(setting.key));
        }
    }
    EXPECT_THAT(config.to_toml(), HasSubstr("# Set by test.\nprogress = \"spin\"\n"));
}

TEST(ConfigDeathTest, asking_for_what_is_not_in_the_table_is_misuse) {
    const Config config;
    EXPECT_DEATH((void)config.integer("kddm.shard"), "not in runtime/base/settings.cpp");
    EXPECT_DEATH((void)config.integer("log.level"), "of another type");
    EXPECT_DEATH((void)config.source("nothing"), "not in runtime/base/settings.cpp");
}

TEST(ConfigTest, without_any_argument_nothing_beside_them_is_changed) {
    char word[] = "x";
    char* arguments[] = {nullptr, word};
    int argc = 0;
    EXPECT_TRUE(Config::load(&argc, arguments));
    EXPECT_EQ(argc, 0);
    EXPECT_EQ(arguments[1], word);
}

}  // namespace
}  // namespace ssi
