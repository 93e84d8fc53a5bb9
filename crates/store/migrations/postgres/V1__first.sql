-- The tables of Daypass on PostgreSQL. Times are microseconds since 1970 in UTC; ids and states are text; documents are JSON
-- in which free text stands as its hash.

-- Every legal transition, as `core::world::LEGAL` has it (a test compares the two).
CREATE TABLE legal_transitions (
    kind TEXT COLLATE "C" NOT NULL,
    from_state TEXT COLLATE "C" NOT NULL,
    to_state TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, from_state, to_state)
);
INSERT INTO legal_transitions (kind, from_state, to_state) VALUES
    ('request', 'none', 'pending'),
    ('request', 'pending', 'pending'),
    ('request', 'pending', 'approved'),
    ('request', 'approved', 'approved'),
    ('request', 'pending', 'denied'),
    ('request', 'pending', 'withdrawn'),
    ('request', 'pending', 'lapsed'),
    ('grant', 'none', 'scheduled'),
    ('grant', 'scheduled', 'activating'),
    ('grant', 'scheduled', 'ending'),
    ('grant', 'activating', 'active'),
    ('grant', 'activating', 'ending'),
    ('grant', 'active', 'active'),
    ('grant', 'active', 'ending'),
    ('grant', 'ending', 'ending'),
    ('grant', 'ending', 'ended'),
    ('grant', 'ended', 'ended'),
    ('entitlement', 'none', 'unknown'),
    ('entitlement', 'unknown', 'unknown'),
    ('entitlement', 'unknown', 'present'),
    ('entitlement', 'unknown', 'absent'),
    ('entitlement', 'present', 'present'),
    ('entitlement', 'present', 'unknown'),
    ('entitlement', 'present', 'absent'),
    ('entitlement', 'absent', 'absent'),
    ('entitlement', 'absent', 'unknown'),
    ('person', 'none', 'active'),
    ('person', 'active', 'active'),
    ('person', 'active', 'inactive'),
    ('person', 'inactive', 'inactive'),
    ('person', 'inactive', 'active'),
    ('lock', 'none', 'locked'),
    ('lock', 'locked', 'unlocked'),
    ('lock', 'unlocked', 'locked'),
    ('change', 'none', 'pending'),
    ('change', 'pending', 'pending'),
    ('change', 'pending', 'applied'),
    ('change', 'pending', 'denied'),
    ('change', 'pending', 'withdrawn'),
    ('change', 'pending', 'lapsed'),
    ('policy', 'none', 'applied'),
    ('policy', 'applied', 'applied'),
    ('key', 'none', 'settled'),
    ('key', 'settled', 'settled'),
    ('key', 'none', 'staged'),
    ('key', 'settled', 'staged'),
    ('key', 'staged', 'retiring'),
    ('key', 'retiring', 'settled'),
    ('session', 'none', 'open'),
    ('session', 'open', 'open'),
    ('session', 'open', 'ending'),
    ('session', 'ending', 'ending'),
    ('session', 'open', 'closed'),
    ('session', 'ending', 'closed'),
    ('session', 'closed', 'closed'),
    ('log', 'kept', 'kept');

-- Facts about this store, such as the random id of the installation.
CREATE TABLE meta (
    name TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);

-- How often the directory changed: a decision that was made from an older one is made anew. One row.
CREATE TABLE directory_state (
    id INT PRIMARY KEY CHECK (id = 1),
    changes BIGINT NOT NULL
);
INSERT INTO directory_state (id, changes) VALUES (1, 0);

-- By how many microseconds time runs ahead of the clock, which was set back at some time. One row.
CREATE TABLE clock_state (
    id INT PRIMARY KEY CHECK (id = 1),
    shift BIGINT NOT NULL
);
INSERT INTO clock_state (id, shift) VALUES (1, 0);

-- The words of free texts, each beside the salt that binds it to the hash that everything else knows. A row may be deleted:
-- the log still verifies.
CREATE TABLE texts (
    hash BYTEA PRIMARY KEY,
    salt BYTEA NOT NULL,
    words BYTEA NOT NULL
);

