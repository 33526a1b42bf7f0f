"""Words of metrics' names by what they say. Lists of language, not of exporters: any name is made of such words."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FAILED_REQUEST = _words(
    """
    error err failure fail failed failing fault exception 5xx 4xx timeout timedout rejected reject rejection
    dropped drop refused denied aborted abort unavailable unsuccessful erroneous bad invalid unhandled uncaught
    429 unauthorized forbidden cancelled canceled reset declined decline unreachable notfound unprocessable
    faulted
    exceeded excep servfail formerr shortcircuited
    """
)
"""What becomes of a request, or of a message, that fails: judged as a part of the requests where these are known."""

FAILED = _words(
    """
    restart retry eviction evicted oom killed kill crash crashed crashloop panic throttle throttled throttling
    discard discarded lost loss dead deadletter dlq rollback deadlock conflict miss missed expired reconnect
    disconnect disconnection disconnected rebalance violation retransmit retransmission retran collision
    overflow shed redelivered redelivery alert alarm election overrun starvation unclean corrupt corrupted
    corruption duplicate bounce bounced fallback fullgc unroutable nack nacked requeued stall stalled slow
    preemption preempted fatal listenoverflow ejected ejection abandoned abandonment churn termination
    terminated notpermitted lossy stolen suspect leaked leak overload overloaded exhausted exhaustion zombie
    orphaned misfire skipped expirations
    retried warning deadlettered tripped degradation rebuffer rebuffered rebuffering anr undeliverable
    waits spill spilled
    """
)
"""Events that nobody wants, counted by themselves."""

GRAVE = _words(
    """
    restart oom killed kill crash crashed crashloop panic deadlock fatal corruption
    """
)
"""Of these a process dies."""

SUCCEEDED = _words(
    """
    success successful succeeded successfully ok good satisfied passed availability 2xx uptime sla slo hit
    conversion acceptance approval delivery completion completed delivered compliance
    successfully noerror win won authorization authorisation authorized authorised approved accepted
    fulfilment fulfillment fulfilled resolved matched adherence faultless
    """
)
SUFFICIENT = _words(
    """
    free freeable avail balance credit available idle remaining headroom healthy ready alive spare unused up hit
    score efficiency isr
    usable openslot unallocated green
    """
)
"""Levels of which less is worse."""

OCCUPIED = _words(
    """
    usage used utilization utilisation util saturation busy pressure queued backlog lag pending waiting waiter
    blocked depth inflight outstanding unacked unacknowledged unack unprocessed uncommitted dirty behind skew
    fragmentation steal iowait wait consumption age staleness delayed stuck concurrency unhealthy down under
    underreplicated offline unschedulable notready delay contention unassigned relocating underprovisioned inuse
    inprogress concurrent load1 load5 load15 watermark congestion exhausted congested
    degraded starving notvisible backpressured idleintransaction leftover
    yellow red firing
    cpuready
    undelivered unconsumed unsent unpublished unfinished unindexed unsynced unreplicated uncompleted unread
    """
)
"""Levels of which more is worse."""

RESOURCES = _words(
    """
    cpu memory mem rss heap swap disk goroutine thread fd descriptor connection conn cx socket temperature queue
    load footprint
    storage private resident workingset space processor
    """
)
"""What is mostly a level without a word that says so, and worse for more of it."""

LYING = _words(
    """
    queued backlog backlogged lag pending waiting waiter depth inflight outstanding unacked unacknowledged unack
    unprocessed uncommitted dirty behind age staleness freshness delayed stuck unassigned underreplicated inprogress
    undelivered unconsumed unsent unpublished unfinished unindexed unsynced unreplicated uncompleted unread leftover
    since oldest buffered length size
    """
)
"""What lies until somebody takes it, and for how long: it rises step by step, is drained, and counts nothing."""

STATE = _words(
    """
    active pending inflight inuse inprogress waiting waiter queued outstanding open current running blocked
    concurrent depth backlog lag size length unacked unacknowledged stuck remaining delayed queue age
    notvisible idleintransaction undelivered unconsumed unsent unfinished unread uncompleted
    """
)
"""Words that make a level of failures too: how many there are now."""

STANDING = STATE | _words(
    """
    busy idle free used available visible capacity quota limit max maximum alive live allocated reserved
    committed resident cached usage pool buffered buffer configured desired ready notready heap behind stored
    provisioned existing tracked healthy unhealthy underreplicated unassigned unavailable offline
    openslot degraded starving usable
    """
)
"""Words that make a level of whatever is counted: ``requests_active``, ``messages_ready``."""

TIME = _words(
    """
    latency duration time elapsed rtt ping ttfb delay wait took runtime timing timer paint lcp fcp inp
    """
)
SPENT = _words("cpu gc idle steal iowait user system wall throttled busy age since lag behind lifetime")
"""Times that are no wait of anybody's: levels."""

