/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Update buffers, loops over what is here and release hooks of the C API. */
#include "c_check.h"

static int64_t number_at(ssi_set *set, ssi_object_id id, uint32_t offset) {
    int64_t value = -1;
    CHECK(ssi_read(set, id, offset, &value, sizeof value, NULL) == SSI_OK);
    return value;
}

/* ---- update buffers ---- */

static void buffered_updates_execute_once_by_the_flush(void) {
    enum { objects = 64, each = 3000 };
    ssi_set *set = make_set("buffered", 32, objects);
    ssi_updates *sums, *most, *products;
    uint64_t i;
    CHECK(ssi_updates_create(set, SSI_ADD, SSI_I64, &sums) == SSI_OK);
    CHECK(ssi_updates_create(set, SSI_MAXIMUM, SSI_U64, &most) == SSI_OK);
    CHECK(ssi_updates_create(set, SSI_ADD, SSI_F64, &products) == SSI_OK);
    for (i = 0; i < each; ++i) {
        CHECK(ssi_updates_add_i64(sums, ssi_id(i % objects), 8, -1) == SSI_OK);
        CHECK(ssi_updates_add_u64(most, ssi_id(i % objects), 16, ((uint64_t)1 << 63) + i) ==
              SSI_OK);
        CHECK(ssi_updates_add_f64(products, ssi_id(i % objects), 24, 0.5) == SSI_OK);
    }
    CHECK(ssi_updates_flush(sums) == SSI_OK);
    CHECK(ssi_updates_flush(most) == SSI_OK);
    CHECK(ssi_updates_destroy(products) == SSI_OK);   /* flushes */
    meet();
    for (i = 0; i < objects; ++i) {
        const uint64_t last = each - 1 - (each - 1 - i) % objects;
        const int64_t times = (int64_t)(each / objects + (i < each % objects)) * size();
        uint64_t u = 0;
        double d = 0;
        CHECK(number_at(set, ssi_id(i), 0) == 0);
        CHECK(number_at(set, ssi_id(i), 8) == -times);
        CHECK(ssi_read(set, ssi_id(i), 16, &u, 8, NULL) == SSI_OK);
        CHECK(u == ((uint64_t)1 << 63) + last);
        CHECK(ssi_read(set, ssi_id(i), 24, &d, 8, NULL) == SSI_OK && d == 0.5 * (double)times);
    }
    CHECK(ssi_updates_destroy(sums) == SSI_OK);
    CHECK(ssi_updates_destroy(most) == SSI_OK);
    CHECK(ssi_updates_destroy(NULL) == SSI_OK);
}

static void fetched_updates_tell_what_stood_there_in_order(void) {
    enum { count = 700 };
    ssi_set *set = make_set("fetched", 24, 0);
    const ssi_object_id mine = ssi_id2(5, (uint64_t)rank());
    ssi_updates *updates;
    static int64_t stood[count];
    uint64_t u = 1;
    double d = 1;
    int64_t i;
    CHECK(ssi_updates_create(set, SSI_EXCHANGE, SSI_I64, &updates) == SSI_OK);
    for (i = 0; i < count; ++i)
        CHECK(ssi_updates_fetch_i64(updates, mine, 0, i + 1, &stood[i]) == SSI_OK);
    CHECK(ssi_updates_flush(updates) == SSI_OK);
    for (i = 0; i < count; ++i) CHECK(stood[i] == i);
    CHECK(number_at(set, mine, 0) == count);
    CHECK(ssi_updates_destroy(updates) == SSI_OK);
    CHECK(ssi_updates_create(set, SSI_MINIMUM, SSI_U64, &updates) == SSI_OK);
    CHECK(ssi_updates_fetch_u64(updates, mine, 0, 7, &u) == SSI_OK);
    CHECK(ssi_updates_destroy(updates) == SSI_OK && u == count);
    CHECK(number_at(set, mine, 0) == 7);
    CHECK(ssi_updates_create(set, SSI_MINIMUM, SSI_F64, &updates) == SSI_OK);
    CHECK(ssi_updates_fetch_f64(updates, mine, 8, -1.5, NULL) == SSI_ERR_INVALID_ARGUMENT);
    CHECK(ssi_updates_fetch_f64(updates, mine, 8, -2.5, &d) == SSI_OK);
    CHECK(ssi_updates_flush(updates) == SSI_OK && d == 0);
    CHECK(ssi_updates_fetch_f64(updates, mine, 8, -0.5, &d) == SSI_OK);
    CHECK(ssi_updates_flush(updates) == SSI_OK && d == -2.5);
    CHECK(ssi_updates_destroy(updates) == SSI_OK);
}

