// SPDX-License-Identifier: BSD-3-Clause
#include "fs_operations.hpp"

#include <sys/xattr.h>

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

#include "fs_answers.hpp"
#include "fs_verb.hpp"

namespace ssi::test {

namespace {

void draw_path(Drawing& draw, Operation& op) { op.path = draw.path(); }
void draw_safe(Drawing& draw, Operation& op) { op.path = draw.safe_path(); }
void draw_named(Drawing& draw, Operation& op) {
    op.path = draw.path();
    op.other = draw.xattr_name();
}

// ---- names

Answer open_file(const Operation& op, FileApi& api, Side& side) {
    Side::Slot& slot = side.files[op.slot];
    slot = {};
    auto file = api.open(op.path, op.flags, op.mode, op.striping);
    if (!file) return answer_of(file.error());
    const auto attributes = (*file)->stat();
    if (!attributes) return answer_of(attributes.error());
    slot = {std::move(*file), op.path, attributes->is_directory()};
    return {.text = text_of(*attributes)};
}
void draw_open(Drawing& draw, Operation& op) {
    draw_slot(draw, op);
    op.path = draw.path();
    op.flags = draw.open_flags();
    op.mode = draw.mode();
    op.striping = draw.striping();
}
void draw_two_paths(Drawing& draw, Operation& op) {
    op.path = draw.safe_path();
    op.other = draw.chance(6) ? op.path : draw.chance(6) ? op.path + "/in" : draw.safe_path();
}
void draw_rename(Drawing& draw, Operation& op) {
    draw_two_paths(draw, op);
    if (draw.chance(15)) op.flags = RENAME_NOREPLACE;
}
void draw_symlink(Drawing& draw, Operation& op) {
    op.path = draw.path();
    op.other = draw.target();
}
void draw_mkdir(Drawing& draw, Operation& op) {
    op.path = draw.directory_path();
    op.mode = draw.chance(70) ? 0777 : draw.mode();
}
Answer link_file(const Operation& op, FileApi& api, Side& side) {
    // Linux has rules of its own (fs.protected_hardlinks) for users other than 0.
    if (side.user) return {.text = "links are for user 0"};
    return answer_of(api.link(op.path, op.other));
}
Answer list_directory(const Operation& op, FileApi& api, Side& side) {
    auto entries = api.list(op.path, op.length, op.flags && !side.user);
    if (!entries) return answer_of(entries.error());
    return {.text = text_of(*entries, op.flags && !side.user)};
}

// ---- attributes

void draw_chmod(Drawing& draw, Operation& op) {
    op.path = draw.shape().users ? draw.plain_path() : draw.path();
    op.mode = draw.mode();
}
void draw_chown(Drawing& draw, Operation& op) {
    draw_chmod(draw, op);
    op.offset = draw.one_of<std::uint64_t>({0, 1000, 1001, 1002, UINT32_MAX});
    op.length = draw.one_of<std::uint64_t>({0, 1000, 2000, 3000, UINT32_MAX});
    op.flags = draw.chance(30);
}
Answer change_owner(const Operation& op, FileApi& api, Side&) {
    fs::AttributeChange change;
    if (op.offset != UINT32_MAX) change.uid = static_cast<std::uint32_t>(op.offset);
    if (op.length != UINT32_MAX) change.gid = static_cast<std::uint32_t>(op.length);
    return answer_of(api.set_attributes(op.path, change, op.flags == 0));
}
void draw_utimens(Drawing& draw, Operation& op) {
    op.path = draw.path();
    op.flags = static_cast<int>(draw.below(18));
    op.offset = draw.below(800'000'000'000'000'000);   // long ago: told from times of now
    op.length = draw.below(800'000'000'000'000'000);
}
Answer set_times(const Operation& op, FileApi& api, Side&) {
    fs::AttributeChange change;
    const bool follow = (op.flags & 8) == 0;
    const bool both_now = (op.flags & 16) != 0;
    if (!both_now && (op.flags & 1)) change.access_ns = static_cast<std::int64_t>(op.offset);
    if (op.flags & 2) change.modify_ns = static_cast<std::int64_t>(op.length);
    if ((op.flags & 6) == 4) change.modify_now = true;
    if (both_now) change.access_now = change.modify_now = true;
    if (const auto set = api.set_attributes(op.path, change, follow); !set)
        return answer_of(set.error());
    const auto now = api.stat(op.path, follow);
    if (!now) return answer_of(now.error());
    std::string text = text_of(*now);
    // To go through a symbolic link may change when it was accessed.
    if (change.access_ns && !now->is_symlink()) text += fmt::format(" atime {}", now->access_ns);
    return {.text = std::move(text)};
}
Answer truncate_path(const Operation& op, FileApi& api, Side&) {
    fs::AttributeChange change;
    change.size = op.offset;
    return answer_of(api.set_attributes(op.path, change, true));
}
void draw_truncate_path(Drawing& draw, Operation& op) {
    op.path = draw.path();
    op.offset = draw.place();
}
Answer stat_path(const Operation& op, FileApi& api, Side&) {
    const auto attributes = api.stat(op.path, true);
    return attributes ? Answer{.text = text_of(*attributes)} : answer_of(attributes.error());
}
Answer lstat_path(const Operation& op, FileApi& api, Side&) {
    const auto attributes = api.stat(op.path, false);
    return attributes ? Answer{.text = text_of(*attributes)} : answer_of(attributes.error());
}
void draw_set_xattr(Drawing& draw, Operation& op) {
    draw_named(draw, op);
    op.length = draw.chance(1) ? 65537 : draw.below(150);
    op.flags = draw.one_of<int>({0, 0, XATTR_CREATE, XATTR_REPLACE});
}
Answer get_xattr(const Operation& op, FileApi& api, Side&) {
    const auto value = api.get_xattr(op.path, op.other);
    return value ? Answer{.text = raw_text(*value)} : answer_of(value.error());
}
Answer list_xattrs(const Operation& op, FileApi& api, Side&) {
    auto names = api.list_xattrs(op.path);
    return names ? Answer{.text = text_of_names(*names)} : answer_of(names.error());
}
Answer become(const Operation& op, FileApi& api, Side& side) {
    side.user = op.who.uid;
    return answer_of(api.become(op.who));
}

const Verb verbs[] = {
    {"open", 190, true, draw_open, open_file},
    {"mkdir", 60, true, draw_mkdir,
     [](const Operation& op, FileApi& api, Side&) {
         return answer_of(api.make_directory(op.path, op.mode));
     }},
    {"rmdir", 14, true, draw_safe,
     [](const Operation& op, FileApi& api, Side&) {
         return answer_of(api.remove_directory(op.path));
     }},
    {"unlink", 60, true, draw_path,
     [](const Operation& op, FileApi& api, Side&) { return answer_of(api.unlink(op.path)); }},
    {"rename", 50, true, draw_rename,
     [](const Operation& op, FileApi& api, Side&) {
         return answer_of(api.rename(op.path, op.other, static_cast<unsigned>(op.flags)));
     }},
    {"link", 45, true, draw_two_paths, link_file},
    {"symlink", 35, true, draw_symlink,
     [](const Operation& op, FileApi& api, Side&) {
         return answer_of(api.symlink(op.other, op.path));
     }},
    {"readlink", 15, false, draw_path,
     [](const Operation& op, FileApi& api, Side&) {
         const auto target = api.read_link(op.path);
         return target ? Answer{.text = *target} : answer_of(target.error());
     }},
    {"list", 25, false,
     [](Drawing& draw, Operation& op) {
         op.path = draw.chance(30) ? draw.shape().top : draw.path();
         op.length = draw.one_of<std::uint64_t>({1, 2, 7, 50, 1024});
         op.flags = draw.chance(50);
     },
     list_directory},
    {"chmod", 25, true, draw_chmod,
     [](const Operation& op, FileApi& api, Side&) {
         fs::AttributeChange change;
         change.mode = op.mode;
         return answer_of(api.set_attributes(op.path, change, true));
     }},
    {"chown", 12, true, draw_chown, change_owner},
    {"utimens", 25, true, draw_utimens, set_times},
    {"truncate", 20, true, draw_truncate_path, truncate_path},
    {"stat", 45, false, draw_path, stat_path},
    {"lstat", 35, false, draw_path, lstat_path},
    {"access", 20, false,
     [](Drawing& draw, Operation& op) {
         op.path = draw.path();
         op.mode = static_cast<std::uint32_t>(draw.below(8));
     },
     [](const Operation& op, FileApi& api, Side&) {
         return answer_of(api.access(op.path, static_cast<int>(op.mode)));
     }},
    {"setxattr", 25, true, draw_set_xattr,
     [](const Operation& op, FileApi& api, Side&) {
         return answer_of(api.set_xattr(op.path, op.other, bytes_of(op), op.flags));
     }},
    {"getxattr", 15, false, draw_named, get_xattr},
    {"listxattr", 10, false, draw_path, list_xattrs},
    {"removexattr", 10, true, draw_named,
     [](const Operation& op, FileApi& api, Side&) {
         return answer_of(api.remove_xattr(op.path, op.other));
     }},
    {"become", 4, false, [](Drawing& draw, Operation& op) { op.who = draw.credentials(); }, become},
    {"sync", 2, false, draw_path,
     [](const Operation& op, FileApi& api, Side&) { return answer_of(api.sync(op.path)); }},
    {"walk", 1, false, [](Drawing& draw, Operation& op) { op.path = draw.shape().top; },
     [](const Operation& op, FileApi& api, Side& side) {
         return side.user ? Answer{.text = "walks are for user 0"} : walk(api, op.path);
     }},
};

const Verb& verb_of(std::uint64_t drawn) {
    for (const std::span<const Verb> some : {std::span<const Verb>(verbs), file_verbs()})
        for (const Verb& verb : some) {
            if (drawn < verb.weight) return verb;
            drawn -= verb.weight;
        }
    return verbs[0];
}

std::uint64_t all_weights() {
    std::uint64_t sum = 0;
    for (const std::span<const Verb> some : {std::span<const Verb>(verbs), file_verbs()})
        for (const Verb& verb : some) sum += verb.weight;
    return sum;
}

}  // namespace

Operation operation_of(std::uint64_t seed, std::uint64_t number, const Shape& shape) {
    Random random(mix64(seed) ^ mix64(number + 1));
    Drawing drawing(random, shape);
    Operation operation;
    operation.seed = seed;
    operation.number = number;
    do {
        operation.verb = &verb_of(random.below(all_weights()));
    } while ((!shape.xattrs && std::strstr(operation.verb->name, "xattr")) ||
             (shape.apart && operation.verb->run == become));
    operation.verb->draw(drawing, operation);
    return operation;
}

bool changes(const Operation& operation) { return operation.verb->changes; }

OpenFile* file_of(const Operation& operation, Side& side) {
    Side::Slot* slot = slot_of(operation, side);
    return slot ? slot->file.get() : nullptr;
}

Answer carry_out(const Operation& operation, FileApi& api, Side& side) {
    return operation.verb->run(operation, api, side);
}

std::string describe_verb(const Operation& operation) { return operation.verb->name; }

std::string describe(const Operation& op) {
    std::string text = fmt::format("{} {}", op.number, op.verb->name);
    if (!op.path.empty() || op.verb->draw == draw_path) text += " '" + printable(op.path) + "'";
    if (!op.other.empty()) text += " '" + printable(op.other) + "'";
    if (op.flags) text += fmt::format(" flags {:#o}", op.flags);
    if (op.mode) text += fmt::format(" mode {:#o}", op.mode);
    if (op.path.empty() || op.verb->run == open_file) text += fmt::format(" slot {}", op.slot);
    if (op.offset || op.length) text += fmt::format(" at {} length {}", op.offset, op.length);
    if (!(op.striping == fs::Striping{}))
        text += fmt::format(" stripes of {} on {}", op.striping.unit_bytes, op.striping.count);
    if (op.verb->run == become)
        text += fmt::format(" uid {} gid {} umask {:#o}", op.who.uid, op.who.gid, op.who.umask);
    return text;
}

}  // namespace ssi::test
