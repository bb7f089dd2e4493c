// SPDX-License-Identifier: BSD-3-Clause
// Floors that no session stands beside: RMA, memcpy, first touches. 2 ranks, no libssi.
#include <mpi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include "slices.hpp"
#include "ucx_floor.hpp"

namespace ssi::bench {
namespace {

constexpr std::size_t mib = 1u << 20;

// Memory of the kernel's, unmapped at the end.
class Mapping {
public:
    Mapping(std::size_t bytes, int fd, bool huge) : bytes_(bytes) {
        const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
        void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
        if (memory == MAP_FAILED) throw std::runtime_error("mmap refused");
        ::madvise(memory, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
        memory_ = static_cast<char*>(memory);
    }
    ~Mapping() { ::munmap(memory_, bytes_); }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    char* data() { return memory_; }

private:
    std::size_t bytes_;
    char* memory_;
};

// A row of one rank (0) alone, while the other one sleeps.
void measure_alone(const Settings& settings, Report& report, Row row, Side side) {
    if (!settings.wants(row.name)) return;
    if (settings.rank == 0) {
        // No collective may run inside: the other rank is in the barrier below.
        for (int i = 0; i <= settings.repetitions(); ++i) {
            const double ns = side.run(side.operations, nullptr);
            if (i == 0) continue;
            row.slices.push_back(ns);
            row.iterations += side.operations;
        }
        std::vector<double> samples;
        side.run(side.operations, &samples);
        row.percentiles = percentiles(samples);
    }
    sleeping_barrier();
    report.add(std::move(row));
}

double touch_pages(char* memory, std::uint64_t pages, std::size_t page_bytes,
                   std::vector<double>* samples) {
    const double start = now_ns();
    for (std::uint64_t i = 0; i < pages; ++i) {
        const std::uint64_t before = samples ? ticks() : 0;
        static_cast<volatile char*>(memory)[i * page_bytes] = 1;
        if (samples) samples->push_back(static_cast<double>(ticks() - before));
    }
    return (now_ns() - start) / static_cast<double>(pages);
}

void first_touches(const Settings& settings, Report& report) {
    const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    Side anonymous;
    anonymous.operations = 4096;
    anonymous.run = [&](std::uint64_t pages, std::vector<double>* samples) {
        Mapping memory(pages * page_bytes, -1, false);
        return touch_pages(memory.data(), pages, page_bytes, samples);
    };
    Row row{.name = "floor/minor_fault"};
    row.note = "first touch of an anonymous page, no huge pages";
    measure_alone(settings, report, row, anonymous);

    Side shared;
    shared.operations = 4096;
    shared.run = [&](std::uint64_t pages, std::vector<double>* samples) {
        const int fd = ::memfd_create("ssi-bench", MFD_CLOEXEC);
        if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(pages * page_bytes)) != 0)
            throw std::runtime_error("memfd_create refused");
        double ns = 0;
        {
            Mapping memory(pages * page_bytes, fd, false);
            ns = touch_pages(memory.data(), pages, page_bytes, samples);
        }
        ::close(fd);
        return ns;
    };
    row.name = "floor/memfd_fresh";
    row.note = "first touch of a memfd page";
    measure_alone(settings, report, row, shared);
}

void copies(const Settings& settings, Report& report) {
    constexpr std::size_t table_bytes = 256 * mib;
    std::unique_ptr<Mapping> from, to;
    if (settings.rank == 0 && settings.wants("floor/memcpy")) {
        from = std::make_unique<Mapping>(table_bytes, -1, true);
        to = std::make_unique<Mapping>(table_bytes, -1, true);
        std::memset(from->data(), 1, table_bytes);
        std::memset(to->data(), 2, table_bytes);
    }
    std::uint64_t position = 0;
    Side side;
    side.operations = 512;
    side.run = [&](std::uint64_t operations, std::vector<double>* samples) {
        const double start = now_ns();
        for (std::uint64_t i = 0; i < operations; ++i) {
            const std::uint64_t before = samples ? ticks() : 0;
            const std::size_t offset = position++ % (table_bytes / mib) * mib;
            std::memcpy(to->data() + offset, from->data() + offset, mib);
            if (samples) samples->push_back(static_cast<double>(ticks() - before));
            if (to->data()[offset + mib - 1] != 1) wrong_data("memcpy");
        }
        return (now_ns() - start) / static_cast<double>(operations);
    };
    Row row{.name = "floor/memcpy"};
    row.bytes_per_operation = mib;
    row.note = "1 MiB pieces of 256 MiB, one core";
    measure_alone(settings, report, row, side);
}

void remote_gets(const Settings& settings, Report& report) {
    Row row{.name = "floor/ucx_get_1MiB"};
    if (!settings.wants(row.name)) return;
    const int peer = 1 - settings.rank;
    const UcxChoice choice = fastest(get_choices(), peer, {});
    UcxFloor floor(choice, peer);
    Side side;
    side.run = [&](std::uint64_t operations, std::vector<double>* samples) {
        return floor.get(mib, operations, samples);
    };
    alternate(settings, side, row, nullptr, nullptr);
    row.bytes_per_operation = mib;
    row.note = choice.name;
    report.context("floor/ucx_get", choice.name);
    report.add(std::move(row));
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    using namespace ssi::bench;
    return run_program(argc, argv, [](const Settings& settings, Report& report) {
        if (settings.size != 2) throw std::runtime_error("needs 2 ranks");
        remote_gets(settings, report);
        copies(settings, report);
        first_touches(settings, report);
        report.context("ucx", std::string("UCX ") + ucp_get_version_string());
    });
}
