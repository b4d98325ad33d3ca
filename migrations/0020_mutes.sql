-- Alerts of a service that are held back for a time: kept and counted, listed when it ends.
CREATE TABLE mutes (
    id       INTEGER PRIMARY KEY,
    service  TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    muted_by TEXT    NOT NULL,
    -- where the list of held alerts goes
    channel  TEXT,
    began_at INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    ended_at INTEGER,
    -- who ended it early; NULL where its time was up
    ended_by TEXT,
    -- when people were told what was held
    told_at  INTEGER
) STRICT;

CREATE UNIQUE INDEX mutes_active ON mutes (service) WHERE ended_at IS NULL;

CREATE TABLE held_alerts (
    id          INTEGER PRIMARY KEY,
    mute_id     INTEGER NOT NULL REFERENCES mutes (id) ON DELETE CASCADE,
    received_at INTEGER NOT NULL,
    body        TEXT    NOT NULL
) STRICT;

CREATE INDEX held_alerts_mute ON held_alerts (mute_id, id);
