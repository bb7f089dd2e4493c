// SPDX-License-Identifier: BSD-3-Clause
#include "remote_read.hpp"

#include <cstddef>
#include <cstring>

namespace ssi::kddm {
namespace {

constexpr std::uint64_t access = pin::readable | pin::writer_held;

bool open(std::uint64_t word) { return (word & access) == pin::readable; }
Look closed(std::uint64_t word) {
    return word & pin::writer_held ? Look::changing : Look::away;
}

}  // namespace

void RemoteRead::start(net::Transport& transport, sys::Waiter& waiter, sys::WaitCell& cell,
                       ReadJob& job, NodeId home, std::uint64_t entry, Options options) {
    transport_ = &transport;
    waiter_ = &waiter;
    cell_ = &cell;
    job_ = &job;
    entry_ = entry;
    options_ = options;
    wish_ = job.reading;
    tries_ = 0;
    failed_ = false;
    home_ = home;
    fetch(Step::header, entry_, 0, sizeof(Entry));
}

void RemoteRead::post(Part& part, std::uint64_t at, std::span<std::byte> to) {
    part.owner = this;
    part.from = home_;
    part.address = at;
    part.into = to;
    part.done = &RemoteRead::on_done;
    transport_->get(part);
}

// One get, into header_ at `offset`.
void RemoteRead::fetch(Step step, std::uint64_t at, std::size_t offset, std::size_t bytes) {
    step_ = step;
    missing_ = 1;
    post(first_, at, std::span(header_).subspan(offset, bytes));
}

void RemoteRead::on_done(net::Get& get, Errc outcome) {
    RemoteRead& self = *static_cast<Part&>(get).owner;
    self.failed_ = self.failed_ || outcome != Errc::ok;
    if (--self.missing_ == 0) self.took();
}

void RemoteRead::took() {
    if (failed_) return end(Look::unknown);
    switch (step_) {
        case Step::header: return took_header();
        case Step::length: return fetch_bytes(field<Block>(0).length);
        case Step::bytes: return took_bytes();
        case Step::word: return took_word();
        case Step::version: return took_version();
    }
}

bool RemoteRead::named() const {
    return field<ObjectId>(offsetof(Entry, id)) == wish_.id &&
           field<std::uint32_t>(offsetof(Entry, set)) == wish_.set.value;
}

RemoteRead::Place RemoteRead::place() const {
    const auto length = field<std::uint8_t>(offsetof(Entry, inline_length));
    return {length, length != 0 ? 0 : field<std::uint64_t>(offsetof(Entry, block))};
}

void RemoteRead::took_header() {
    const auto word = field<std::uint64_t>(offsetof(Entry, word));
    version_ = field<std::uint64_t>(offsetof(Entry, version));
    place_ = place();
    if (!named()) return end(Look::another);
    if (!open(word)) return look_again(closed(word));
    reading_ = wish_;
    if (place_.inline_length > max_inline_bytes) return end(Look::unknown);
    if (place_.inline_length != 0) return fetch_bytes(place_.inline_length);
    if (options_.fixed_length != 0) return fetch_bytes(options_.fixed_length);
    fetch(Step::length, place_.block, 0, sizeof(Block));
}

void RemoteRead::fetch_bytes(std::uint32_t length) {
    reading_.object_length = length;
    inside_ = reading_.fits();
    const std::uint32_t wanted = inside_ ? reading_.true_length() : 0;
    // A length that was mixed from two is no reason to take so much memory, either.
    if (wanted > most_bytes || length > max_object_bytes) return end(Look::unknown);
    if (inside_) reading_.length = wanted;
    if (place_.inline_length != 0 || !inside_) return fetch(Step::bytes, entry_, 0, sizeof(Entry));
    step_ = Step::bytes;
    missing_ = 2;
    post(second_, entry_, header_);
    post(first_, place_.block + sizeof(Block) + reading_.offset, {job_->room(wanted), wanted});
}

void RemoteRead::took_bytes() {
    if (!named() || place() != place_) return look_again(Look::changing);
    if (place_.inline_length != 0 && inside_) {
        std::byte* to = job_->room(reading_.length);
        if (reading_.length != 0)
            std::memcpy(to, header_ + offsetof(Entry, small) + reading_.offset, reading_.length);
    }
    if (!options_.verify) return end(inside_ ? Look::seen : Look::outside);
    fetch(Step::word, entry_, 0, sizeof(std::uint64_t));
}

void RemoteRead::took_word() {
    const auto word = field<std::uint64_t>(0);
    if (!open(word)) return look_again(closed(word));
    constexpr std::size_t at = offsetof(Entry, version);
    fetch(Step::version, entry_ + at, at, sizeof(std::uint64_t));
}

void RemoteRead::took_version() {
    if (field<std::uint64_t>(offsetof(Entry, version)) != version_)
        return look_again(Look::changing);
    end(inside_ ? Look::seen : Look::outside);
}

// A writer will be done soon, mostly. Who is not in luck waits in the home's queue.
void RemoteRead::look_again(Look seen) {
    if (seen != Look::changing || ++tries_ == most_tries) return end(seen);
    fetch(Step::header, entry_, 0, sizeof(Entry));
}

void RemoteRead::end(Look seen) {
    seen_ = seen;
    if (seen == Look::seen || seen == Look::outside) {
        reading_.version = version_ & version_writes_mask;
        job_->reading = reading_;
    }
    waiter_->notify(*cell_);   // the task may leave at once
}

}  // namespace ssi::kddm
