// SPDX-License-Identifier: BSD-3-Clause
// `mpirun -n 4 08_kept_set DIR`: counters that outlive the run, in directories on the nodes' disks.
// Run it again, with more nodes or fewer: they go on from where they were.
#include <ssi/io/volumes.hpp>
#include <ssi/ssi.hpp>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

struct Counter {
    long value;
};

// The first run makes a volume for each node. Later ones share out what there is.
std::vector<std::string> directories_of(const ssi::Session& session, const std::string& parent) {
    std::filesystem::create_directories(parent);
    int volumes = 0;
    while (std::filesystem::exists(parent + "/volume-" + std::to_string(volumes))) ++volumes;
    if (volumes == 0) volumes = session.size();
    std::vector<std::string> mine;
    for (int i = session.rank(); i < volumes; i += session.size())
        mine.push_back(parent + "/volume-" + std::to_string(i));
    return mine;
}

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    if (argc != 2) {
        std::fprintf(stderr, "usage: 08_kept_set DIR\n");
        return 2;
    }
    const auto directories = directories_of(session, argv[1]);
    session.barrier();   // everybody has looked before anybody makes one
    auto volumes = ssi::value_or_throw(
        ssi::io::Volumes::mount(session, {.directories = directories}));
    auto counters = session.set<Counter>("counters", volumes->keep<Counter>("counters"));

    const long runs_before = counters.get(0)->value;
    session.barrier();
    for (int i = session.rank(); i < 1000; i += session.size()) counters.grab(i)->value += 1;
    session.barrier();
    counters.sync();     // on every node: what it homes is on its disks
    session.barrier();

    long wrong = 0;
    for (int i = session.rank(); i < 1000; i += session.size())
        wrong += counters.get(i)->value != runs_before + 1;
    wrong = session.reduce(wrong, ssi::Reduce::sum);
    if (session.rank() == 0)
        std::printf("run %ld, %zu volumes on %d nodes: %ld of 1000 counters are wrong\n",
                    runs_before + 1, volumes->volumes().size(), session.size(), wrong);
    return wrong == 0 ? 0 : 1;
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "08_kept_set: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