-- Ids in the order in which they are drawn: for one subject, the order of its changes.
CREATE SEQUENCE event_ids AS BIGINT;

-- What happened. `bytes` is the canonical form and `leaf_hash` its hash as a leaf of the log; `leaf_index` is its place
-- there, given by the sequencer.
CREATE TABLE events (
    id BIGINT PRIMARY KEY,
    leaf_index BIGINT UNIQUE CHECK (leaf_index >= 0),
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    from_state TEXT COLLATE "C" NOT NULL,
    to_state TEXT COLLATE "C" NOT NULL,
    bytes BYTEA NOT NULL,
    leaf_hash BYTEA NOT NULL,
    FOREIGN KEY (kind, from_state, to_state) REFERENCES legal_transitions (kind, from_state, to_state)
);
-- Who lists events lists the log. An event is in these from the moment that it has its place there: a transition writes none
-- of them, and giving it its place has nothing to take out again.
CREATE INDEX events_subject ON events (kind, subject, leaf_index) WHERE leaf_index IS NOT NULL;
CREATE INDEX events_kind ON events (kind, leaf_index) WHERE leaf_index IS NOT NULL;
CREATE INDEX events_actor ON events (actor, leaf_index) WHERE leaf_index IS NOT NULL;
CREATE INDEX events_name ON events (name, leaf_index) WHERE leaf_index IS NOT NULL;
CREATE INDEX events_at ON events (at);

-- Committed events that have no place in the log yet.
CREATE TABLE outbox (
    event_id BIGINT PRIMARY KEY REFERENCES events (id)
);

-- The log's size and peaks, in one row that is also the sequencer's lock.
CREATE TABLE log_head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    size BIGINT NOT NULL,
    peaks BYTEA NOT NULL
);
INSERT INTO log_head (id, size, peaks) VALUES (1, 0, '');

-- Nodes of the log's tree: those of every eighth level above the leaves, 256 leaves to one of level 8. With the leaves' own
-- hashes they are what tiles and proofs are made of.
CREATE TABLE nodes (
    level BIGINT NOT NULL,
    place BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (level, place)
);

-- What the server signed: signed notes (C2SP tlog-checkpoint), by the size of the log.
CREATE TABLE checkpoints (
    size BIGINT PRIMARY KEY,
    note TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL
);

-- What witnesses signed of them: lines of signatures (C2SP tlog-cosignature).
CREATE TABLE cosignatures (
    size BIGINT NOT NULL,
    witness TEXT COLLATE "C" NOT NULL,
    line TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (size, witness)
);

CREATE TABLE requests (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL DEFAULT 'request' CHECK (kind = 'request'),
    previous_state TEXT COLLATE "C" NOT NULL DEFAULT 'none',
    state TEXT COLLATE "C" NOT NULL,
    requester TEXT COLLATE "C" NOT NULL,
    extends TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    -- Who was to agree: nobody (instant), people (reviewed), or nobody because of an emergency (emergency).
    way TEXT COLLATE "C" NOT NULL,
    -- When it was decided, taken back, or lapsed.
    answered_at BIGINT,
    -- When somebody said no.
    denied_at BIGINT,
    -- When silence has lasted too long; only while it waits for people, before the access or after an emergency.
    due_at BIGINT,
    -- Whether a review is owed for it.
    owing BIGINT NOT NULL DEFAULT 0,
    document TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
);
-- With what reports count by: of many requests, none has to be read for them.
CREATE INDEX requests_recent ON requests (created_at, id, state, way, answered_at, requester);
CREATE INDEX requests_requester ON requests (requester, created_at, id);
CREATE INDEX requests_state ON requests (state, created_at, id);
-- Who was denied something a short while ago.
CREATE INDEX requests_denied ON requests (requester, denied_at) WHERE denied_at IS NOT NULL;
CREATE INDEX requests_extends ON requests (extends) WHERE extends IS NOT NULL;
CREATE INDEX requests_owing ON requests (created_at, id) WHERE owing = 1;
CREATE INDEX requests_due ON requests (due_at, id) WHERE due_at IS NOT NULL;

