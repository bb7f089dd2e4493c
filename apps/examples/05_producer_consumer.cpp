// SPDX-License-Identifier: BSD-3-Clause
// `mpirun -n 4 05_producer_consumer`: one process makes jobs, all work them off. The channel
// between them is bounded: when the others are slow, the maker works too instead of piling up jobs.
#include <ssi/ssi.hpp>

#include <cstdio>
#include <optional>

struct Job {   // how many primes are there in begin .. end - 1?
    int begin, end;
};

int work(const Job& job) {
    int primes = 0;
    for (int n = job.begin; n < job.end; ++n) {
        bool prime = n > 1;
        for (int d = 2; d * d <= n && prime; ++d) prime = n % d != 0;
        primes += prime;
    }
    return primes;
}

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    auto jobs = session.channel<Job>("jobs", {.capacity = 8});
    std::int64_t primes = 0;
    if (session.rank() == 0) {
        for (int begin = 0; begin < 100000; begin += 1000) {
            const Job job{begin, begin + 1000};
            while (!jobs.try_send(job))   // full: do one of them myself
                if (std::optional<Job> mine = jobs.try_receive()) primes += work(*mine);
        }
        jobs.close();   // nothing comes any more; what is in it can still be received
    }
    while (std::optional<Job> job = jobs.receive())   // waits; empty at the end of the channel
        primes += work(*job);

    const std::int64_t all = session.reduce(primes, ssi::Reduce::sum);
    if (session.rank() == 0)
        std::printf("%d primes below 100000\n", static_cast<int>(all));
    return 0;
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "05_producer_consumer: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
