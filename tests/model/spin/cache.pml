/* SPDX-License-Identifier: BSD-3-Clause */
/* kddm/cache.cpp, function by function. `n` is the node whose step this is, `r` the requester that
   a message is for. cover(NAME) marks a transition: verify.py wants each to be reached. */

/* The object's newest value is at x now. */
inline wrote(x) {
    c[0].fresh = false; c[1].fresh = false; c[2].fresh = false;
    m[0].fresh = false; m[1].fresh = false; m[2].fresh = false;
    m[0].evict_fresh = false; m[1].evict_fresh = false; m[2].evict_fresh = false;
    new_version();
    c[x].fresh = true;
    c[x].current = true
}

/* All versions that exist are old ones now; the caller marks the new one. */
inline new_version() {
    c[0].current = false; c[1].current = false; c[2].current = false;
    m[0].current = false; m[1].current = false; m[2].current = false;
    m[0].evict_current = false; m[1].evict_current = false; m[2].evict_current = false;
    m[0].copy_current = false; m[1].copy_current = false; m[2].copy_current = false
}

/* A new transaction: what names the node's earlier one names an old one. */
inline new_txn(x) {
    m[0].after = m[0].after && m[0].to != x;
    m[1].after = m[1].after && m[1].to != x;
    m[2].after = m[2].after && m[2].to != x;
    m[0].told_after = m[0].told_after & (7 - mask(x));
    m[1].told_after = m[1].told_after & (7 - mask(x));
    m[2].told_after = m[2].told_after & (7 - mask(x));
    home.open_latest = home.open_latest && home.open_node != x;
    m[x].acking = 0;   /* acks of an older transaction are ignored when they arrive */
    c[x].asking = true;
    c[x].has_data = false; c[x].want_done = false; c[x].missing = NO_ACKS
}

inline drop_block(x) {
    c[x].fresh = false;
    c[x].current = false;
    c[x].state = INVALID
}

inline end_request(x) {
    c[x].asking = false;
    c[x].requested = NOTHING; c[x].has_data = false; c[x].want_done = false; c[x].missing = NO_ACKS
}

inline start_request(x, access) {
    new_txn(x);
    assert(m[x].request == 0 && m[x].answer == 0 && m[x].forward == 0 && m[x].told == 0);
    c[x].requested = (access == READ -> READ : WRITE);
    m[x].request = (access == READ -> GET : GRAB);
    if
    :: access != READ ->
        m[x].renew = access == RENEW;
        if
        :: c[x].state == SHARED || c[x].state == OWNER ->
            m[x].has_copy = true;
            m[x].copy_current = c[x].current
        :: else
        fi
    :: else
    fi;
    if
    :: x == HOME -> own ! ON_REQUEST, x
    :: else
    fi
}

#define can_ask(x) (!c[x].asking && !c[x].revocation && c[x].state < EVICTING)
#define satisfies(x, access) (access == READ -> (c[x].state == SHARED || owns(x)) : \
                              c[x].state == EXCLUSIVE)
#define can_pin(x) (c[x].first == READ -> (c[x].readable && !c[x].writer) : \
                    (c[x].writable && count(x) == 0))

/* Serves the queue: all leading readers, or one writer; then asks for more. */
inline pump(x) {
    do
    :: c[x].waiters > 0 && (granting || !c[x].revocation) && can_pin(x) ->
        c[x].waiters--;
        if
        :: c[x].first == READ -> c[x].pins++
        :: else -> c[x].writer = true
        fi;
        c[x].first = c[x].second;
        c[x].second = NOTHING;
        if
        :: c[x].writer -> break
        :: else
        fi
    :: else -> break
    od;
    if
    :: c[x].waiters > 0 && can_ask(x) && !satisfies(x, c[x].first) ->
        cover(pump_asks);
        start_request(x, c[x].first)
    :: else
    fi
}

inline put_off(x, revocation_kind) {
    assert(c[x].revocation == 0 || c[x].hook_running);
    c[x].revocation = revocation_kind;
    c[x].revoked_for = r
}

/* Sets hook_stop when the release hook must run first. */
inline hook_first(x, revocation_kind) {
    hook_stop = false;
    if
    :: HOOK && !c[x].hooked ->
        cover(hook_first);
        put_off(x, revocation_kind);
        c[x].hook_running = true;
        hook_stop = true
    :: else
    fi
}

inline send_served() {
    assert(n == HOME);
    own ! ON_SERVED, r
}

inline end_eviction(x) {
    drop_block(x);
    end_request(x);
    c[x].evict_acked = false
}

