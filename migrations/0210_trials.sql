-- Small tests that were begun: when all of the traffic was back, and what was counted (src/domain/trial.rs).
CREATE TABLE trials (
    -- the approval that the test was begun under
    approval_id TEXT    PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    ended_at    INTEGER NOT NULL,
    -- how it ended, for people
    how         TEXT    NOT NULL,
    -- NULL until it is read
    result      TEXT
) STRICT;

CREATE INDEX trials_incident ON trials (incident_id);