static void what_cannot_be_added_is_an_error_and_not_added(void) {
    ssi_set *set = make_set("not added", 16, 4);
    const ssi_object_id mine = ssi_id((uint64_t)rank());
    ssi_updates *updates = NULL;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_updates_create(set, (enum ssi_operator)4, SSI_I64, &updates), "operator");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_updates_create(set, SSI_ADD, (enum ssi_number)3, &updates), "number");
    CHECK(updates == NULL);
    CHECK(ssi_updates_create(set, SSI_ADD, SSI_I64, &updates) == SSI_OK);
    CHECK(ssi_updates_add_i64(updates, mine, 0, 5) == SSI_OK);
    CHECK_ERROR(SSI_ERR_MISMATCH, ssi_updates_add_u64(updates, mine, 0, 1), "another kind");
    CHECK_ERROR(SSI_ERR_MISMATCH, ssi_updates_add_f64(updates, mine, 0, 1), "another kind");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_updates_add_i64(updates, mine, 4, 1), "aligned");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_updates_add_i64(updates, mine, 16, 1), "aligned");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_updates_add_i64(updates, ssi_id(4), 0, 1), "range");
    CHECK(ssi_updates_destroy(updates) == SSI_OK);
    CHECK(number_at(set, mine, 0) == 5 && number_at(set, mine, 8) == 0);
}

static void updates_keep_the_order_of_guards(void) {
    ssi_set *set = make_set("ordered updates", 8, 100);
    const ssi_object_id mine = ssi_id((uint64_t)rank() + 1), later = ssi_id((uint64_t)rank() + 50);
    ssi_updates *updates;
    ssi_guard guard;
    CHECK(ssi_updates_create(set, SSI_ADD, SSI_I64, &updates) == SSI_OK);
    CHECK(ssi_updates_add_i64(updates, mine, 0, 3) == SSI_OK);
    CHECK(ssi_grab(set, later, &guard) == SSI_OK);
    CHECK(ssi_updates_add_i64(updates, later, 0, 4) == SSI_OK);
    CHECK(*(const int64_t *)guard.data == 4);   /* what is grabbed is updated at once */
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_updates_add_i64(updates, mine, 0, 9), "ascending");
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_updates_flush(updates), "ascending");
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_updates_destroy(updates), "ascending");
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK(ssi_get(set, later, &guard) == SSI_OK);
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_updates_add_i64(updates, later, 0, 1), "let go");
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK(ssi_updates_destroy(updates) == SSI_OK);
    CHECK(number_at(set, mine, 0) == 3 && number_at(set, later, 0) == 4);
}

/* ---- loops ---- */

enum { most_visits = 16 };
struct visits {
    int count;
    uint64_t ids[most_visits];
    int writable;           /* of how many guards */
    int stop_at;            /* the number of the visit that ends the loop, from 1; 0: none */
    ssi_set *set;
    ssi_guard kept[most_visits];
};

static int note(ssi_object_id id, ssi_guard *guard, void *context) {
    struct visits *visits = context;
    ssi_object_id shown = { 0, 0 };
    CHECK(visits->count < most_visits && id.hi == 3);
    CHECK(ssi_guard_id(guard, &shown) == SSI_OK && shown.hi == 3 && shown.lo == id.lo);
    CHECK(guard->size == 8 && *(const uint64_t *)guard->data % 1000 == id.lo);
    visits->ids[visits->count++] = id.lo;
    if (guard->writable) {
        ++visits->writable;
        *(uint64_t *)guard->writable += 1000;
    }
    return visits->count == visits->stop_at ? 77 : 0;
}