inline serve_fetch() {
    assert(owns(n) || c[n].state == EVICTING);   /* else answer_lost: only after a death */
    if
    :: owns(n) && c[n].writer && !PLANT_EARLY_GRANT ->
        cover(fetch_put_off);
        c[n].revoking = true;
        put_off(n, FETCH)
    :: else ->
        if
        :: owns(n) && c[n].writer -> c[n].revoking = true
        :: owns(n) && !c[n].writer ->
            cover(fetch_served);
            c[n].writable = false;
            c[n].revoking = false
        :: else -> cover(fetch_served_evicting)
        fi;
        if
        :: c[n].state == EXCLUSIVE -> c[n].state = OWNER
        :: else
        fi;
        assert(m[r].answer == 0 && r != n);
        m[r].answer = DATA;
        m[r].fresh = c[n].fresh && !PLANT_STALE_DATA;
        m[r].current = c[n].current;
        if
        :: n == HOME && !m[r].want_done -> send_served()
        :: else
        fi
    fi
}

inline serve_yield() {
    assert(owns(n) || c[n].state == EVICTING);
    if
    :: owns(n) && count(n) > 0 && !PLANT_EARLY_GRANT ->
        cover(yield_put_off);
        c[n].revoking = true;
        if
        :: PLANT_RETRY -> m[r].forward = YIELD; m[r].to = n
        :: else -> put_off(n, YIELD)
        fi
    :: owns(n) && count(n) > 0 && PLANT_EARLY_GRANT ->
        m[r].answer = DATA;
        m[r].fresh = c[n].fresh;
        m[r].current = true
    :: else ->
        hook_stop = false;
        if
        :: owns(n) ->
            c[n].readable = false; c[n].writable = false; c[n].revoking = false;
            hook_first(n, YIELD)
        :: else
        fi;
        if
        :: !hook_stop ->
            assert(m[r].answer == 0 && r != n && c[n].current);
            m[r].keep = m[r].has_copy && (m[r].copy_current || PLANT_LOST_UPGRADE);
            m[r].renew = m[r].renew && !m[r].keep;
            m[r].answer = DATA;
            m[r].fresh = c[n].fresh && !m[r].keep && !m[r].renew;
            new_version();
            m[r].current = true;
            m[r].has_copy = false;
            c[n].fresh = false;
            if
            :: owns(n) -> cover(yield_served); c[n].state = INVALID
            :: else -> cover(yield_served_evicting); c[n].state = GIVEN
            fi;
            if
            :: m[r].keep -> cover(yield_keeps)
            :: else
            fi;
            if
            :: c[n].state == GIVEN && c[n].evict_acked ->
                cover(yield_ends_eviction);
                end_eviction(n)
            :: else
            fi
        :: else
        fi
    fi
}

inline acknowledge() {
    assert(r != n);
    m[r].acking++
}

inline serve_invalidate() {
    if
    :: c[n].state == SHARED && count(n) > 0 ->
        cover(invalidate_put_off);
        c[n].revoking = true;
        put_off(n, INVALIDATE)
    :: else ->
        hook_stop = false;
        if
        :: c[n].state == SHARED ->
            c[n].readable = false; c[n].writable = false; c[n].revoking = false;
            hook_first(n, INVALIDATE);
            if
            :: !hook_stop ->
                cover(invalidate_served);
                if
                :: c[n].asking -> cover(invalidate_meets_request)
                :: else
                fi;
                drop_block(n)
            :: else
            fi
        :: else
        fi;
        if
        :: !hook_stop -> acknowledge()
        :: else
        fi
    fi
}

inline start_eviction(x) {
    assert(!m[x].evict && m[x].evict_ack == 0);
    new_txn(x);
    m[x].evict = true;
    m[x].evict_fresh = c[x].fresh && !PLANT_LOST_WRITE;
    m[x].evict_current = c[x].current;
    c[x].state = EVICTING;
    if
    :: PLANT_EVICT_WITHOUT_ACK -> end_eviction(x)
    :: else
    fi
}

/* Gives up what is here; nobody has a pin and the word is closed. */
inline give_up(x) {
    if
    :: c[x].state == SHARED -> cover(drops_copy); drop_block(x)
    :: else -> cover(starts_eviction); start_eviction(x)
    fi
}

/* flush() after its checks, also the last step of unpinned() under home coherence. */
inline flush_now(x) {
    if
    :: x != HOME && idle(x) && c[x].state != INVALID && count(x) == 0 ->
        c[x].readable = false; c[x].writable = false;
        hook_first(x, EVICT);
        if
        :: !hook_stop -> give_up(x)
        :: else
        fi
    :: else
    fi
}

