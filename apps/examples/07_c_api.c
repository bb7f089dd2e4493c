/* SPDX-License-Identifier: BSD-3-Clause
 *
 * `mpirun -n 4 07_c_api`: libssi from C. All processes throw darts at a square and count together
 * how many fall into the quarter circle: pi / 4 of them. */
#include <stdio.h>
#include <stdlib.h>

#include <ssi/ssi.h>

enum { darts = 40000, rings = 8 };

typedef struct {
    int64_t inside;        /* 8 aligned bytes: atomics may work on it */
    double farthest;
} score;

/* Every function that can fail returns an error number. The text says exactly why. */
static void must(int error) {
    if (error == SSI_OK) return;
    fprintf(stderr, "07_c_api: %s\n", ssi_last_error());
    ssi_exit(ssi_exit_code(error));
}

/* The numbers of dart i, the same whoever throws it. */
static double uniform(uint64_t i) {
    uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}

int main(int argc, char **argv) {
    ssi_session *session;
    ssi_set *scores, *hits;
    ssi_set_options options = SSI_SET_OPTIONS_INIT;
    ssi_updates *updates;
    ssi_guard guard;
    uint64_t i, size;
    int64_t mine = 0;
    double farthest = 0;

    must(ssi_init(&argc, &argv, &session));
    size = (uint64_t)ssi_size(session);
    options.object_bytes = sizeof(score);
    must(ssi_set_create(session, "scores", &options, &scores));
    options.object_bytes = sizeof(int64_t);
    must(ssi_set_create(session, "hits", &options, &hits));   /* of each ring */
    must(ssi_updates_create(hits, SSI_ADD, SSI_I64, &updates));

    for (i = (uint64_t)ssi_rank(session); i < darts; i += size) {
        const double x = uniform(2 * i), y = uniform(2 * i + 1), r2 = x * x + y * y;
        mine += r2 < 1;
        farthest = r2 > farthest ? r2 : farthest;
        /* Buffered: one message to a node carries hundreds of such updates. */
        must(ssi_updates_add_i64(updates, ssi_id((uint64_t)(r2 * rings / 2)), 0, 1));
    }
    must(ssi_updates_destroy(updates));   /* all have executed */

    /* Atomics go to the object; nothing is held. */
    must(ssi_fetch_add_i64(scores, ssi_id(0), offsetof(score, inside), mine, NULL));
    /* A grab brings the object here, exclusively, until the put. */
    must(ssi_grab(scores, ssi_id(0), &guard));
    if (farthest > ((score *)guard.writable)->farthest)
        ((score *)guard.writable)->farthest = farthest;
    must(ssi_put(&guard));

    must(ssi_barrier(session));
    if (ssi_rank(session) == 0) {
        must(ssi_get(scores, ssi_id(0), &guard));   /* shared: read only */
        const score *all = guard.data;
        printf("%d of %d darts inside: pi is about %.3f\n", (int)all->inside, (int)darts,
               4.0 * (double)all->inside / darts);
        printf("the farthest: %.6f\n", all->farthest);
        must(ssi_put(&guard));
        ssi_object_id ids[rings];
        int64_t found[rings];
        for (i = 0; i < rings; ++i) ids[i] = ssi_id(i);
        /* One-sided reads, all at once: copies, and nothing is held. */
        must(ssi_read_many(hits, ids, rings, 0, found, sizeof *found, NULL));
        printf("in rings of one area:");
        for (i = 0; i < rings; ++i) printf(" %d", (int)found[i]);
        printf("\n");
    }
    must(ssi_finalize(session));
    return EXIT_SUCCESS;
}
