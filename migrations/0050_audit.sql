-- What was decided, tried, sent and read back: written once, never changed, kept when its incident goes.
-- Each row's hash covers the hash before it (src/domain/audit.rs).
CREATE TABLE audit (
    sequence    INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    incident_id INTEGER,
    approval    TEXT,
    actor       TEXT    NOT NULL,
    what        TEXT    NOT NULL,
    previous    TEXT    NOT NULL,
    hash        TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_incident ON audit (incident_id);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit trail is append-only');
END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit trail is append-only');
END;

-- INSERT OR REPLACE would delete without asking the trigger above.
CREATE TRIGGER audit_only_grows BEFORE INSERT ON audit
WHEN NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM audit)
BEGIN
    SELECT raise(ABORT, 'the audit trail is append-only');
END;

-- A click that was refused stays refused when its step runs again.
CREATE INDEX audit_click ON audit (what ->> 'click');
CREATE INDEX audit_approval ON audit (approval);
