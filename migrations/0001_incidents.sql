-- Times are INTEGER milliseconds since the epoch. Tables are STRICT.

CREATE TABLE incidents (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    service         TEXT    NOT NULL,
    -- errors, latency, saturation, availability; NULL where no alert said it
    symptom         TEXT,
    state           TEXT    NOT NULL,
    opened_at       INTEGER NOT NULL,
    -- the newest alert or word about it: what close_after counts from
    heard_at        INTEGER NOT NULL,
    closed_at       INTEGER,
    close_reason    TEXT,
    -- an earlier incident of the same problem
    previous        INTEGER REFERENCES incidents (id),
    alerts_received INTEGER NOT NULL DEFAULT 0,
    -- Slack: where the thread is, and the message that is edited as the incident goes on
    channel         TEXT,
    thread_ts       TEXT,
    headline_ts     TEXT,
    requested_by    TEXT,
    -- counts the investigations: evidence and verdict belong to the newest
    round           INTEGER NOT NULL DEFAULT 1,
    report          TEXT,
    symptoms        TEXT,
    author          TEXT
) STRICT;

CREATE INDEX incidents_open ON incidents (service, state);

CREATE TABLE alerts (
    id          INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    received_at INTEGER NOT NULL,
    body        TEXT    NOT NULL
) STRICT;

CREATE INDEX alerts_incident ON alerts (incident_id);

-- What was delivered to us and acknowledged, by the sender's own id: a retry finds itself here.
CREATE TABLE deliveries (
    id          TEXT    PRIMARY KEY,
    received_at INTEGER NOT NULL
) STRICT;

CREATE TABLE timeline (
    id          INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    at          INTEGER NOT NULL,
    what        TEXT    NOT NULL
) STRICT;

CREATE INDEX timeline_incident ON timeline (incident_id, id);

-- The evidence of an incident's newest investigation, file by file, as a bundle holds it.
CREATE TABLE evidence (
    incident_id INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    path        TEXT    NOT NULL,
    body        BLOB    NOT NULL,
    PRIMARY KEY (incident_id, path)
) STRICT;

CREATE TABLE approvals (
    id           TEXT    PRIMARY KEY,
    incident_id  INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    requested_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    plan         TEXT    NOT NULL,
    -- the message that carries the button: a click counts only there
    channel      TEXT,
    message_ts   TEXT,
    decision     TEXT,
    decided_by   TEXT,
    decided_at   INTEGER,
    reason       TEXT,
    -- set before the call that changes something leaves the process, so that it is never sent twice
    sent_at      INTEGER,
    applied_at   INTEGER,
    outcome      TEXT
) STRICT;

CREATE INDEX approvals_incident ON approvals (incident_id);

CREATE TABLE jobs (
    id           INTEGER PRIMARY KEY,
    kind         TEXT    NOT NULL,
    incident_id  INTEGER REFERENCES incidents (id) ON DELETE CASCADE,
    payload      TEXT    NOT NULL,
    run_at       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    leased_until INTEGER,
    -- ready, dead
    state        TEXT    NOT NULL DEFAULT 'ready',
    last_error   TEXT
) STRICT;

CREATE INDEX jobs_due ON jobs (state, run_at);

-- Every message that the bot owes or posted, once per incident and purpose.
CREATE TABLE posts (
    incident_id INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    purpose     TEXT    NOT NULL,
    channel     TEXT    NOT NULL,
    ts          TEXT    NOT NULL,
    posted_at   INTEGER NOT NULL,
    PRIMARY KEY (incident_id, purpose)
) STRICT;
