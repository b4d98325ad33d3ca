-- Everybody who asked for an incident's investigation, first or again: with two persons, somebody else approves.
CREATE TABLE askers (
    incident_id INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    user        TEXT    NOT NULL,
    PRIMARY KEY (incident_id, user)
) STRICT;

INSERT INTO askers SELECT id, requested_by FROM incidents WHERE requested_by IS NOT NULL;
