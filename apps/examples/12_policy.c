/* SPDX-License-Identifier: BSD-3-Clause
 * A strategy of checkpoints of one's own: as many as fit into a share of the time.
 *
 *     cc -std=c99 -shared -fPIC $(pkg-config --cflags ssi-c) 12_policy.c -o share.so
 *     ssi checkpoint policy simulate "$PWD/share.so percent=2" --mtbf 86400 --cost 60
 *     ssi checkpoint policy set "$PWD/share.so percent=2"                                    */
#include <ssi/ckpt/policy.h>

#include <stdio.h>
#include <stdlib.h>

static void *create(const char *parameters, char *error, size_t error_bytes) {
    double percent = 1;
    int end = 0;
    double *made;
    if (*parameters != '\0' &&
        (sscanf(parameters, "percent=%lf%n", &percent, &end) != 1 || parameters[end] != '\0' ||
         !(percent > 0 && percent <= 100))) {
        snprintf(error, error_bytes, "\"%s\" is not percent=P, above 0 and at most 100",
                 parameters);
        return NULL;
    }
    made = malloc(sizeof *made);
    if (made)
        *made = percent;
    else
        snprintf(error, error_bytes, "no memory");
    return made;
}

/* By what the last one has cost; the first one is taken after a minute, to know. */
static void decide(const void *policy, const struct ssi_checkpoint_view *view,
                   struct ssi_checkpoint_plan *plan) {
    const double percent = *(const double *)policy;
    const struct ssi_checkpoint_level_view *any = &view->levels[0];
    const double cost = any->full.blocked_s;
    const double every = cost < 0 ? 60 : cost * 100 / percent;
    plan->take = any->since_s >= every;
    plan->next_s = plan->take ? 0 : every - any->since_s;
    snprintf(plan->why, sizeof plan->why, "each %.4g s: at most %g %% of the time", every, percent);
}

const struct ssi_checkpoint_policy ssi_checkpoint_policy_entry = {
    SSI_CHECKPOINT_POLICY_ABI, 0, "share", "As many as fit into a share of the time.",
    "percent=P (default 1)", create, NULL, decide, free
};
