/* SPDX-License-Identifier: BSD-3-Clause */
/* kddm/directory.cpp: the home. `r` is the requester. */

inline close_open() {
    if
    :: home.open_node == r -> home.open_node = NOBODY; home.open_latest = false
    :: else
    fi
}

inline send_forward(forward_kind) {
    assert(m[r].forward == 0);
    m[r].forward = forward_kind;
    m[r].to = home.owner;
    m[r].after = home.open_node == home.owner && home.open_latest;
    if
    :: home.owner == HOME -> own ! ON_FORWARD, r
    :: else
    fi
}

inline answer_grant() {
    assert(m[r].answer == 0);
    m[r].answer = GRANT;
    m[r].has_copy = false; m[r].copy_current = false; m[r].renew = false;
    if
    :: r == HOME -> own ! ON_ANSWER, r
    :: else
    fi
}

inline start_get() {
    close_open();
    if
    :: home.owner == r -> cover(get_from_owner); answer_grant()
    :: else ->
        m[r].want_done = home.owner != HOME && !PLANT_NO_DONE ||
                         (home.open_node != NOBODY && home.open_node != home.owner);
        if
        :: m[r].want_done -> cover(get_reports_done)
        :: else -> cover(get_served_at_home)
        fi;
        if
        :: !PLANT_FORGET_COPY -> home.copies = home.copies | mask(r)
        :: else
        fi;
        home.busy = true;
        home.busy_node = r;
        send_forward(FETCH)
    fi
}

inline invalidate_copies() {
    skipped = !PLANT_SKIP_INVALIDATION;
    reader = 0;
    do
    :: reader < NODES ->
        if
        :: (home.copies & mask(reader)) && reader != r && reader != home.owner ->
            if
            :: !skipped -> skipped = true
            :: else ->
                cover(invalidates);
                assert(!(m[r].told & mask(reader)));
                m[r].told = m[r].told | mask(reader);
                m[r].acks++;
                if
                :: home.open_node == reader && home.open_latest ->
                    cover(invalidates_after_open_get);
                    m[r].told_after = m[r].told_after | mask(reader)
                :: else
                fi;
                if
                :: reader == HOME -> own ! ON_INVALIDATE, r
                :: else
                fi
            fi
        :: else
        fi;
        reader++
    :: else -> break
    od;
    skipped = false;
    reader = 0
}

inline start_grab() {
    close_open();
    invalidate_copies();
    if
    :: PLANT_SKIP_INVALIDATION_ACK && m[r].acks > 0 -> m[r].acks--
    :: else
    fi;
    if
    :: home.owner == r -> cover(grab_from_owner); answer_grant()
    :: else -> cover(grab_from_other); send_forward(YIELD)
    fi;
    home.owner = r;
    home.open_node = r;
    home.open_latest = true;
    home.copies = 0
}

inline install_evicted() {
    home.owner = HOME;
    home.copies = home.copies & (7 - mask(HOME));
    if
    :: c[HOME].state == SHARED -> cover(install_over_copy)
    :: else -> cover(install_evicted); c[HOME].fresh = m[r].evict_fresh
    fi;
    c[HOME].current = m[r].evict_current;
    c[HOME].state = (home.copies -> OWNER : EXCLUSIVE);
    c[HOME].readable = true;
    c[HOME].writable = c[HOME].writable || !home.copies
}

inline start_evict() {
    close_open();
    assert(m[r].evict_ack == 0);
    if
    :: home.owner == r -> m[r].evict_ack = ACCEPTED; install_evicted()
    :: else -> cover(evict_from_former_owner); m[r].evict_ack = (PLANT_FORGET_ASKED -> ACCEPTED : ASKED)
    fi;
    m[r].evict = false; m[r].evict_fresh = false; m[r].evict_current = false
}

/* Everybody else in the queue sees one more go first. First in, first out lets at most one request
   of each other node do so. */
inline pass_others() {
    reader = 0;
    do
    :: reader < NODES ->
        if
        :: reader != r && m[reader].queued ->
            assert(m[reader].passed < NODES - 1);
            m[reader].passed++
        :: else
        fi;
        reader++
    :: else -> break
    od;
    reader = 0
}

inline rotate_queue() {   /* to plant a bug: the last comes first */
    reader = 1;
    do
    :: reader < len(queue) -> queue ? code; queue ! code; reader++
    :: else -> break
    od;
    reader = 0
}

inline start_next() {
    do
    :: !home.busy && len(queue) > 0 ->
        if
        :: PLANT_UNFAIR_QUEUE -> rotate_queue()
        :: else
        fi;
        queue ? code;
        r = code / 2;
        m[r].queued = false;
        m[r].passed = 0;
        pass_others();
        if
        :: code % 2 -> start_evict()
        :: m[r].request == GET && !(code % 2) -> m[r].request = 0; start_get()
        :: m[r].request == GRAB && !(code % 2) -> m[r].request = 0; start_grab()
        fi
    :: else -> break
    od;
    code = 0
}

inline on_request(is_evict) {
    m[r].queued = true;
    queue ! r * 2 + is_evict;
    if
    :: home.busy -> cover(request_waits)
    :: else
    fi;
    start_next()
}

inline on_done(is_served) {
    assert(home.busy && home.busy_node == r);
    home.busy = false;
    home.busy_node = 0;
    if
    :: is_served ->
        cover(served_opens_grant);
        home.open_node = r;
        home.open_latest = true   /* the requester waits for its data still */
    :: !is_served && home.open_node == home.owner ->
        cover(done_closes_open_grab);
        home.open_node = NOBODY;
        home.open_latest = false
    :: else
    fi;
    start_next()
}
