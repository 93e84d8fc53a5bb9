-- The tables of Daypass on SQLite. Times are microseconds since 1970 in UTC; ids and states are text; documents are JSON
-- in which free text stands as its hash.

-- Every legal transition, as `core::world::LEGAL` has it (a test compares the two).
CREATE TABLE legal_transitions (
    kind TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    PRIMARY KEY (kind, from_state, to_state)
) STRICT, WITHOUT ROWID;
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
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- How often the directory changed: a decision that was made from an older one is made anew. One row.
CREATE TABLE directory_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    changes INTEGER NOT NULL
) STRICT;
INSERT INTO directory_state (id, changes) VALUES (1, 0);

-- By how many microseconds time runs ahead of the clock, which was set back at some time. One row.
CREATE TABLE clock_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    shift INTEGER NOT NULL
) STRICT;
INSERT INTO clock_state (id, shift) VALUES (1, 0);

-- The words of free texts, each beside the salt that binds it to the hash that everything else knows. A row may be deleted:
-- the log still verifies.
CREATE TABLE texts (
    hash BLOB PRIMARY KEY,
    salt BLOB NOT NULL,
    words BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What happened. `bytes` is the canonical form and `leaf_hash` its hash as a leaf of the log; `leaf_index` is its place
-- there, given by the sequencer.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    leaf_index INTEGER UNIQUE CHECK (leaf_index >= 0),
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    bytes BLOB NOT NULL,
    leaf_hash BLOB NOT NULL,
    FOREIGN KEY (kind, from_state, to_state) REFERENCES legal_transitions (kind, from_state, to_state)
) STRICT;
-- Who lists events lists the log. An event is in these from the moment that it has its place there: a transition writes none
-- of them, and giving it its place has nothing to take out again.
CREATE INDEX events_subject ON events (kind, subject, leaf_index) WHERE leaf_index IS NOT NULL;
CREATE INDEX events_kind ON events (kind, leaf_index) WHERE leaf_index IS NOT NULL;
CREATE INDEX events_actor ON events (actor, leaf_index) WHERE leaf_index IS NOT NULL;
CREATE INDEX events_name ON events (name, leaf_index) WHERE leaf_index IS NOT NULL;
CREATE INDEX events_at ON events (at);

-- Committed events that have no place in the log yet.
CREATE TABLE outbox (
    event_id INTEGER PRIMARY KEY REFERENCES events (id)
) STRICT;

-- The log's size and peaks, in one row that is also the sequencer's lock.
CREATE TABLE log_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL,
    peaks BLOB NOT NULL
) STRICT;
INSERT INTO log_head (id, size, peaks) VALUES (1, 0, x'');

