// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/config.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <utility>

#include "setting_value.hpp"
#include "ssi/base/assert.hpp"

namespace ssi {
namespace {

constexpr std::string_view variable_prefix = "SSI_";
constexpr std::string_view test_prefix = "SSI_TEST_";
constexpr std::string_view flag_prefix = "--ssi-";
constexpr std::string_view config_flag = "--ssi-config";

constexpr std::array reserved{
    ReservedVariable{"SSI_CONFIG", "TOML file with settings; --ssi-config goes before it."},
    ReservedVariable{"SSI_SEED", "Seed of tests and of the simulator, to replay a failure."},
    ReservedVariable{"SSI_SESSION", "Contact of a running session that a program joins."},
};

std::string spelled(const Setting& setting, std::string_view prefix, char separator, bool upper) {
    std::string out(prefix);
    for (const char* c = setting.key; *c; ++c) {
        if (*c == '.' || *c == '_')
            out += separator;
        else
            out += upper && *c >= 'a' && *c <= 'z' ? static_cast<char>(*c - 'a' + 'A') : *c;
    }
    return out;
}

std::string key_name(const Setting& setting) { return setting.key; }

const Setting* find_spelled(std::string_view name, std::string (*spell)(const Setting&)) {
    for (const Setting& setting : settings_table())
        if (name == spell(setting)) return &setting;
    return nullptr;
}

bool is_reserved(std::string_view name) {
    if (name.starts_with(test_prefix)) return true;
    for (const auto& variable : reserved)
        if (name == variable.name) return true;
    return false;
}

Result<std::string> read_config_file(const std::string& path, std::string_view named_by) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    std::string text;
    std::array<char, 4096> buffer;
    ssize_t n = fd < 0 ? -1 : 0;
    if (fd >= 0)
        while ((n = ::read(fd, buffer.data(), buffer.size())) > 0)
            text.append(buffer.data(), static_cast<std::size_t>(n));
    const int error = errno;
    if (fd >= 0) ::close(fd);
    if (n < 0)
        return fail_errno(Errc::bad_config, error,
                          fmt::format("{}: cannot read configuration file {}", named_by, path));
    return text;
}

// Takes arguments of argv away; keeps the terminating null.
class ArgumentEditor {
public:
    ArgumentEditor(int* argc, char** argv) : argc_(argc), argv_(argv) {}
    ~ArgumentEditor() {
        while (read_ < *argc_) keep();
        argv_[write_] = nullptr;
        *argc_ = write_;
    }
    ArgumentEditor(const ArgumentEditor&) = delete;
    ArgumentEditor& operator=(const ArgumentEditor&) = delete;

    bool at_end() const { return read_ >= *argc_; }
    std::string_view current() const { return argv_[read_]; }
    void keep() { argv_[write_++] = argv_[read_++]; }
    std::string_view take() { return argv_[read_++]; }

private:
    int* argc_;
    char** argv_;
    int read_ = 1;
    int write_ = 1;
};

struct Flag {
    std::string_view name;
    std::optional<std::string_view> value;
};

// The flag and, with "=", its value.
Flag split_flag(std::string_view argument) {
    const auto equals = argument.find('=');
    if (equals == std::string_view::npos) return {argument, std::nullopt};
    return {argument.substr(0, equals), argument.substr(equals + 1)};
}

// The value of --ssi-config, which must be known before the other flags are applied.
Result<std::optional<std::string>> config_flag_value(int argc, char** argv) {
    std::optional<std::string> path;
    for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
        const Flag flag = split_flag(argv[i]);
        if (flag.name != config_flag) continue;
        if (!flag.value && i + 1 >= argc)
            return fail(Errc::bad_config, "--ssi-config needs the name of a file");
        path = flag.value ? *flag.value : argv[++i];
    }
    return path;
}

}  // namespace

std::string variable_name(const Setting& s) { return spelled(s, variable_prefix, '_', true); }
std::string flag_name(const Setting& s) { return spelled(s, flag_prefix, '-', false); }
std::span<const ReservedVariable> reserved_variables() { return reserved; }

Config::Config() {
    for (const Setting& setting : settings_table()) {
        const auto set_default = set(setting.key, setting.default_value, "default");
        SSI_ASSERT(set_default, "a default of settings.cpp is outside its own range");
    }
}

