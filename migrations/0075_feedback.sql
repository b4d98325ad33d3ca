-- Each verdict as it was told: what people say about it, and the scorecard, refer to these.
CREATE TABLE verdicts (
    incident_id INTEGER NOT NULL,
    round       INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    cause       TEXT    NOT NULL,
    confidence  REAL    NOT NULL,
    PRIMARY KEY (incident_id, round)
) STRICT;

INSERT INTO verdicts (incident_id, round, at, cause, confidence)
SELECT id, CASE state WHEN 'investigating' THEN round - 1 ELSE round END, heard_at,
       coalesce(report ->> '$.verdict.cause', 'unknown'), coalesce(report ->> '$.verdict.confidence', 0.0)
FROM incidents WHERE report IS NOT NULL;

-- What people said about a verdict: written once, never changed; the last word of a person counts.
CREATE TABLE feedback (
    id          INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL,
    round       INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    -- Slack user id
    said_by     TEXT    NOT NULL,
    -- right, wrong, other
    word        TEXT    NOT NULL,
    -- what it was instead, where they said so
    cause       TEXT,
    note        TEXT,
    -- Slack's delivery of the click: the same in every retry
    click       TEXT    NOT NULL UNIQUE
) STRICT;

CREATE INDEX feedback_verdict ON feedback (incident_id, round);

CREATE TRIGGER feedback_is_not_changed BEFORE UPDATE ON feedback
BEGIN
    SELECT raise(ABORT, 'feedback is append-only');
END;

CREATE TRIGGER feedback_is_not_deleted BEFORE DELETE ON feedback
BEGIN
    SELECT raise(ABORT, 'feedback is append-only');
END;