-- Nodes of the log's tree: those of every eighth level above the leaves, 256 leaves to one of level 8. With the leaves' own
-- hashes they are what tiles and proofs are made of.
CREATE TABLE nodes (
    level INTEGER NOT NULL,
    place INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID;

-- What the server signed: signed notes (C2SP tlog-checkpoint), by the size of the log.
CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- What witnesses signed of them: lines of signatures (C2SP tlog-cosignature).
CREATE TABLE cosignatures (
    size INTEGER NOT NULL,
    witness TEXT NOT NULL,
    line TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (size, witness)
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL DEFAULT 'request' CHECK (kind = 'request'),
    previous_state TEXT NOT NULL DEFAULT 'none',
    state TEXT NOT NULL,
    requester TEXT NOT NULL,
    extends TEXT,
    created_at INTEGER NOT NULL,
    -- Who was to agree: nobody (instant), people (reviewed), or nobody because of an emergency (emergency).
    way TEXT NOT NULL,
    -- When it was decided, taken back, or lapsed.
    answered_at INTEGER,
    -- When somebody said no.
    denied_at INTEGER,
    -- When silence has lasted too long; only while it waits for people, before the access or after an emergency.
    due_at INTEGER,
    -- Whether a review is owed for it.
    owing INTEGER NOT NULL DEFAULT 0,
    document TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
) STRICT, WITHOUT ROWID;
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
    request_id TEXT NOT NULL REFERENCES requests (id),
    resource TEXT NOT NULL,
    -- Both as the request has them, so that what is asked for most is counted without it.
    created_at INTEGER NOT NULL,
    requester TEXT NOT NULL,
    PRIMARY KEY (request_id, resource)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_items_recent ON request_items (created_at, resource, requester);

CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL DEFAULT 'grant' CHECK (kind = 'grant'),
    previous_state TEXT NOT NULL DEFAULT 'none',
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    holder TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    -- When all of it was there.
    active_at INTEGER,
    -- When its holder was first given credentials.
    used_at INTEGER,
    -- When its end began.
    over_at INTEGER,
    -- Since when there is something to do for it; in the future for a start or deadline that is to come.
    due_at INTEGER,
    -- When time alone will change it.
    wakes_at INTEGER,
    -- Whether a target has more to tell of what was done with it.
    telling INTEGER NOT NULL DEFAULT 0,
    document TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
) STRICT, WITHOUT ROWID;
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
    grant_id TEXT NOT NULL REFERENCES grants (id),
    position INTEGER NOT NULL,
    resource TEXT NOT NULL,
    role TEXT NOT NULL,
    connector TEXT NOT NULL,
    target_key TEXT NOT NULL,
    wanted_until INTEGER,
    ended INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (grant_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX grant_parts_resource ON grant_parts (resource) WHERE ended = 0;
CREATE INDEX grant_parts_target ON grant_parts (connector, target_key) WHERE ended = 0;

-- Connections under grants, through a gateway.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL DEFAULT 'session' CHECK (kind = 'session'),
    previous_state TEXT NOT NULL DEFAULT 'none',
    state TEXT NOT NULL,
    grant_id TEXT NOT NULL REFERENCES grants (id),
    holder TEXT NOT NULL,
    server TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    -- Since when it is over, while there is a recording of it.
    kept_since INTEGER,
    document TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_recent ON sessions (opened_at, id);
CREATE INDEX sessions_holder ON sessions (holder, opened_at, id);
CREATE INDEX sessions_grant ON sessions (grant_id, opened_at, id);
CREATE INDEX sessions_kept ON sessions (kept_since) WHERE kept_since IS NOT NULL;
-- Those that are not over: of all, and of a server.
CREATE INDEX sessions_live ON sessions (opened_at, id) WHERE state <> 'closed';
CREATE INDEX sessions_server ON sessions (server) WHERE state <> 'closed';

CREATE TABLE entitlements (
    connector TEXT NOT NULL,
    target_key TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT 'entitlement' CHECK (kind = 'entitlement'),
    previous_state TEXT NOT NULL DEFAULT 'none',
    state TEXT NOT NULL,
    -- The latest of the grants that want it now.
    wanted_until INTEGER,
    -- The target's own limit, as it was seen.
    limit_at INTEGER,
    claim_ends INTEGER,
    document TEXT NOT NULL,
    -- Whether what was seen differs from what is wanted, or nobody knows: work for the reconciler.
    due INTEGER NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN state = 'unknown' OR claim_ends IS NOT NULL THEN 1
            WHEN state = 'present' AND (wanted_until IS NULL OR limit_at <> wanted_until) THEN 1
            WHEN state = 'absent' AND wanted_until IS NOT NULL THEN 1
            ELSE 0
        END
    ) STORED,
    PRIMARY KEY (connector, target_key),
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
) STRICT, WITHOUT ROWID;
CREATE INDEX entitlements_due ON entitlements (connector, target_key) WHERE due = 1;
CREATE INDEX entitlements_claim ON entitlements (claim_ends) WHERE claim_ends IS NOT NULL;
CREATE INDEX entitlements_standing ON entitlements (connector) WHERE state <> 'absent';