/* The revocation `kind` for `r`, now. */
inline revoke_now() {
    if
    :: kind == FETCH -> serve_fetch()
    :: kind == YIELD -> serve_yield()
    :: kind == INVALIDATE -> serve_invalidate()
    :: kind == EVICT -> give_up(n)
    fi;
    c[n].hooked = false;
    pumping = true
}

/* A revocation that was put off goes on. */
inline revoke_at_last() {
    kind = c[n].revocation;
    r = c[n].revoked_for;
    c[n].revocation = 0;
    c[n].revoked_for = 0;
    revoking_now = true
}

inline on_revoke(comes_after) {
    if
    :: c[n].asking && comes_after && !PLANT_IGNORE_AFTER ->
        cover(revocation_after_grant);
        assert(c[n].later == 0);
        c[n].later = kind;
        c[n].later_for = r
    :: (!(c[n].asking && comes_after) || PLANT_IGNORE_AFTER) && kind == INVALIDATE && c[n].state != SHARED ->
        cover(invalidate_without_copy);
        acknowledge()
    :: else -> revoking_now = true
    fi
}

inline on_answer() {
    assert(c[n].asking && !c[n].has_data);
    if
    :: m[n].answer == GRANT ->
        assert(owns(n));
        if
        :: c[n].requested == WRITE ->
            cover(granted_upgrade);
            new_version();
            c[n].current = true
        :: else -> cover(granted_get)
        fi
    :: else ->
        if
        :: m[n].keep -> cover(data_keep)
        :: else -> cover(data_bytes); c[n].fresh = m[n].fresh
        fi;
        c[n].current = m[n].current;
        if
        :: m[n].renew -> cover(data_renews); c[n].renewing = true
        :: else
        fi
    fi;
    c[n].has_data = true;
    c[n].want_done = m[n].want_done;
    c[n].missing = c[n].missing + m[n].acks;
    m[n].answer = 0; m[n].fresh = false; m[n].current = false;
    m[n].keep = false; m[n].renew = false; m[n].has_copy = false; m[n].copy_current = false;
    m[n].want_done = false; m[n].acks = 0;
    complete = true
}

inline on_ack() {
    m[n].acking--;
    if
    :: c[n].asking ->
        if
        :: c[n].has_data -> cover(ack_after_data)
        :: else -> cover(ack_before_data)
        fi;
        c[n].missing--;
        complete = true
    :: else
    fi
}

inline on_evict_ack() {
    if
    :: c[n].state >= EVICTING && c[n].asking ->
        if
        :: m[n].evict_ack == ASKED && c[n].state == EVICTING ->
            cover(evict_ack_before_yield);
            c[n].evict_acked = true
        :: else ->
            cover(evict_acked);
            end_eviction(n);
            pumping = true
        fi
    :: else
    fi;
    m[n].evict_ack = 0
}

/* complete(), up to its pump. A task that takes the fast path may slip in as soon as the word is
   open: `slip`. */
inline complete_now() {
    if
    :: c[n].has_data && c[n].missing == NO_ACKS ->
        if
        :: c[n].requested == WRITE ->
            cover(completes_grab);
            c[n].state = EXCLUSIVE;
            if
            :: c[n].renewing -> wrote(n); c[n].renewing = false   /* readers are gone only now */
            :: else
            fi
        :: c[n].requested == READ && !owns(n) -> cover(completes_get); c[n].state = SHARED
        :: else
        fi;
        c[n].readable = true;
        c[n].writable = c[n].writable || c[n].state == EXCLUSIVE;
        if
        :: c[n].want_done ->
            assert(!m[n].done);
            m[n].done = true;
            if
            :: n == HOME -> own ! ON_DONE, n
            :: else
            fi
        :: else
        fi;
        end_request(n);
        if
        :: slip == READ && !blocked(n) -> cover(fast_get_slips_in); c[n].pins++
        :: slip == WRITE && !blocked(n) && c[n].writable && count(n) == 0 ->
            cover(fast_grab_slips_in);
            c[n].writer = true
        :: else
        fi;
        granting = true;
        pump(n);
        granting = false;
        if
        :: c[n].later ->
            kind = c[n].later;
            r = c[n].later_for;
            c[n].later = 0;
            c[n].later_for = 0;
            revoking_now = true
        :: else
        fi;
        /* A prefetched object of a home set has no holder whose put would send it back. */
        flushing = slow(n) && !(revoking_now && PLANT_KEEP_PREFETCHED)
    :: else
    fi
}
