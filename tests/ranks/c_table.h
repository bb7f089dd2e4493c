/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For tests of linkers in C: one that keeps objects in a table and counts what it is asked. */
#ifndef SSI_TESTS_C_TABLE_H
#define SSI_TESTS_C_TABLE_H

#include <pthread.h>
#include <stdlib.h>

#include "c_check.h"

enum { objects = 200, most_bytes = 1024 };
enum act { none, fetch, instantiate, write_back, sync_all, remove_one, destroy_set };

/* What lies behind the linker; it fails as it is told. */
struct table {
    pthread_mutex_t mutex;
    int there[objects];
    size_t sizes[objects];
    char bytes[objects][most_bytes];
    int calls[destroy_set + 1];
    int found;          /* fetches of what was there */
    int wrong;          /* calls that are not as promised */
    pthread_t maker;
    int by_maker;       /* calls in the thread that made it */
    char birth;         /* what new-born objects are filled with */
    enum act fails;     /* what fails, */
    const char *why;    /* with this text; NULL: with a number */
};

static int table_begin(ssi_call *call, struct table *t, enum act act) {
    const int whole_set = act == sync_all || act == destroy_set;
    pthread_mutex_lock(&t->mutex);
    ++t->calls[act];
    if (pthread_equal(t->maker, pthread_self())) ++t->by_maker;
    if (call->id.hi != 0 || call->id.lo >= (whole_set ? 1 : objects)) ++t->wrong;
    if ((call->arguments != NULL) != (act == write_back)) ++t->wrong;
    if (t->fails != act) return 0;
    if (t->why) ssi_call_text(call, t->why);
    return 7;
}

static int table_end(struct table *t, int result) {
    pthread_mutex_unlock(&t->mutex);
    return result;
}

static int table_fetch(ssi_call *call, void *context) {
    struct table *t = (struct table *)context;
    const uint64_t i = call->id.lo;
    int result = table_begin(call, t, fetch);
    if (result == 0 && !t->there[i]) result = SSI_NO_OBJECT;
    if (result != 0) return table_end(t, result);
    ++t->found;
    if (call->size != t->sizes[i] && ssi_call_resize(call, t->sizes[i]) != SSI_OK)
        return table_end(t, 8);
    memcpy(call->data, t->bytes[i], call->size);
    return table_end(t, 0);
}

static int table_instantiate(ssi_call *call, void *context) {
    struct table *t = (struct table *)context;
    const int result = table_begin(call, t, instantiate);
    if (result == 0) memset(call->data, t->birth, call->size);
    return table_end(t, result);
}

static int table_write_back(ssi_call *call, void *context) {
    struct table *t = (struct table *)context;
    const int result = table_begin(call, t, write_back);
    if (call->data != NULL || call->size != 0 || call->arguments_size > most_bytes) {
        ++t->wrong;
    } else if (result == 0) {
        t->there[call->id.lo] = 1;
        t->sizes[call->id.lo] = call->arguments_size;
        memcpy(t->bytes[call->id.lo], call->arguments, call->arguments_size);
    }
    if (ssi_call_resize(call, 8) != SSI_ERR_INVALID_ARGUMENT) ++t->wrong;
    if (ssi_call_reply(call, "x", 1) != SSI_ERR_INVALID_ARGUMENT) ++t->wrong;
    return table_end(t, result);
}

static int table_sync(ssi_call *call, void *context) {
    struct table *t = (struct table *)context;
    return table_end(t, table_begin(call, t, sync_all));
}

static int table_remove(ssi_call *call, void *context) {
    struct table *t = (struct table *)context;
    const int result = table_begin(call, t, remove_one);
    if (result == 0) t->there[call->id.lo] = 0;
    return table_end(t, result);
}

static int table_destroy(ssi_call *call, void *context) {
    struct table *t = (struct table *)context;
    return table_end(t, table_begin(call, t, destroy_set));
}

static struct table *make_table(const char *name, char birth) {
    struct table *t = (struct table *)calloc(1, sizeof *t);   /* lives as long as the session */
    ssi_linker linker = SSI_LINKER_INIT;
    pthread_mutex_init(&t->mutex, NULL);
    t->maker = pthread_self();
    t->birth = birth;
    linker.fetch = table_fetch;
    linker.instantiate = table_instantiate;
    linker.write_back = table_write_back;
    linker.sync = table_sync;
    linker.remove = table_remove;
    linker.destroy = table_destroy;
    linker.context = t;
    CHECK(ssi_register_linker(session, name, &linker) == SSI_OK);
    meet();   /* on every node before anybody makes a set */
    return t;
}

#endif