CONFIGURED = _words(
    """
    interval ttl retention period timeout deadline threshold limit quota
    """
)
"""Times that somebody set, which no release is slower by."""

REQUEST = _words(
    """
    request req rq call query invocation transaction rpc hit rpm rps qps tps throughput operation op iops
    command response lookup get put reply fetch statement 1xx 2xx 3xx http
    question access attempt
    """
)
DONE = _words(
    """
    processed published consumed produced delivered sent received completed served accepted acked indexed
    inserted written read started finished executed handled created deleted updated committed commit emitted
    ingested forwarded dispatched enqueued dequeued acknowledged confirmed exported imported synced replicated
    uploaded downloaded sold bought placed paid scheduled flushed matched transmitted transmit receive packet
    succeeded successful success opened logged merged scanned loaded routed scraped heartbeat resolved closed
    transferred generated
    send produce consume publish
    """
)
"""What a service does: fewer of it is worse."""

TEMPORARY = _words(
    """
    tmp temporary
    """
)
"""What is written because memory did not suffice: less of it is better, however it is said that it was made."""

ALLOCATED = _words(
    """
    allocated allocation alloc promoted gc tmp temporary spilled
    """
)
"""Bytes that come and go within a process: the same work with fewer of them is done better."""

STORAGE = _words(
    """
    disk blk block volume device io iops filesystem fs
    """
)
ACCESSES = _words(
    """
    read write written iops
    """
)
"""What is done to storage: it is used by that, and nobody is served."""

NEUTRAL = _words(
    """
    switch interrupt syscall page swap object allocation collection period empty class module assembly
    """
)
"""What comes and goes without being good or bad."""

MONEY = _words(
    """
    eur euro usd dollar gbp chf jpy amount value cent
    """
)
"""In what is earned, behind what is sold."""

LIFE = _words(
    """
    active running alive live online connected reachable registered serving
    """
)
"""Before what a service runs on, that it is there: fewer is worse."""

REACHABLE = _words(
    """
    max maximum limit quota threshold capacity
    """
)
"""What nobody wants to be *reached*."""

EVENTS = _words(
    """
    overflow timeout rejection rejected reject drop dropped error failure retry eject ejection eviction expired
    """
)
"""Failures that happen, and are in no state, where their name ends with them: ``pending_overflow``."""

BUSINESS = _words(
    """
    order payment checkout purchase signup login logon registration booking conversion sale visit view pageview
    click session event record document message job task email notification upload download transfer trade bid
    cart subscription reservation search impression invoice shipment delivery row item count trip ride user
    customer revenue
    """
)
INSTANCES = _words(
    """
    replica pod node host instance endpoint shard partition target backend server container consumer broker
    member worker peer follower slave machine volume tasktracker datanode controller
    """
)
"""What a service runs on or consists of: how many of them are in a state is a level."""

QUEUED = _words(
    """
    message job task item event record entry letter
    """
)
"""What lies in queues: of these, *ready* and *available* say that nobody takes them."""

NOT_JUDGED_LAST = _words(
    """
    info version revision timestamp leader expiry expire build birth epoch generation pid port id
    """
)
NOT_JUDGED_PAIRS = (
    ("start", "time"),
    ("boot", "time"),
    ("started", "at"),
    ("started", "time"),
    ("is", "leader"),
    ("is", "master"),
    ("start", "timestamp"),
    ("up", "time"),
    ("birth", "time"),
    ("expiration", "time"),
    ("expiry", "time"),
    ("modification", "time"),
    ("not", "after"),
    ("last", "seen"),
    ("creation", "time"),
)
"""What tells when something began, or what it is, and can get neither better nor worse."""
