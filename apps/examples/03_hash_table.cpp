// SPDX-License-Identifier: BSD-3-Clause
// `mpirun -n 4 03_hash_table`: all processes count the words of one text in a hash table that lies
// in all of their memories. A bucket is an object: two processes wait for each other only when they
// want the same bucket.
#include <ssi/ssi.hpp>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

constexpr std::string_view text =
    "how much wood would a woodchuck chuck if a woodchuck could chuck wood he would chuck he would "
    "as much as he could and chuck as much wood as a woodchuck would if a woodchuck could chuck "
    "wood";
constexpr std::uint64_t buckets = 16;

struct Bucket {   // trivially copyable, so it travels as it lies in memory
    static constexpr unsigned room = 15;
    struct Entry {
        char word[24];
        std::uint64_t count;
    };
    std::uint64_t used;   // every object is born as zero bytes: an empty bucket
    Entry entries[room];
};

void count(ssi::kddm::Set<Bucket>& table, std::string_view word) {
    auto bucket = table.grab(std::hash<std::string_view>{}(word) % buckets);
    for (std::uint64_t i = 0; i < bucket->used; ++i) {
        if (bucket->entries[i].word != word) continue;
        ++bucket->entries[i].count;
        return;
    }
    if (bucket->used == Bucket::room)
        throw ssi::Error({ssi::Errc::too_large, 0, ssi::no_node, "a bucket is full"});
    Bucket::Entry& entry = bucket->entries[bucket->used++];
    word.copy(entry.word, sizeof entry.word - 1);   // the rest is zero already
    entry.count = 1;
}

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    auto table = session.set<Bucket>("words", {.count = buckets});
    int position = 0;
    for (std::string_view rest = text; !rest.empty(); ++position) {
        const std::string_view word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        if (position % session.size() == session.rank()) count(table, word);   // my share
    }
    session.barrier();   // all have counted
    if (session.rank() == 0) {
        std::vector<Bucket::Entry> all;
        for (std::uint64_t b = 0; b < buckets; ++b) {
            auto bucket = table.get(b);   // a copy, which stays as it is while we look
            all.insert(all.end(), bucket->entries, bucket->entries + bucket->used);
        }
        std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
            return a.count != b.count ? a.count > b.count
                                      : std::string_view(a.word) < std::string_view(b.word);
        });
        for (std::size_t i = 0; i < 3; ++i)
            std::printf("%s: %d\n", all[i].word, static_cast<int>(all[i].count));
    }
    return 0;
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "03_hash_table: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