/* Three objects of this rank's own, each with its number in it. */
static ssi_set *own_three(const char *name) {
    ssi_set *set = make_set(name, 8, 0);
    uint64_t i;
    for (i = 0; i < 3; ++i) {
        const uint64_t lo = (uint64_t)rank() * 10 + 2 - i;
        ssi_guard guard;
        CHECK(ssi_grab(set, ssi_id2(3, lo), &guard) == SSI_OK);
        *(uint64_t *)guard.writable = lo;
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
    return set;
}

static int visited_mine(const struct visits *visits) {
    const uint64_t first = (uint64_t)rank() * 10;
    return visits->count == 3 && visits->ids[0] == first && visits->ids[1] == first + 1 &&
           visits->ids[2] == first + 2;
}

static void loops_visit_what_is_here_in_order(void) {
    ssi_set *set = own_three("loops");
    struct visits visits;
    uint64_t visited = 99;
    memset(&visits, 0, sizeof visits);
    CHECK(ssi_for_each_owned(set, SSI_WRITE, note, &visits, &visited) == SSI_OK && visited == 3);
    CHECK(visited_mine(&visits) && visits.writable == 3);
    memset(&visits, 0, sizeof visits);
    CHECK(ssi_for_each_owned(set, SSI_READ, note, &visits, NULL) == SSI_OK);
    CHECK(visited_mine(&visits) && visits.writable == 0);
    meet();
    if (size() > 1) {   /* a copy of a neighbour's is here, but not owned */
        const uint64_t theirs = (uint64_t)((rank() + 1) % size()) * 10;
        ssi_guard guard;
        CHECK(ssi_get(set, ssi_id2(3, theirs), &guard) == SSI_OK);
        CHECK(*(const uint64_t *)guard.data == theirs + 1000);
        CHECK(ssi_put(&guard) == SSI_OK);
        memset(&visits, 0, sizeof visits);
        CHECK(ssi_for_each_local(set, note, &visits, &visited) == SSI_OK && visited == 4);
        CHECK(visits.ids[rank() == size() - 1 ? 0 : 3] == theirs && visits.writable == 0);
        memset(&visits, 0, sizeof visits);
        CHECK(ssi_for_each_owned(set, SSI_READ, note, &visits, NULL) == SSI_OK);
        CHECK(visited_mine(&visits));
    }
    meet();
    CHECK(ssi_for_each_local(make_set("untouched", 8, 5), note, &visits, &visited) == SSI_OK);
    CHECK(visited == 0);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_for_each_local(set, NULL, NULL, NULL), "visit");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_for_each_owned(set, SSI_NONE, note, &visits, &visited), "SSI_READ");
}

static int fails_by_a_verb(ssi_object_id id, ssi_guard *guard, void *context) {
    (void)guard;
    return ssi_grab(context, id, NULL);
}

static void visitors_end_loops_and_nothing_stays_held(void) {
    ssi_set *set = own_three("ended loops");
    struct visits visits;
    uint64_t visited = 99;
    uint32_t gets = 9, i;
    int grabbed = 9;
    memset(&visits, 0, sizeof visits);
    visits.stop_at = 2;
    CHECK(ssi_for_each_owned(set, SSI_WRITE, note, &visits, &visited) == 77);
    CHECK(visited == 2 && visits.count == 2);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_for_each_local(set, fails_by_a_verb, set, &visited), "guard is NULL");
    CHECK(visited == 1);
    for (i = 0; i < 3; ++i) {
        CHECK(ssi_held(set, ssi_id2(3, (uint64_t)rank() * 10 + i), &gets, &grabbed) == SSI_OK);
        CHECK(gets == 0 && grabbed == 0);
    }
}

static int puts_it(ssi_object_id id, ssi_guard *guard, void *context) {
    (void)id;
    (void)context;
    return ssi_put(guard);
}
static int puts_a_copy(ssi_object_id id, ssi_guard *guard, void *context) {
    ssi_guard copy = *guard;
    (void)id;
    (void)context;
    return ssi_put(&copy);
}
static int keeps_it(ssi_object_id id, ssi_guard *guard, void *context) {
    static const ssi_guard none = SSI_GUARD_INIT;
    struct visits *visits = context;
    (void)id;
    visits->kept[visits->count++] = *guard;
    *guard = none;
    return 0;
}
static int upgrades_it(ssi_object_id id, ssi_guard *guard, void *context) {
    (void)context;
    CHECK(guard->writable == NULL && ssi_upgrade(guard, NULL) == SSI_OK);
    CHECK(guard->writable != NULL);
    *(uint64_t *)guard->writable = id.lo + 5000;
    return 0;
}

