// SPDX-License-Identifier: BSD-3-Clause
#include "fs_answers.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>

namespace ssi::test {
namespace {

// Before 1996: nobody's clock says that.
constexpr std::int64_t long_ago_ns = 820'000'000'000'000'000;
constexpr std::uint64_t whole_bytes = 4u << 20;   // of a file: read all of it
constexpr std::uint64_t end_bytes = 128u << 10;   // of a larger one: read so much at its end

std::string error_text(const Answer& answer) {
    if (!answer.error) return printable(answer.text);
    const char* name = ::strerrorname_np(answer.error);
    return fmt::format("{}{}", name ? name : fmt::format("a failure with errno {}", answer.error),
                       answer.reason.empty() ? "" : " (" + answer.reason + ")");
}

// Whether [from, to) of the reference's file is all zeroes.
bool all_zero(OpenFile& file, std::uint64_t from, std::uint64_t to) {
    std::vector<std::byte> bytes(64u << 10);
    while (from < to) {
        const auto data = file.seek(static_cast<std::int64_t>(from), SEEK_DATA);
        if (!data || *data >= to) return true;
        from = *data;
        const std::uint64_t most = std::min<std::uint64_t>(bytes.size(), to - from);
        const auto got = file.pread(std::span(bytes).first(most), from);
        if (!got || *got == 0) return true;   // not opened for reading, or the end
        for (std::size_t i = 0; i < *got; ++i)
            if (bytes[i] != std::byte{}) return false;
        from += *got;
    }
    return true;
}

// POSIX lets a system know of no holes at all, or of larger ones than another, as long as what it
// calls a hole reads as zeroes.
std::string weak_difference(const Operation& op, const Answer& system, const Answer& expected,
                            OpenFile& reference) {
    const auto attributes = reference.stat();
    if (!attributes) return "the reference has no attributes";
    const std::uint64_t size = attributes->size;
    const bool outside = op.offset >= size;
    if (system.error && system.error != expected.error &&
        !(system.error == ENXIO && op.flags == SEEK_DATA))
        return "another error";
    std::string wrong;
    if (outside || (expected.error && expected.error != ENXIO)) {
        if (system.error != expected.error) wrong = "an answer instead of an error";
    } else if (system.error) {
        if (!all_zero(reference, op.offset, size)) wrong = "there is data behind it";
    } else if (system.place < op.offset || system.place > size) {
        wrong = fmt::format("a place outside of the file of {} bytes", size);
    } else if (op.flags == SEEK_DATA) {
        if (!all_zero(reference, op.offset, system.place)) wrong = "it skips data";
    } else if (system.place < size) {
        if (!all_zero(reference, system.place, system.place + 1)) wrong = "no hole is there";
    }
    const auto back = reference.seek(17, SEEK_SET);
    return back ? wrong : "the reference cannot seek";
}

void walk_file(FileApi& api, const std::string& path, std::uint64_t size, std::string& text) {
    const auto file = api.open(path, O_RDONLY, 0, {});
    if (!file) {
        text += fmt::format(" cannot be opened: errno {}", file.error().sys_errno);
        return;
    }
    std::uint64_t from = 0, hash = 0;
    if (size > whole_bytes) from = size - end_bytes;
    std::vector<std::byte> bytes(std::min(size - from, whole_bytes) + 1);
    const auto got = (*file)->pread(bytes, from);
    if (!got) {
        text += fmt::format(" cannot be read: errno {}", got.error().sys_errno);
        return;
    }
    for (std::size_t i = 0; i < *got; ++i)
        hash = (hash ^ static_cast<std::uint64_t>(bytes[i])) * 0x100000001b3;
    text += fmt::format(" {} bytes from {}: {:x}", *got, from, hash);
}

void walk_below(FileApi& api, const std::string& path, std::string& text) {
    auto entries = api.list(path, 100, true);
    if (!entries) {
        text += fmt::format("{}: cannot be listed: errno {}\n", printable(path),
                            entries.error().sys_errno);
        return;
    }
    std::ranges::sort(*entries, {}, &fs::DirectoryEntry::name);
    for (const auto& entry : *entries) {
        const std::string below = path + "/" + entry.name;
        text += printable(below, 1000) + ": " + text_of(entry.attributes);
        const auto attributes = api.stat(below, false);
        if (!attributes || text_of(*attributes) != text_of(entry.attributes))
            text += " (stat does not say what the list says)";
        if (entry.attributes.is_symlink()) {
            const auto target = api.read_link(below);
            text += " -> " + (target ? printable(*target) : "?");
        } else if (auto names = api.list_xattrs(below); names && !names->empty()) {
            std::ranges::sort(*names);   // they come in any order
            for (const auto& name : *names)
                if (const auto value = api.get_xattr(below, name))
                    text += " " + printable(name) + "=" + printable(raw_text(*value));
        }
        if (entry.attributes.is_file()) walk_file(api, below, entry.attributes.size, text);
        text += "\n";
        if (entry.attributes.is_directory()) walk_below(api, below, text);
    }
}

// The first lines that two long answers do not share.
std::string lines_apart(const std::string& system, const std::string& expected) {
    std::size_t line = 0;
    for (std::size_t i = 0; i < std::min(system.size(), expected.size()); ++i) {
        if (system[i] != expected[i]) break;
        if (system[i] == '\n') line = i + 1;
    }
    const auto from = [&](const std::string& text) {
        return line >= text.size() ? std::string("nothing more")
                                   : text.substr(line, text.find('\n', line) - line);
    };
    return "\n  got:      " + from(system) + "\n  expected: " + from(expected);
}

}  // namespace

std::string printable(const std::string& bytes, std::size_t most) {
    std::string text;
    for (const char c : bytes) {
        if (text.size() > most)
            return text + fmt::format("... ({} bytes in all)", bytes.size());
        if (c >= ' ' && c < 127 && c != '\'' && c != '\\')
            text += c;
        else
            text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    return text;
}

Answer answer_of(const Failure& failure) {
    // A failure without an errno is none that a caller can act on.
    return {.error = failure.sys_errno ? failure.sys_errno : -1, .reason = failure.to_string()};
}

Answer answer_of(const Result<void>& outcome) {
    return outcome ? Answer{.text = "success"} : answer_of(outcome.error());
}

Answer answer_of_count(const Result<std::size_t>& outcome) {
    return outcome ? Answer{.text = fmt::format("{} bytes", *outcome)}
                   : answer_of(outcome.error());
}

Answer answer_of_read(const Result<std::size_t>& outcome, std::span<const std::byte> bytes) {
    return outcome ? Answer{.text = raw_text(bytes.first(*outcome))} : answer_of(outcome.error());
}

std::string raw_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string text_of(const fs::Attributes& of) {
    std::string text = fmt::format("mode {:o} uid {} gid {}", of.mode, of.uid, of.gid);
    if (!of.is_directory()) text += fmt::format(" links {} size {}", of.links, of.size);
    if (of.modify_ns < long_ago_ns) text += fmt::format(" mtime {}", of.modify_ns);
    if (of.change_ns < long_ago_ns) text += fmt::format(" ctime {}", of.change_ns);
    return text;
}

std::string text_of(std::vector<fs::DirectoryEntry>& entries, bool attributes) {
    std::ranges::sort(entries, {}, &fs::DirectoryEntry::name);
    std::string text = fmt::format("{} entries\n", entries.size());
    for (const auto& entry : entries) {
        text += fmt::format("{} type {:o}", printable(entry.name), entry.type & S_IFMT);
        if (attributes) text += " " + text_of(entry.attributes);
        text += "\n";
    }
    return text;
}

std::string text_of_names(std::vector<std::string>& names) {
    std::ranges::sort(names);
    std::string text = fmt::format("{} names\n", names.size());
    for (const auto& name : names) text += printable(name) + "\n";
    return text;
}

Answer walk(FileApi& api, const std::string& path) {
    std::string text;
    walk_below(api, path, text);
    return {.text = std::move(text)};
}

void make_top(FileApi& api, const std::string& path) {
    for (auto at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
        if (!api.stat(path.substr(0, at), true))
            value_or_throw(api.make_directory(path.substr(0, at), 0777));
    value_or_throw(api.make_directory(path, 0777));
    value_or_throw(api.make_directory(path + "/big", 0777));
}

void remove_tree(FileApi& api, const std::string& path) {
    for (const auto& entry : value_or_throw(api.list(path, 1000, false))) {
        const std::string below = path + "/" + entry.name;
        if (S_ISDIR(entry.type))
            remove_tree(api, below);
        else
            value_or_throw(api.unlink(below));
    }
    value_or_throw(api.remove_directory(path));
}

std::string difference(const Operation& op, const Answer& system, const Answer& expected,
                       OpenFile* reference) {
    if (system.weak && expected.weak && reference) {
        const std::string wrong = weak_difference(op, system, expected, *reference);
        if (wrong.empty()) return "";
        return fmt::format("{}\n  got:      {} {}\n  expected: {} {}", wrong, error_text(system),
                           system.place, error_text(expected), expected.place);
    }
    if (system.error == expected.error && system.text == expected.text) return "";
    if (!system.error && !expected.error) {
        if (system.text.find('\n') != std::string::npos &&
            expected.text.find('\n') != std::string::npos)
            return lines_apart(system.text, expected.text);
        std::size_t at = 0;
        while (at < std::min(system.text.size(), expected.text.size()) &&
               system.text[at] == expected.text[at])
            ++at;
        const std::size_t from = at < 40 ? 0 : at;
        return fmt::format("\n  got:      {} bytes, from {}: {}\n  expected: {} bytes, from {}: {}",
                           system.text.size(), from, printable(system.text.substr(from), 120),
                           expected.text.size(), from,
                           printable(expected.text.substr(from), 120));
    }
    return "\n  got:      " + error_text(system) + "\n  expected: " + error_text(expected);
}

}  // namespace ssi::test