CREATE TABLE people (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL DEFAULT 'person' CHECK (kind = 'person'),
    previous_state TEXT NOT NULL DEFAULT 'none',
    state TEXT NOT NULL,
    login TEXT NOT NULL,
    owner TEXT,
    document TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX people_login ON people (lower(login)) WHERE state = 'active';
CREATE INDEX people_owner ON people (owner) WHERE owner IS NOT NULL;

CREATE TABLE passwords (
    person TEXT PRIMARY KEY REFERENCES people (id),
    hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Login sessions, API tokens and credentials for the gateway, by the SHA-256 of the secret; public keys for the gateway, by that of the key.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES people (id),
    token_kind TEXT NOT NULL,
    scopes TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used INTEGER,
    -- When whoever holds a session last proved who they are; never for what is no session.
    confirmed_at INTEGER,
    -- What a proof of a credential for the gateway is checked by (SCRAM-SHA-256), and nothing else has.
    verifier TEXT,
    -- The grant that such a credential is for, where it is for one only.
    grant_id TEXT,
    CHECK ((verifier IS NOT NULL) = (token_kind = 'gateway'))
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_person ON tokens (person);
CREATE INDEX tokens_expiry ON tokens (expires_at);

-- What is locked, or was: a person or a resource. Nothing is held under a lock, and nothing new comes about.
CREATE TABLE locks (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL DEFAULT 'lock' CHECK (kind = 'lock'),
    previous_state TEXT NOT NULL DEFAULT 'none',
    state TEXT NOT NULL,
    person TEXT,
    resource TEXT,
    document TEXT NOT NULL,
    CHECK ((person IS NULL) <> (resource IS NULL)),
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
) STRICT, WITHOUT ROWID;
CREATE INDEX locks_shut ON locks (id) WHERE state = 'locked';

-- The policy's state: one row, once there is a policy.
CREATE TABLE policy_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    kind TEXT NOT NULL DEFAULT 'policy' CHECK (kind = 'policy'),
    previous_state TEXT NOT NULL DEFAULT 'none',
    state TEXT NOT NULL,
    revision TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
) STRICT;

-- Every revision that was put in force, by the event that did it.
CREATE TABLE policies (
    event_id INTEGER PRIMARY KEY REFERENCES events (id),
    revision TEXT NOT NULL,
    sources TEXT NOT NULL,
    applied_at INTEGER NOT NULL,
    actor TEXT NOT NULL
) STRICT;

-- Changes of Daypass itself that wait for others, or did.
CREATE TABLE changes (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL DEFAULT 'change' CHECK (kind = 'change'),
    previous_state TEXT NOT NULL DEFAULT 'none',
    state TEXT NOT NULL,
    proposer TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- When silence has lasted too long; only while it waits for people.
    due_at INTEGER,
    document TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
) STRICT, WITHOUT ROWID;
CREATE INDEX changes_recent ON changes (created_at, id);
CREATE INDEX changes_state ON changes (state, created_at, id);
CREATE INDEX changes_due ON changes (due_at, id) WHERE due_at IS NOT NULL;

-- The files of the policies that changes propose.
CREATE TABLE change_files (
    change_id TEXT PRIMARY KEY REFERENCES changes (id),
    sources TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What is secret of changes that wait: the hash of a password or of a token. It goes with the end of the waiting.
CREATE TABLE change_secrets (
    change_id TEXT PRIMARY KEY REFERENCES changes (id),
    secret TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Commands that carried an idempotency key, and what they were answered.
CREATE TABLE idempotency (
    person TEXT NOT NULL,
    route TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    body_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    finished INTEGER NOT NULL DEFAULT 0,
    status INTEGER,
    answer BLOB,
    PRIMARY KEY (person, route, idempotency_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (created_at);

-- How far in the log it was worked out who is to hear of what; nothing until somebody wants to hear anything.
CREATE TABLE notice_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    next_index INTEGER
) STRICT;
INSERT INTO notice_state (id, next_index) VALUES (1, NULL);

-- What is to be told to whom over which channel, and how that goes. No words: they are put together from the log when it is
-- sent. What was delivered is gone from here.
CREATE TABLE deliveries (
    channel TEXT NOT NULL,
    leaf_index INTEGER NOT NULL,
    notice TEXT NOT NULL,
    -- A person's id; empty where the channel itself is told.
    recipient TEXT NOT NULL,
    -- What keeps its order.
    lane TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'dead')),
    -- From when on it may be told.
    since INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    claimed_until INTEGER,
    fault TEXT,
    PRIMARY KEY (channel, leaf_index, notice, recipient)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (channel, next_at) WHERE state = 'waiting';
CREATE INDEX deliveries_lane ON deliveries (channel, lane, leaf_index) WHERE state = 'waiting';
CREATE INDEX deliveries_age ON deliveries (state, since);

-- Which of the log's keys each server has that signs it. Not events: each says so again while it runs.
CREATE TABLE log_servers (
    name TEXT NOT NULL PRIMARY KEY,
    keys TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys of Daypass's own that were ever rotated, and how far each is.
CREATE TABLE key_states (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL DEFAULT 'key' CHECK (kind = 'key'),
    previous_state TEXT NOT NULL DEFAULT 'none',
    state TEXT NOT NULL,
    document TEXT NOT NULL,
    FOREIGN KEY (kind, previous_state, state) REFERENCES legal_transitions (kind, from_state, to_state)
) STRICT, WITHOUT ROWID;

-- The certificate authorities of connectors: the private key, sealed by the server's own, and the counters.
CREATE TABLE ssh_authorities (
    connector TEXT NOT NULL PRIMARY KEY,
    sealed BLOB,
    -- Since when the key is kept.
    since INTEGER,
    -- The public key: what is revoked is listed with it, also where the private one cannot be opened.
    public BLOB,
    -- The next key, which hosts are told to trust and nothing is signed with yet: private and sealed, and public.
    next_sealed BLOB,
    next_public BLOB,
    -- The key before, while what it signed may be valid: the public key alone, sealed and as it is; and the last serial of its time.
    old_sealed BLOB,
    old_public BLOB,
    old_serial INTEGER,
    last_serial INTEGER NOT NULL DEFAULT 0,
    krl_version INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- The public keys that signed once and are not to be trusted any more. Lists of the revoked name them, for hosts that still do.
CREATE TABLE ssh_withdrawn (
    connector TEXT NOT NULL,
    public BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (connector, public)
) STRICT, WITHOUT ROWID;

-- For what certificates may be issued, or were.
CREATE TABLE ssh_accesses (
    connector TEXT NOT NULL,
    target TEXT NOT NULL,
    -- Nothing once it was closed.
    open_until INTEGER,
    -- When the last certificate runs out, by the clock, as hosts see it.
    last_valid INTEGER,
    -- From this version on, the list has all of them.
    revoked_in INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (connector, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX ssh_accesses_closed ON ssh_accesses (connector, last_valid) WHERE open_until IS NULL;

CREATE TABLE ssh_certificates (
    connector TEXT NOT NULL,
    serial INTEGER NOT NULL,
    target TEXT NOT NULL,
    -- By the clock, as the certificate says it.
    valid_before INTEGER NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (connector, serial)
) STRICT, WITHOUT ROWID;
CREATE INDEX ssh_certificates_target ON ssh_certificates (connector, target);
CREATE INDEX ssh_certificates_age ON ssh_certificates (connector, valid_before);
CREATE INDEX ssh_certificates_revoked ON ssh_certificates (connector, serial) WHERE revoked = 1;

-- Which hosts were ever given the principals of a resource: until they say otherwise, they let in who has them.
CREATE TABLE ssh_given (
    connector TEXT NOT NULL,
    resource TEXT NOT NULL,
    host TEXT NOT NULL,
    PRIMARY KEY (connector, resource, host)
) STRICT, WITHOUT ROWID;

-- Which list each host has in place.
CREATE TABLE ssh_hosts (
    connector TEXT NOT NULL,
    host TEXT NOT NULL,
    -- The fingerprints of the keys that it trusts, with a blank between two.
    trusts TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (connector, host)
) STRICT, WITHOUT ROWID;

-- A row begins at 'none' and each change names the state that it really had: no lie about where it came from passes the
-- foreign key to the legal transitions.
CREATE TRIGGER requests_begins BEFORE INSERT ON requests WHEN NEW.previous_state <> 'none'
BEGIN SELECT RAISE(ABORT, 'a new row comes from none'); END;
CREATE TRIGGER requests_steps BEFORE UPDATE OF previous_state, state ON requests WHEN NEW.previous_state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'previous_state is not the state that the row had'); END;
CREATE TRIGGER grants_begins BEFORE INSERT ON grants WHEN NEW.previous_state <> 'none'
BEGIN SELECT RAISE(ABORT, 'a new row comes from none'); END;
CREATE TRIGGER grants_steps BEFORE UPDATE OF previous_state, state ON grants WHEN NEW.previous_state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'previous_state is not the state that the row had'); END;
CREATE TRIGGER sessions_begins BEFORE INSERT ON sessions WHEN NEW.previous_state <> 'none'
BEGIN SELECT RAISE(ABORT, 'a new row comes from none'); END;
CREATE TRIGGER sessions_steps BEFORE UPDATE OF previous_state, state ON sessions WHEN NEW.previous_state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'previous_state is not the state that the row had'); END;
CREATE TRIGGER entitlements_begins BEFORE INSERT ON entitlements WHEN NEW.previous_state <> 'none'
BEGIN SELECT RAISE(ABORT, 'a new row comes from none'); END;
CREATE TRIGGER entitlements_steps BEFORE UPDATE OF previous_state, state ON entitlements WHEN NEW.previous_state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'previous_state is not the state that the row had'); END;
CREATE TRIGGER people_begins BEFORE INSERT ON people WHEN NEW.previous_state <> 'none'
BEGIN SELECT RAISE(ABORT, 'a new row comes from none'); END;
CREATE TRIGGER people_steps BEFORE UPDATE OF previous_state, state ON people WHEN NEW.previous_state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'previous_state is not the state that the row had'); END;
CREATE TRIGGER locks_begins BEFORE INSERT ON locks WHEN NEW.previous_state <> 'none'
BEGIN SELECT RAISE(ABORT, 'a new row comes from none'); END;
CREATE TRIGGER locks_steps BEFORE UPDATE OF previous_state, state ON locks WHEN NEW.previous_state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'previous_state is not the state that the row had'); END;
CREATE TRIGGER changes_begins BEFORE INSERT ON changes WHEN NEW.previous_state <> 'none'
BEGIN SELECT RAISE(ABORT, 'a new row comes from none'); END;
CREATE TRIGGER changes_steps BEFORE UPDATE OF previous_state, state ON changes WHEN NEW.previous_state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'previous_state is not the state that the row had'); END;
CREATE TRIGGER policy_state_begins BEFORE INSERT ON policy_state WHEN NEW.previous_state <> 'none'
BEGIN SELECT RAISE(ABORT, 'a new row comes from none'); END;
CREATE TRIGGER policy_state_steps BEFORE UPDATE OF previous_state, state ON policy_state WHEN NEW.previous_state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'previous_state is not the state that the row had'); END;
CREATE TRIGGER key_states_begins BEFORE INSERT ON key_states WHEN NEW.previous_state <> 'none'
BEGIN SELECT RAISE(ABORT, 'a new row comes from none'); END;
CREATE TRIGGER key_states_steps BEFORE UPDATE OF previous_state, state ON key_states WHEN NEW.previous_state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'previous_state is not the state that the row had'); END;