static void visitors_may_put_keep_and_upgrade_guards(void) {
    ssi_set *set = own_three("kept");
    const ssi_object_id first = ssi_id2(3, (uint64_t)rank() * 10);
    struct visits visits;
    uint64_t visited = 0;
    uint32_t gets = 9;
    int grabbed = 9, i;
    CHECK(ssi_for_each_local(set, puts_it, NULL, &visited) == SSI_OK && visited == 3);
    CHECK(ssi_for_each_local(set, puts_a_copy, NULL, &visited) == SSI_OK && visited == 3);
    memset(&visits, 0, sizeof visits);
    CHECK(ssi_for_each_owned(set, SSI_WRITE, keeps_it, &visits, NULL) == SSI_OK);
    CHECK(visits.count == 3);
    CHECK(ssi_held(set, first, &gets, &grabbed) == SSI_OK && gets == 0 && grabbed == 1);
    for (i = 0; i < 3; ++i)
        CHECK(*(uint64_t *)visits.kept[i].writable == first.lo + (uint64_t)i);
    CHECK(ssi_put_many(visits.kept, 3) == SSI_OK);
    CHECK(ssi_for_each_local(set, upgrades_it, NULL, &visited) == SSI_OK && visited == 3);
    CHECK(ssi_held(set, first, &gets, &grabbed) == SSI_OK && gets == 0 && grabbed == 0);
    CHECK(number_at(set, first, 0) == (int64_t)first.lo + 5000);
}

static void loops_keep_the_order_of_guards(void) {
    ssi_set *set = own_three("ordered loops");
    const ssi_object_id first = ssi_id2(3, (uint64_t)rank() * 10);
    const ssi_object_id last = ssi_id2(3, (uint64_t)rank() * 10 + 2);
    struct visits visits;
    ssi_guard guard;
    uint64_t visited = 9;
    memset(&visits, 0, sizeof visits);
    CHECK(ssi_get(set, first, &guard) == SSI_OK);
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_for_each_owned(set, SSI_WRITE, note, &visits, &visited),
                "let go first");
    CHECK(visited == 0);
    CHECK(ssi_for_each_owned(set, SSI_READ, note, &visits, &visited) == SSI_OK && visited == 3);
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK(ssi_get(set, last, &guard) == SSI_OK);
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_for_each_local(set, note, &visits, &visited), "ascending");
    CHECK(visited == 0);
    CHECK(ssi_put(&guard) == SSI_OK);
}

/* ---- hooks ---- */

static int hooked;   /* bytes seen by the hook */
static void see_release(ssi_object_id id, const void *bytes, size_t length, void *context) {
    if (id.lo == 0 && *(const int64_t *)bytes == 77) *(int *)context += (int)length;
}

static void release_hooks_see_what_leaves(void) {
    ssi_set *set = make_set("hooked", 8, 1);
    ssi_guard guard;
    CHECK(ssi_on_release(set, see_release, &hooked) == SSI_OK);
    if (rank() == 0) {
        CHECK(ssi_grab(set, ssi_id(0), &guard) == SSI_OK);
        *(int64_t *)guard.writable = 77;
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
    if (rank() == size() - 1) {
        CHECK(ssi_grab(set, ssi_id(0), &guard) == SSI_OK);
        *(int64_t *)guard.writable = 78;
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
    if (rank() == 0) CHECK(hooked == (size() > 1 ? 8 : 0));
    CHECK(ssi_on_release(set, NULL, NULL) == SSI_OK);
    meet();
    if (rank() == 0) {   /* takes it from the last, which gives it away without a hook */
        CHECK(ssi_grab(set, ssi_id(0), &guard) == SSI_OK);
        *(int64_t *)guard.writable = 77;
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
    if (rank() == size() - 1) {
        CHECK(ssi_grab(set, ssi_id(0), &guard) == SSI_OK);
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
    if (rank() == 0) CHECK(hooked == (size() > 1 ? 8 : 0));
}

static const struct test_case cases[] = {
    CASE(buffered_updates_execute_once_by_the_flush),
    CASE(fetched_updates_tell_what_stood_there_in_order),
    CASE(what_cannot_be_added_is_an_error_and_not_added),
    CASE(updates_keep_the_order_of_guards),
    CASE(loops_visit_what_is_here_in_order),
    CASE(visitors_end_loops_and_nothing_stays_held),
    CASE(visitors_may_put_keep_and_upgrade_guards),
    CASE(loops_keep_the_order_of_guards),
    CASE(release_hooks_see_what_leaves),
};

int main(int argc, char **argv) {
    return run_program(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
}