-- Which resources a request asks for something on.
CREATE TABLE request_items (
    request_id TEXT COLLATE "C" NOT NULL REFERENCES requests (id),
    resource TEXT COLLATE "C" NOT NULL,
    -- Both as the request has them, so that what is asked for most is counted without it.
    created_at BIGINT NOT NULL,
    requester TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (request_id, resource)
);
CREATE INDEX request_items_recent ON request_items (created_at, resource, requester);

CREATE TABLE grants (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL DEFAULT 'grant' CHECK (kind = 'grant'),
    previous_state TEXT COLLATE "C" NOT NULL DEFAULT 'none',
    state TEXT COLLATE "C" NOT NULL,
    request TEXT COLLATE "C" NOT NULL,
    holder TEXT COLLATE "C" NOT NULL,
    opened_at BIGINT NOT NULL,
    -- When all of it was there.
    active_at BIGINT,
    -- When its holder was first given credentials.
    used_at BIGINT,
    -- When its end began.
    over_at BIGINT,
    -- Since when there is something to do for it; in the future for a start or deadline that is to come.
    due_at BIGINT,
    -- When time alone will change it.
    wakes_at BIGINT,
    -- Whether a target has more to tell of what was done with it.
    telling BIGINT NOT NULL DEFAULT 0,
    document TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
);
-- With what reports count by.
CREATE INDEX grants_recent ON grants (opened_at, id, active_at, over_at, used_at, holder);
CREATE INDEX grants_holder ON grants (holder, opened_at, id);
-- What somebody had until a short while ago.
CREATE INDEX grants_over ON grants (holder, over_at) WHERE over_at IS NOT NULL;
CREATE INDEX grants_open ON grants (opened_at, id) WHERE state <> 'ended';
CREATE INDEX grants_state ON grants (state, opened_at, id);
CREATE INDEX grants_request ON grants (request);
CREATE INDEX grants_telling ON grants (opened_at, id) WHERE telling = 1;
-- Who holds what and has not begun to end: what a lock looks for.
CREATE INDEX grants_live ON grants (holder) WHERE state IN ('scheduled', 'activating', 'active');
-- What somebody holds, and what is on its way out.
CREATE INDEX grants_held ON grants (holder) WHERE state <> 'ended';
CREATE INDEX grants_due ON grants (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX grants_wake ON grants (wakes_at) WHERE wakes_at IS NOT NULL;

-- Which grant wants what at which target, and until when (no instant: not now).
CREATE TABLE grant_parts (
    grant_id TEXT COLLATE "C" NOT NULL REFERENCES grants (id),
    position BIGINT NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    connector TEXT COLLATE "C" NOT NULL,
    target_key TEXT COLLATE "C" NOT NULL,
    wanted_until BIGINT,
    ended BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (grant_id, position)
);
CREATE INDEX grant_parts_resource ON grant_parts (resource) WHERE ended = 0;
CREATE INDEX grant_parts_target ON grant_parts (connector, target_key) WHERE ended = 0;

-- Connections under grants, through a gateway.
CREATE TABLE sessions (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL DEFAULT 'session' CHECK (kind = 'session'),
    previous_state TEXT COLLATE "C" NOT NULL DEFAULT 'none',
    state TEXT COLLATE "C" NOT NULL,
    grant_id TEXT COLLATE "C" NOT NULL REFERENCES grants (id),
    holder TEXT COLLATE "C" NOT NULL,
    server TEXT COLLATE "C" NOT NULL,
    opened_at BIGINT NOT NULL,
    -- Since when it is over, while there is a recording of it.
    kept_since BIGINT,
    document TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
);
CREATE INDEX sessions_recent ON sessions (opened_at, id);
CREATE INDEX sessions_holder ON sessions (holder, opened_at, id);
CREATE INDEX sessions_grant ON sessions (grant_id, opened_at, id);
CREATE INDEX sessions_kept ON sessions (kept_since) WHERE kept_since IS NOT NULL;
-- Those that are not over: of all, and of a server.
CREATE INDEX sessions_live ON sessions (opened_at, id) WHERE state <> 'closed';
CREATE INDEX sessions_server ON sessions (server) WHERE state <> 'closed';

CREATE TABLE entitlements (
    connector TEXT COLLATE "C" NOT NULL,
    target_key TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL DEFAULT 'entitlement' CHECK (kind = 'entitlement'),
    previous_state TEXT COLLATE "C" NOT NULL DEFAULT 'none',
    state TEXT COLLATE "C" NOT NULL,
    -- The latest of the grants that want it now.
    wanted_until BIGINT,
    -- The target's own limit, as it was seen.
    limit_at BIGINT,
    claim_ends BIGINT,
    document TEXT NOT NULL,
    -- Whether what was seen differs from what is wanted, or nobody knows: work for the reconciler.
    due BIGINT NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN state = 'unknown' OR claim_ends IS NOT NULL THEN 1
            WHEN state = 'present' AND (wanted_until IS NULL OR limit_at <> wanted_until) THEN 1
            WHEN state = 'absent' AND wanted_until IS NOT NULL THEN 1
            ELSE 0
        END
    ) STORED,
    PRIMARY KEY (connector, target_key),
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
);
CREATE INDEX entitlements_due ON entitlements (connector, target_key) WHERE due = 1;
CREATE INDEX entitlements_claim ON entitlements (claim_ends) WHERE claim_ends IS NOT NULL;
CREATE INDEX entitlements_standing ON entitlements (connector) WHERE state <> 'absent';

