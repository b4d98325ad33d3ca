-- Every message that the bot owes to a channel: what it should say, and what Slack shows of it.

CREATE TABLE outbox (
    id            INTEGER PRIMARY KEY,
    -- what it is, once: INC-7/result/1
    key           TEXT    NOT NULL UNIQUE,
    -- travels along as metadata, so that the message is found again after an outcome nobody knows
    token         TEXT    NOT NULL,
    incident_id   INTEGER REFERENCES incidents (id) ON DELETE CASCADE,
    channel       TEXT    NOT NULL,
    -- where it belongs; NULL: the incident's own thread, as it is when this is posted
    thread_ts     TEXT,
    -- the body of chat.postMessage without channel and thread; of an image its names
    body          TEXT    NOT NULL,
    -- an image, until it is in the thread
    is_image      INTEGER NOT NULL DEFAULT 0,
    image         BLOB,
    -- Slack's id of the image, noted before the call that shares it
    file_id       TEXT,
    -- the approval whose button it carries
    approval_id   TEXT,
    -- counts what it should say, and says which of these Slack shows
    revision      INTEGER NOT NULL DEFAULT 1,
    shown         INTEGER NOT NULL DEFAULT 0,
    -- the revision that left and was not heard of, and when the first such attempt left
    sending       INTEGER,
    sending_since INTEGER,
    -- Slack's id of the message, once it is there
    ts            TEXT,
    -- since when Slack shows something older
    owed_at       INTEGER NOT NULL,
    not_before    INTEGER NOT NULL,
    leased_until  INTEGER,
    attempts      INTEGER NOT NULL DEFAULT 0,
    -- due, shown, dead (refused for good), gone (somebody deleted it)
    state         TEXT    NOT NULL DEFAULT 'due',
    -- why it is dead: place, access, content, age
    cause         TEXT,
    error         TEXT
) STRICT;

CREATE INDEX outbox_due ON outbox (state, not_before);
CREATE INDEX outbox_incident ON outbox (incident_id, id);

INSERT INTO outbox (key, token, incident_id, channel, body, revision, shown, ts, owed_at, not_before, state)
SELECT 'INC-' || incident_id || '/' || purpose, lower(hex(randomblob(16))), incident_id, channel, '{}', 1, 1, ts,
       posted_at, posted_at, 'shown'
FROM posts;

INSERT INTO outbox (key, token, incident_id, channel, body, revision, shown, ts, owed_at, not_before, state)
SELECT 'INC-' || id || '/headline', lower(hex(randomblob(16))), id, channel, '{}', 1, 1, headline_ts,
       opened_at, opened_at, 'shown'
FROM incidents WHERE headline_ts IS NOT NULL AND channel IS NOT NULL;

DROP TABLE posts;
