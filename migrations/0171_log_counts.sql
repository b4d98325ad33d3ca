-- Lines that CloudWatch Logs subscriptions delivered, counted by minute: what a surge of errors is held against.
CREATE TABLE watched_log_groups (
    log_group TEXT    PRIMARY KEY,
    -- when its first line was delivered: before that its silence tells nothing
    first_at  INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    -- since when its errors surge; NULL where they do not
    surges_at INTEGER
) STRICT;

CREATE TABLE log_counts (
    log_group TEXT    NOT NULL REFERENCES watched_log_groups (log_group) ON DELETE CASCADE,
    -- since the epoch
    minute    INTEGER NOT NULL,
    lines     INTEGER NOT NULL,
    errors    INTEGER NOT NULL,
    PRIMARY KEY (log_group, minute)
) STRICT, WITHOUT ROWID;