CREATE TABLE people (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL DEFAULT 'person' CHECK (kind = 'person'),
    previous_state TEXT COLLATE "C" NOT NULL DEFAULT 'none',
    state TEXT COLLATE "C" NOT NULL,
    login TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C",
    document TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
);
CREATE UNIQUE INDEX people_login ON people (lower(login)) WHERE state = 'active';
CREATE INDEX people_owner ON people (owner) WHERE owner IS NOT NULL;

CREATE TABLE passwords (
    person TEXT COLLATE "C" PRIMARY KEY REFERENCES people (id),
    hash TEXT COLLATE "C" NOT NULL
);

-- Login sessions, API tokens and credentials for the gateway, by the SHA-256 of the secret; public keys for the gateway, by that of the key.
CREATE TABLE tokens (
    id TEXT COLLATE "C" PRIMARY KEY,
    person TEXT COLLATE "C" NOT NULL REFERENCES people (id),
    token_kind TEXT COLLATE "C" NOT NULL,
    scopes TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used BIGINT,
    -- When whoever holds a session last proved who they are; never for what is no session.
    confirmed_at BIGINT,
    -- What a proof of a credential for the gateway is checked by (SCRAM-SHA-256), and nothing else has.
    verifier TEXT COLLATE "C",
    -- The grant that such a credential is for, where it is for one only.
    grant_id TEXT COLLATE "C",
    CHECK ((verifier IS NOT NULL) = (token_kind = 'gateway'))
);
CREATE INDEX tokens_person ON tokens (person);
CREATE INDEX tokens_expiry ON tokens (expires_at);

-- What is locked, or was: a person or a resource. Nothing is held under a lock, and nothing new comes about.
CREATE TABLE locks (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL DEFAULT 'lock' CHECK (kind = 'lock'),
    previous_state TEXT COLLATE "C" NOT NULL DEFAULT 'none',
    state TEXT COLLATE "C" NOT NULL,
    person TEXT COLLATE "C",
    resource TEXT COLLATE "C",
    document TEXT NOT NULL,
    CHECK ((person IS NULL) <> (resource IS NULL)),
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
);
CREATE INDEX locks_shut ON locks (id) WHERE state = 'locked';

