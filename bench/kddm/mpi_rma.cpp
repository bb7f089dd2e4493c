// SPDX-License-Identifier: BSD-3-Clause
// MPI-3 remote memory access without libssi: rank 0 reads, and adds to, single words of rank 1's
// window in one lock_all epoch, a flush each time. 2 ranks; OMPI_MCA_osc chooses the component.
#include <mpi.h>

#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "slices.hpp"

namespace ssi::bench {
namespace {

constexpr std::uint64_t words = 1 << 18;   // 2 MiB: four times L2 here

std::string component() {
    const char* chosen = std::getenv("OMPI_MCA_osc");
    return std::string("lock_all, flush; osc=") + (chosen ? chosen : "default");
}

class Window {
public:
    Window() {
        MPI_Win_allocate(words * 8, 8, MPI_INFO_NULL, MPI_COMM_WORLD, &base_, &window_);
        int rank = 0;
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        for (std::uint64_t i = 0; i < words; ++i) base_[i] = rank == 1 ? first(i) : 0;
        MPI_Barrier(MPI_COMM_WORLD);
        MPI_Win_lock_all(MPI_MODE_NOCHECK, window_);
    }
    ~Window() {
        MPI_Win_unlock_all(window_);
        MPI_Win_free(&window_);
    }
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;
    MPI_Win get() const { return window_; }
    static std::uint64_t first(std::uint64_t i) { return i * 0x9e3779b97f4a7c15; }
    // An order that no prefetcher follows; visits every word.
    static std::uint64_t place(std::uint64_t i) { return i * 0x9e3779b1 % words; }

private:
    std::uint64_t* base_ = nullptr;
    MPI_Win window_ = MPI_WIN_NULL;
};

// Rank 0 runs `operation(i)`; rank 1 waits in a barrier, as in ours.
void measure(const Settings& settings, Report& report, const std::string& name,
             const std::function<void(std::uint64_t)>& operation) {
    std::uint64_t done = 0;
    Side side;
    side.run = [&](std::uint64_t count, std::vector<double>* samples) {
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = now_ns();
        for (std::uint64_t i = 0; settings.rank == 0 && i < count; ++i) {
            const std::uint64_t before = samples ? ticks() : 0;
            operation(done + i);
            if (samples) samples->push_back(static_cast<double>(ticks() - before));
        }
        const double ns = (now_ns() - start) / static_cast<double>(count);
        done += count;
        MPI_Barrier(MPI_COMM_WORLD);
        return ns;
    };
    Row row{.name = name};
    row.note = component();
    alternate(settings, side, row, nullptr, nullptr);
    report.add(std::move(row));
}

void run(const Settings& settings, Report& report) {
    if (settings.wants("peer/mpi_get_8B")) {
        const Window window;
        measure(settings, report, "peer/mpi_get_8B", [&](std::uint64_t i) {
            const std::uint64_t place = Window::place(i);
            std::uint64_t found = 0;
            MPI_Get(&found, 1, MPI_UINT64_T, 1, static_cast<MPI_Aint>(place), 1, MPI_UINT64_T,
                    window.get());
            MPI_Win_flush(1, window.get());
            if (found != Window::first(place)) wrong_data("peer/mpi_get_8B");
        });
    }
    if (settings.wants("peer/mpi_fetch_add")) {
        const Window window;
        measure(settings, report, "peer/mpi_fetch_add", [&](std::uint64_t i) {
            const std::uint64_t place = Window::place(i), one = 1;
            std::uint64_t found = 0;
            MPI_Fetch_and_op(&one, &found, MPI_UINT64_T, 1, static_cast<MPI_Aint>(place), MPI_SUM,
                             window.get());
            MPI_Win_flush(1, window.get());
            // Every word is visited once in `words` operations.
            if (found != Window::first(place) + i / words) wrong_data("peer/mpi_fetch_add");
        });
    }
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    using namespace ssi::bench;
    return run_program(argc, argv, [](const Settings& settings, Report& report) {
        if (settings.size != 2) throw std::runtime_error("needs 2 ranks");
        run(settings, report);
    });
}
