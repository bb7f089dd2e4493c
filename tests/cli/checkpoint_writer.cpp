// SPDX-License-Identifier: BSD-3-Clause
// Makes one version of a checkpoint for tests of `ssi checkpoint`, member i in directory i modulo
// their number: checkpoint_writer HOW VERSION BASE MEMBERS DIR...
// HOW: committed; uncommitted, of another dataset than what is committed by the same number; newer:
// committed, in a format that is not known yet; open: says so and writes on until its input ends;
// parity: of two members, each with the parity of the other.
// With a BASE other than 0 half of the objects are that one's.
#include <unistd.h>
#include <xxhash.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "parity_file.hpp"
#include "ssi/ckpt/store.hpp"
#include "ssi/io/libaio_disk.hpp"

namespace {

using namespace ssi;
using namespace ssi::ckpt;

constexpr std::uint64_t objects = 40;
constexpr std::size_t object_bytes = 5000;

[[noreturn]] void fail_with(const Failure& failure) {
    std::fprintf(stderr, "%s\n", failure.to_string().c_str());
    std::exit(4);
}
template <class T>
T good(Result<T> result) {
    if (!result) fail_with(result.error());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

void put_objects(MemberWriter& member, MemberIndex index, VersionNumber version,
                 VersionNumber base) {
    for (std::uint64_t i = 0; i < objects; ++i) {
        const Part part{.item = SetId{1}, .id = ObjectId(index, i), .version = version,
                        .total = object_bytes};
        const std::string bytes(object_bytes, static_cast<char>('a' + (version + i) % 26));
        if (base != 0 && i % 2 == 0)
            good(member.put_ref(part, object_bytes, {base, index}));
        else
            good(member.put(part, std::as_bytes(std::span(bytes))));
    }
}

Manifest manifest_of(VersionNumber version, std::vector<MemberInfo> members) {
    const auto count = static_cast<std::uint32_t>(members.size());
    return {.dataset = members.front().dataset,
            .version = version,
            .application = "jacobi",
            .build = "build 1",
            .session = "run7",
            .time = 1'790'000'000'000'000'000 + static_cast<Nanoseconds>(version) * 60'000'000'000,
            .level = 1,
            .description = "step " + std::to_string(version * 100),
            .user_number = version * 100,
            .user_bytes = std::vector<std::byte>(3),
            .ranks = count,
            .members = std::move(members),
            .items = {{.kind = ItemKind::set, .id = SetId{1}, .name = "cells",
                       .objects = objects * count, .bytes = objects * object_bytes * count}}};
}

// Members are shorter than a unit: the other one's bytes are the one row that each keeps.
void keep_parity(Store& store, Store& other_store, const MemberInfo& own, const MemberInfo& other) {
    MemberStream mine(store, own), others(other_store, other);
    std::vector<ParityMember> group{good(mine.open()), good(others.open())};
    const auto bytes = static_cast<std::size_t>(group[1].bytes());
    auto writer = good(ParityWriter::begin(store, own.dataset, own.version, own.member));
    good(others.read(0, good(writer->next()).first(bytes)));
    good(writer->add(bytes));
    if (own.member > other.member) std::swap(group[0], group[1]);
    good(writer->finish(std::move(group)));
}

void make_newer(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    const std::uint32_t format = 2;
    std::uint64_t length = 0;
    std::memcpy(bytes.data() + 8, &format, sizeof format);
    std::memcpy(&length, bytes.data() + 16, sizeof length);
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), length - 16);
    std::memcpy(bytes.data() + length - 16, &hash.low64, 8);
    std::memcpy(bytes.data() + length - 8, &hash.high64, 8);
    std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 6) return 2;
    const std::string how = argv[1];
    const VersionNumber version = std::strtoull(argv[2], nullptr, 10);
    const VersionNumber base = std::strtoull(argv[3], nullptr, 10);
    const auto count = static_cast<MemberIndex>(std::strtoul(argv[4], nullptr, 10));
    std::vector<std::unique_ptr<io::Disk>> disks;
    std::vector<std::unique_ptr<Store>> stores;
    for (int i = 5; i < argc; ++i) {
        disks.push_back(good(io::make_libaio_disk(argv[i])));
        stores.push_back(good(Store::open({.disk = disks.back().get(), .lock = true})));
    }
    std::vector<std::unique_ptr<MemberWriter>> writers;
    std::vector<MemberInfo> infos;
    for (MemberIndex i = 0; i < count; ++i) {
        writers.push_back(good(stores[i % stores.size()]->begin(
            {.dataset = {how == "uncommitted" ? 8u : 7u, version}, .version = version, .member = i,
             .rank = i, .host = "host" + std::to_string(i),
             .device = "disk" + std::to_string(i), .group = how == "parity" ? 1u : 0u})));
        put_objects(*writers.back(), i, version, base);
    }
    if (how == "open") {
        std::puts("open");
        std::fflush(stdout);
        while (std::getchar() != EOF) {
        }
        _exit(0);
    }
    for (const auto& writer : writers) infos.push_back(good(writer->finish()));
    if (how == "parity")
        for (MemberIndex i = 0; i < 2; ++i)
            keep_parity(*stores[i % stores.size()], *stores[(1 - i) % stores.size()], infos[i],
                        infos[1 - i]);
    Manifest manifest = manifest_of(version, infos);
    if (how == "parity") manifest.level = parity_level;
    if (how != "uncommitted")
        for (const auto& store : stores) good(store->commit(manifest));
    if (how == "newer")
        for (int i = 5; i < argc; ++i)
            make_newer(argv[i] + ("/v" + std::to_string(version)) + "/manifest");
    return 0;
}
