-- The recorder: states of the configuration of watched services, where AWS keeps no history of its own.
-- One row is one state of one part of a resource, from when it was first to when it was last seen so.
CREATE TABLE snapshots (
    id       INTEGER PRIMARY KEY,
    service  TEXT    NOT NULL,
    -- 'lambda/checkout/environment', 'ecs/prod/checkout', …
    resource TEXT    NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    -- key to value; a secret is a keyed hash
    body     TEXT    NOT NULL
) STRICT;

CREATE INDEX snapshots_of ON snapshots (service, resource, first_at);
CREATE INDEX snapshots_last ON snapshots (last_at);

-- What secrets are hashed with: made once, and never shown. Without it the hashes tell nothing.
CREATE TABLE recorder_key (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    key TEXT    NOT NULL
) STRICT;
