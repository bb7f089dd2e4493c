// SPDX-License-Identifier: BSD-3-Clause
// usage: sync_waits holder|home|nobody
// Ranks 0 and 1 wait in every way that synchronisation knows for rank 2, which kills itself while
// it holds the mutex (holder), keeps all the objects (home), or neither. A line for each wait that
// is told of it.
#include <ssi/ssi.hpp>

#include <csignal>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

template <class Wait>
void expect_loss(const char* what, Wait&& wait) {
    try {
        wait();
        std::printf("%s: it did not fail\n", what);
    } catch (const ssi::Error& error) {
        std::printf("%s: %s\n", what, ssi::error_info(error.code()).name);
    }
    std::fflush(stdout);
}

// A name whose mutex and channel have their home on the wanted rank, or not.
std::string name_for(ssi::Session& session, bool at_the_victim) {
    for (int i = 0;; ++i) {
        const std::string name = "object " + std::to_string(i);
        const bool there = [&] {
            const auto home = ssi::kddm::sync::home_of(session.mutex(name).object());
            return home.value == 2;
        }();
        if (there == at_the_victim) return name;
    }
}

void wait_everywhere(ssi::Session& session, const std::string& name, bool mutex_is_lost) {
    std::vector<std::thread> all;
    if (mutex_is_lost)
        all.emplace_back([&] { expect_loss("mutex", [&] { session.mutex(name).lock(); }); });
    all.emplace_back([&] {
        expect_loss("barrier", [&] { session.barrier(name, 100).arrive_and_wait(); });
    });
    all.emplace_back([&] {
        expect_loss("channel", [&] { (void)session.channel<int>(name).receive(); });
    });
    all.emplace_back([&] {
        ssi::Mutex own = session.mutex(name + " of rank " + std::to_string(session.rank()));
        std::unique_lock lock(own);
        expect_loss("condition", [&] { session.condition(name).wait(lock); });
        if (lock.owns_lock()) lock.unlock();
    });
    for (auto& thread : all) thread.join();
}

}  // namespace

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    const std::string role = argc > 1 ? argv[1] : "nobody";
    const std::string name = name_for(session, role == "home");
    if (session.rank() == 2 && role == "holder") session.mutex(name).lock();
    session.barrier();
    if (session.rank() == 2) {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        std::raise(SIGKILL);
    }
    if (role == "home" && session.rank() == 0) session.mutex(name).lock();
    wait_everywhere(session, name, role == "holder" || (role == "home" && session.rank() == 1));
    ssi::Session::exit(0);
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "caught: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
