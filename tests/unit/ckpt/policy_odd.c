/* SPDX-License-Identifier: BSD-3-Clause
 * A policy plugin that does what its parameters say, well or not: "do=level". Built several times:
 * ODD_ABI: of another version; ODD_HALF: without decide; ODD_NAMELESS: exports something else. */
#define _POSIX_C_SOURCE 199309L
#include <ssi/ckpt/policy.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int alive;

static void *create(const char *parameters, char *error, size_t error_bytes) {
    char *made;
    if (strcmp(parameters, "do=refuse") == 0) {
        snprintf(error, error_bytes, "it has been told to refuse");
        return NULL;
    }
    if (strcmp(parameters, "do=silence") == 0) return NULL;
    made = malloc(strlen(parameters) + 1);
    if (made) memcpy(made, parameters, strlen(parameters) + 1);
    ++alive;
    return made;
}

static void destroy(void *policy) {
    --alive;
    free(policy);
}

static void keep(const void *policy, uint32_t counts[SSI_CHECKPOINT_LEVELS]) {
    if (strcmp(policy, "do=keep") == 0) counts[0] = 1;
    counts[1] = 3;
}

static void sleep_ms(long ms) {
    struct timespec time;
    time.tv_sec = 0;
    time.tv_nsec = ms * 1000000;
    nanosleep(&time, NULL);
}

static void decide(const void *policy, const struct ssi_checkpoint_view *view,
                   struct ssi_checkpoint_plan *plan) {
    const char *what = (const char *)policy + 3;
    snprintf(plan->why, sizeof plan->why, "%d alive, sizes %d", alive,
             view->size == sizeof *view && plan->size == sizeof *plan);
    plan->take = 1;
    plan->level = 1;
    if (strcmp(what, "level") == 0) plan->level = 2;
    if (strcmp(what, "far") == 0) plan->level = SSI_CHECKPOINT_LEVELS;
    if (strcmp(what, "kind") == 0) plan->kind = 3;
    if (strcmp(what, "take") == 0) plan->take = 2;
    if (strcmp(what, "leave") == 0) plan->take = 0, plan->leave = 1;
    if (strcmp(what, "next") == 0) plan->next_s = NAN;
    if (strcmp(what, "why") == 0) memset(plan->why, 'x', sizeof plan->why);
    if (strcmp(what, "slow") == 0) sleep_ms(150);
    if (strcmp(what, "once") == 0 && view->now_s < 1) sleep_ms(150);
}

#ifdef ODD_NAMELESS
const int ssi_something_else = 1;
static const struct ssi_checkpoint_policy unused = {
#else
const struct ssi_checkpoint_policy ssi_checkpoint_policy_entry = {
#endif
#ifdef ODD_ABI
    SSI_CHECKPOINT_POLICY_ABI + 1,
#else
    SSI_CHECKPOINT_POLICY_ABI,
#endif
    0, "odd", "Does what it is told.", "do=WHAT", create, keep,
#ifdef ODD_HALF
    ODD_HALF == 2 ? decide : NULL,
#else
    decide,
#endif
    destroy
};
#ifdef ODD_NAMELESS
const void *ssi_something_used(void) { return &unused; }
#endif