-- The policy's state: one row, once there is a policy.
CREATE TABLE policy_state (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    kind TEXT COLLATE "C" NOT NULL DEFAULT 'policy' CHECK (kind = 'policy'),
    previous_state TEXT COLLATE "C" NOT NULL DEFAULT 'none',
    state TEXT COLLATE "C" NOT NULL,
    revision TEXT COLLATE "C" NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
);

-- Every revision that was put in force, by the event that did it.
CREATE TABLE policies (
    event_id BIGINT PRIMARY KEY REFERENCES events (id),
    revision TEXT COLLATE "C" NOT NULL,
    sources TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL
);

-- Changes of Daypass itself that wait for others, or did.
CREATE TABLE changes (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL DEFAULT 'change' CHECK (kind = 'change'),
    previous_state TEXT COLLATE "C" NOT NULL DEFAULT 'none',
    state TEXT COLLATE "C" NOT NULL,
    proposer TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    -- When silence has lasted too long; only while it waits for people.
    due_at BIGINT,
    document TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
);
CREATE INDEX changes_recent ON changes (created_at, id);
CREATE INDEX changes_state ON changes (state, created_at, id);
CREATE INDEX changes_due ON changes (due_at, id) WHERE due_at IS NOT NULL;

-- The files of the policies that changes propose.
CREATE TABLE change_files (
    change_id TEXT COLLATE "C" PRIMARY KEY REFERENCES changes (id),
    sources TEXT NOT NULL
);

-- What is secret of changes that wait: the hash of a password or of a token. It goes with the end of the waiting.
CREATE TABLE change_secrets (
    change_id TEXT COLLATE "C" PRIMARY KEY REFERENCES changes (id),
    secret TEXT NOT NULL
);

-- Commands that carried an idempotency key, and what they were answered.
CREATE TABLE idempotency (
    person TEXT COLLATE "C" NOT NULL,
    route TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    body_hash BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    finished BIGINT NOT NULL DEFAULT 0,
    status BIGINT,
    answer BYTEA,
    PRIMARY KEY (person, route, idempotency_key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

-- How far in the log it was worked out who is to hear of what; nothing until somebody wants to hear anything.
CREATE TABLE notice_state (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    next_index BIGINT
);
INSERT INTO notice_state (id, next_index) VALUES (1, NULL);

-- What is to be told to whom over which channel, and how that goes. No words: they are put together from the log when it is
-- sent. What was delivered is gone from here.
CREATE TABLE deliveries (
    channel TEXT COLLATE "C" NOT NULL,
    leaf_index BIGINT NOT NULL,
    notice TEXT COLLATE "C" NOT NULL,
    -- A person's id; empty where the channel itself is told.
    recipient TEXT COLLATE "C" NOT NULL,
    -- What keeps its order.
    lane TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'dead')),
    -- From when on it may be told.
    since BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    tries BIGINT NOT NULL DEFAULT 0,
    worker TEXT COLLATE "C",
    claimed_until BIGINT,
    fault TEXT,
    PRIMARY KEY (channel, leaf_index, notice, recipient)
);
CREATE INDEX deliveries_due ON deliveries (channel, next_at) WHERE state = 'waiting';
CREATE INDEX deliveries_lane ON deliveries (channel, lane, leaf_index) WHERE state = 'waiting';
CREATE INDEX deliveries_age ON deliveries (state, since);

-- Which of the log's keys each server has that signs it. Not events: each says so again while it runs.
CREATE TABLE log_servers (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    keys TEXT NOT NULL,
    at BIGINT NOT NULL
);

-- Keys of Daypass's own that were ever rotated, and how far each is.
CREATE TABLE key_states (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL DEFAULT 'key' CHECK (kind = 'key'),
    previous_state TEXT COLLATE "C" NOT NULL DEFAULT 'none',
    state TEXT COLLATE "C" NOT NULL,
    document TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
);

