/* SPDX-License-Identifier: BSD-3-Clause */
/* What must hold after every step. */

#define reads(x) (c[x].readable || c[x].pins || c[x].writer)
#define writes(x) (c[x].writable || c[x].writer)
#define yields(x, y) (m[y].forward == YIELD && m[y].to == x || \
                      c[x].revocation == YIELD && c[x].revoked_for == y || \
                      c[x].later == YIELD && c[x].later_for == y)
#define yields_to_anybody(x) (yields(x, 0) || yields(x, 1) || yields(x, 2))

/* Who can write excludes everybody else. */
#define single_writer(x, y, z) (!writes(x) || !reads(y) && !reads(z))
/* Who can read sees the newest value. */
#define newest_value(x) (!reads(x) || c[x].fresh)
/* Who owns is the one the home thinks owns, unless a yield is under way to it; and never two. */
#define owner_known(x) (!owns(x) || home.owner == x || yields_to_anybody(x))
#define one_owner (owns(0) + owns(1) + owns(2) <= 1)
/* The copyset has every reader, unless an invalidation is under way to it, or its own grab. */
#define told(x) ((m[0].told | m[1].told | m[2].told) & mask(x) || \
                 c[x].revocation == INVALIDATE || c[x].later == INVALIDATE)
#define copy_known(x) (c[x].state != SHARED || home.copies & mask(x) || told(x) || \
                       home.owner == x || yields_to_anybody(x))

#define silent(x) (!m[x].request && !m[x].queued && !m[x].forward && !m[x].told && \
                   !m[x].answer && !m[x].acking && !m[x].done && !m[x].evict && !m[x].evict_ack)
#define at_rest(x) (silent(x) && idle(x) && count(x) == 0 && !c[x].leaving)
#define everything_rests (at_rest(0) && at_rest(1) && at_rest(2) && !home.busy && len(queue) == 0)

inline check() {
    assert(single_writer(0, 1, 2) && single_writer(1, 0, 2) && single_writer(2, 0, 1));
    assert(newest_value(0) && newest_value(1) && newest_value(2));
    assert(owner_known(0) && owner_known(1) && owner_known(2));
    assert(one_owner);
    assert(copy_known(0) && copy_known(1) && copy_known(2))
}

/* Nothing is under way: the directory is exact, and no word is left closed. */
#define rests_open(x) (c[x].readable == (c[x].state != INVALID) && !c[x].revoking && \
                       c[x].writable == (c[x].state == EXCLUSIVE) && \
                       !(slow(x) && c[x].state != INVALID))
inline check_rest() {
    assert(owns(home.owner));
    assert(rests_open(0) && rests_open(1) && rests_open(2));
    assert(c[home.owner].fresh && c[home.owner].current)
}