Result<void> Config::set(std::string_view key, std::string_view value, std::string_view source) {
    const Setting* setting = find_setting(key);
    if (!setting)
        return fail(Errc::bad_config, fmt::format("{}: unknown setting {}{}", source, key,
                                                  did_you_mean(key, key_name)));
    auto parsed = parse_setting(*setting, value, source);
    if (!parsed) return tl::unexpected(std::move(parsed).error());
    values_.insert_or_assign(std::string(key), Value{std::move(parsed->text), parsed->integer,
                                                     std::string(source)});
    return {};
}

Result<Config> Config::load(int* argc, char** argv) {
    std::optional<std::string> path;
    std::string named_by(config_flag);
    if (argc) {
        auto flag = config_flag_value(*argc, argv);
        if (!flag) return tl::unexpected(std::move(flag).error());
        path = std::move(*flag);
    }
    if (const char* variable = std::getenv("SSI_CONFIG"); !path && variable && *variable) {
        path = variable;
        named_by = "SSI_CONFIG";
    }
    Config config;
    if (path) {
        const auto text = read_config_file(*path, named_by);
        if (!text) return tl::unexpected(text.error());
        auto from_file = from_toml(*text, *path);
        if (!from_file) return from_file;
        config = std::move(*from_file);
    }
    SSI_TRY(config.read_environment());
    if (argc) SSI_TRY(config.read_flags(argc, argv));
    return config;
}

Result<void> Config::read_environment() {
    for (char** entry = environ; entry && *entry; ++entry) {
        const std::string_view variable = *entry;
        const auto equals = variable.find('=');
        const auto name = variable.substr(0, equals);
        if (!name.starts_with(variable_prefix) || is_reserved(name)) continue;
        const Setting* setting = find_spelled(name, variable_name);
        if (!setting)
            return fail(Errc::bad_config, fmt::format("unknown variable {}{}", name,
                                                      did_you_mean(name, variable_name)));
        SSI_TRY(set(setting->key, variable.substr(equals + 1), name));
    }
    return {};
}

Result<void> Config::read_flags(int* argc, char** argv) {
    if (*argc < 1) return {};   // not even a program's name
    ArgumentEditor arguments(argc, argv);
    while (!arguments.at_end() && arguments.current() != "--") {
        if (!arguments.current().starts_with(flag_prefix)) {
            arguments.keep();
            continue;
        }
        Flag flag = split_flag(arguments.take());
        const Setting* setting = find_spelled(flag.name, flag_name);
        if (!setting && flag.name != config_flag)
            return fail(Errc::bad_config,
                        fmt::format("unknown flag {}{}", flag.name,
                                    did_you_mean(flag.name, flag_name)));
        if (!flag.value && setting && setting->type == SettingType::boolean) flag.value = "true";
        if (!flag.value && arguments.at_end())
            return fail(Errc::bad_config, fmt::format("{} needs a value: {}", flag.name,
                                                      accepted_values(*setting)));
        if (!flag.value) flag.value = arguments.take();
        if (setting) SSI_TRY(set(setting->key, *flag.value, flag.name));
    }
    return {};
}

const Config::Value& Config::value(std::string_view key, SettingType type) const {
    const Setting* setting = find_setting(key);
    SSI_ASSERT(setting, "the setting is not in runtime/base/settings.cpp: add its row there");
    const bool text_like = type == SettingType::text && setting->type == SettingType::choice;
    SSI_ASSERT(setting->type == type || text_like, "the setting is of another type");
    return values_.find(key)->second;
}

bool Config::boolean(std::string_view key) const {
    return value(key, SettingType::boolean).integer != 0;
}
std::int64_t Config::integer(std::string_view key) const {
    return value(key, SettingType::integer).integer;
}
const std::string& Config::text(std::string_view key) const {
    return value(key, SettingType::text).text;
}

const std::string& Config::source(std::string_view key) const {
    const auto found = values_.find(key);
    SSI_ASSERT(found != values_.end(), "the setting is not in runtime/base/settings.cpp");
    return found->second.source;
}

}  // namespace ssi
