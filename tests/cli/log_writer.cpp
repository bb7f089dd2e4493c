// SPDX-License-Identifier: BSD-3-Clause
// Makes a small log for tests of `ssi log`: log_writer DIR closed|killed|open. `open` says so and
// keeps it open until its input ends.
#include <unistd.h>

#include <cstdio>
#include <string>

#include "ssi/io/libaio_disk.hpp"
#include "ssi/io/object_log.hpp"

int main(int argc, char** argv) {
    using namespace ssi;
    if (argc != 3) return 2;
    const std::string how = argv[2];
    auto disk = io::make_libaio_disk(argv[1]);
    if (!disk) return 3;
    io::ObjectLogOptions options;
    options.log.disk = disk->get();
    options.log.directory = "log";
    options.log.identity = {{0x11, 0x22}, 1};
    options.log.create = true;
    options.log.lock = true;
    options.log.segment_bytes = 64 << 10;
    auto log = io::ObjectLog::open(options);
    if (!log) {
        std::fprintf(stderr, "%s\n", log.error().to_string().c_str());
        return 4;
    }
    const std::string value(1000, 'v');
    for (std::uint64_t i = 0; i < 100; ++i) {
        io::LogTransaction transaction;
        transaction.put(SetId{3}, ObjectId(7, i), std::as_bytes(std::span(value)));
        if (i == 50) transaction.remove(SetId{3}, ObjectId(7, 1));
        const auto applied = (*log)->apply(transaction);
        if (!applied || !(*log)->commit(*applied)) return 5;
    }
    if (how == "killed") _exit(0);
    if (how == "open") {
        std::puts("open");
        std::fflush(stdout);
        while (std::getchar() != EOF) {
        }
    }
    return (*log)->close() ? 0 : 6;
}
