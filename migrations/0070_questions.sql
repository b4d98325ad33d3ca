-- An alert that fits more than one service, and the question which one it is about.
CREATE TABLE questions (
    id          INTEGER PRIMARY KEY,
    -- what makes a repeated alert the same question: channel, candidates, alert
    key         TEXT    NOT NULL,
    asked_at    INTEGER NOT NULL,
    channel     TEXT    NOT NULL,
    thread_ts   TEXT    NOT NULL,
    -- JSON list of service names
    candidates  TEXT    NOT NULL,
    answered_at INTEGER,
    -- Slack user id; NULL where the alert resolved before anybody answered
    answered_by TEXT,
    -- NULL where it is about none of them
    service     TEXT,
    incident_id INTEGER REFERENCES incidents (id)
) STRICT;

CREATE UNIQUE INDEX questions_open ON questions (key) WHERE answered_at IS NULL;
CREATE INDEX questions_key ON questions (key, answered_at);

-- Every alert that waits for the answer.
CREATE TABLE question_alerts (
    id          INTEGER PRIMARY KEY,
    question_id INTEGER NOT NULL REFERENCES questions (id) ON DELETE CASCADE,
    received_at INTEGER NOT NULL,
    body        TEXT    NOT NULL
) STRICT;

CREATE INDEX question_alerts_question ON question_alerts (question_id, id);
