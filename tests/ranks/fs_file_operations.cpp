// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

#include "fs_answers.hpp"
#include "fs_verb.hpp"

namespace ssi::test {

std::vector<std::byte> bytes_of(const Operation& operation) {
    std::vector<std::byte> bytes(operation.length);
    std::uint64_t state = mix64(operation.seed ^ mix64(operation.number));
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
        state = mix64(state);
        std::memcpy(bytes.data() + i, &state, std::min<std::size_t>(8, bytes.size() - i));
    }
    return bytes;
}

Side::Slot* slot_of(const Operation& operation, Side& side) {
    for (std::uint32_t i = 0; i < Side::slots; ++i) {
        Side::Slot& slot = side.files[(operation.slot + i) % Side::slots];
        if (slot.file) return &slot;
    }
    return nullptr;
}

void draw_slot(Drawing& draw, Operation& op) {
    op.slot = static_cast<std::uint32_t>(draw.below(Side::slots));
}

namespace {

template <class Body>
Answer with_file(const Operation& operation, Side& side, Body body) {
    Side::Slot* slot = slot_of(operation, side);
    return slot ? body(*slot) : Answer{.text = "no file is open"};
}

void draw_range(Drawing& draw, Operation& op) {
    draw_slot(draw, op);
    op.offset = draw.place();
    op.length = draw.length();
}
void draw_place(Drawing& draw, Operation& op) {
    draw_slot(draw, op);
    op.offset = draw.place();
}
Answer pread_file(const Operation& op, FileApi&, Side& side) {
    return with_file(op, side, [&](Side::Slot& slot) {
        std::vector<std::byte> bytes(op.length);
        return answer_of_read(slot.file->pread(bytes, op.offset), bytes);
    });
}
Answer read_file(const Operation& op, FileApi&, Side& side) {
    return with_file(op, side, [&](Side::Slot& slot) {
        std::vector<std::byte> bytes(op.length);
        return answer_of_read(slot.file->read(bytes), bytes);
    });
}
Answer pwrite_file(const Operation& op, FileApi&, Side& side) {
    return with_file(op, side, [&](Side::Slot& slot) {
        return answer_of_count(slot.file->pwrite(bytes_of(op), op.offset));
    });
}
Answer write_file(const Operation& op, FileApi&, Side& side) {
    return with_file(op, side, [&](Side::Slot& slot) {
        return answer_of_count(slot.file->write(bytes_of(op)));
    });
}
Answer seek_file(const Operation& op, FileApi&, Side& side) {
    return with_file(op, side, [&](Side::Slot& slot) -> Answer {
        if (slot.is_directory) return {.text = "places in directories are each system's own"};
        const int whence = op.flags % 3 == 0 ? SEEK_SET : op.flags % 3 == 1 ? SEEK_CUR : SEEK_END;
        const auto offset = static_cast<std::int64_t>(op.offset % 1'000'000) -
                            (op.flags > 4 ? 70'000 : 0);
        const auto place = slot.file->seek(offset, whence);
        return place ? Answer{.text = fmt::format("place {}", *place)} : answer_of(place.error());
    });
}
// SEEK_DATA and SEEK_HOLE, then a place that both systems know.
Answer seek_hole(const Operation& op, FileApi&, Side& side) {
    return with_file(op, side, [&](Side::Slot& slot) -> Answer {
        if (slot.is_directory) return {.text = "places in directories are each system's own"};
        const auto place = slot.file->seek(static_cast<std::int64_t>(op.offset), op.flags);
        const auto back = slot.file->seek(17, SEEK_SET);
        if (!back) return answer_of(back.error());
        Answer answer = place ? Answer{.text = "a place", .place = *place}
                              : answer_of(place.error());
        answer.weak = true;
        return answer;
    });
}
Answer truncate_file(const Operation& op, FileApi&, Side& side) {
    return with_file(op, side, [&](Side::Slot& slot) {
        return answer_of(slot.file->truncate(op.offset));
    });
}
void draw_allocate(Drawing& draw, Operation& op) {
    draw_range(draw, op);
    constexpr int keep = FALLOC_FL_KEEP_SIZE, punch = FALLOC_FL_PUNCH_HOLE;
    op.flags = draw.one_of({0, keep, punch | keep, punch | keep});
    if (draw.shape().zero_range && draw.chance(40))
        op.flags = FALLOC_FL_ZERO_RANGE | (draw.chance(50) ? keep : 0);
    // Room for what lies far behind the end is nothing that a disk must have.
    if (!(op.flags & punch)) op.offset %= 2'000'000;
    if (draw.chance(2)) op.flags = draw.one_of({punch, punch | FALLOC_FL_ZERO_RANGE | keep});
}
Answer allocate_file(const Operation& op, FileApi&, Side& side) {
    return with_file(op, side, [&](Side::Slot& slot) -> Answer {
        if (slot.is_directory) return {.text = "not for directories"};
        return answer_of(slot.file->allocate(op.flags, op.offset, op.length));
    });
}
Answer stat_file(const Operation& op, FileApi&, Side& side) {
    return with_file(op, side, [&](Side::Slot& slot) {
        const auto attributes = slot.file->stat();
        return attributes ? Answer{.text = text_of(*attributes)} : answer_of(attributes.error());
    });
}
Answer close_file(const Operation& op, FileApi&, Side& side) {
    return with_file(op, side, [&](Side::Slot& slot) -> Answer {
        slot = {};
        return {.text = "closed"};
    });
}

const Verb verbs[] = {
    {"pread", 130, false, draw_range, pread_file},
    {"pwrite", 140, true, draw_range, pwrite_file},
    {"read", 20, false, draw_range, read_file},
    {"write", 30, true, draw_range, write_file},
    {"seek", 15, false,
     [](Drawing& draw, Operation& op) {
         draw_place(draw, op);
         op.flags = static_cast<int>(draw.below(9));
     },
     seek_file},
    {"seek hole", 30, false,
     [](Drawing& draw, Operation& op) {
         draw_place(draw, op);
         op.flags = draw.chance(50) ? SEEK_DATA : SEEK_HOLE;
     },
     seek_hole},
    {"ftruncate", 40, true, draw_place, truncate_file},
    {"fallocate", 40, true, draw_allocate, allocate_file},
    {"fstat", 40, false, draw_slot, stat_file},
    {"fsync", 1, false, draw_slot,
     [](const Operation& op, FileApi&, Side& side) {
         return with_file(op, side, [](Side::Slot& slot) { return answer_of(slot.file->sync()); });
     }},
    {"close", 30, false, draw_slot, close_file},
};

}  // namespace

std::span<const Verb> file_verbs() { return verbs; }

}  // namespace ssi::test