-- The certificate authorities of connectors: the private key, sealed by the server's own, and the counters.
CREATE TABLE ssh_authorities (
    connector TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sealed BYTEA,
    -- Since when the key is kept.
    since BIGINT,
    -- The public key: what is revoked is listed with it, also where the private one cannot be opened.
    public BYTEA,
    -- The next key, which hosts are told to trust and nothing is signed with yet: private and sealed, and public.
    next_sealed BYTEA,
    next_public BYTEA,
    -- The key before, while what it signed may be valid: the public key alone, sealed and as it is; and the last serial of its time.
    old_sealed BYTEA,
    old_public BYTEA,
    old_serial BIGINT,
    last_serial BIGINT NOT NULL DEFAULT 0,
    krl_version BIGINT NOT NULL DEFAULT 0
);

-- The public keys that signed once and are not to be trusted any more. Lists of the revoked name them, for hosts that still do.
CREATE TABLE ssh_withdrawn (
    connector TEXT COLLATE "C" NOT NULL,
    public BYTEA NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (connector, public)
);

-- For what certificates may be issued, or were.
CREATE TABLE ssh_accesses (
    connector TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    -- Nothing once it was closed.
    open_until BIGINT,
    -- When the last certificate runs out, by the clock, as hosts see it.
    last_valid BIGINT,
    -- From this version on, the list has all of them.
    revoked_in BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (connector, target)
);
CREATE INDEX ssh_accesses_closed ON ssh_accesses (connector, last_valid) WHERE open_until IS NULL;

CREATE TABLE ssh_certificates (
    connector TEXT COLLATE "C" NOT NULL,
    serial BIGINT NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    -- By the clock, as the certificate says it.
    valid_before BIGINT NOT NULL,
    revoked BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (connector, serial)
);
CREATE INDEX ssh_certificates_target ON ssh_certificates (connector, target);
CREATE INDEX ssh_certificates_age ON ssh_certificates (connector, valid_before);
CREATE INDEX ssh_certificates_revoked ON ssh_certificates (connector, serial) WHERE revoked = 1;

-- Which hosts were ever given the principals of a resource: until they say otherwise, they let in who has them.
CREATE TABLE ssh_given (
    connector TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (connector, resource, host)
);

-- Which list each host has in place.
CREATE TABLE ssh_hosts (
    connector TEXT COLLATE "C" NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    -- The fingerprints of the keys that it trusts, with a blank between two.
    trusts TEXT COLLATE "C" NOT NULL DEFAULT '',
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (connector, host)
);

-- A row begins at 'none' and each change names the state that it really had: no lie about where it came from passes the
-- foreign key to the legal transitions.
CREATE FUNCTION begins_and_steps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.previous_state <> 'none' THEN
        RAISE EXCEPTION 'a new row comes from none' USING ERRCODE = 'check_violation';
    ELSIF TG_OP = 'UPDATE' AND NEW.previous_state <> OLD.state THEN
        RAISE EXCEPTION 'previous_state is not the state that the row had' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER requests_begins BEFORE INSERT ON requests
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER requests_steps BEFORE UPDATE OF previous_state, state ON requests
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER grants_begins BEFORE INSERT ON grants
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER grants_steps BEFORE UPDATE OF previous_state, state ON grants
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER sessions_begins BEFORE INSERT ON sessions
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER sessions_steps BEFORE UPDATE OF previous_state, state ON sessions
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER entitlements_begins BEFORE INSERT ON entitlements
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER entitlements_steps BEFORE UPDATE OF previous_state, state ON entitlements
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER people_begins BEFORE INSERT ON people
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER people_steps BEFORE UPDATE OF previous_state, state ON people
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER locks_begins BEFORE INSERT ON locks
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER locks_steps BEFORE UPDATE OF previous_state, state ON locks
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER changes_begins BEFORE INSERT ON changes
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER changes_steps BEFORE UPDATE OF previous_state, state ON changes
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER policy_state_begins BEFORE INSERT ON policy_state
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER policy_state_steps BEFORE UPDATE OF previous_state, state ON policy_state
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER key_states_begins BEFORE INSERT ON key_states
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
CREATE TRIGGER key_states_steps BEFORE UPDATE OF previous_state, state ON key_states
    FOR EACH ROW EXECUTE FUNCTION begins_and_steps();
