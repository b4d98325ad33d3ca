-- What a database that lives for years needs: a place for what failed, and ways to let old things go.

-- When a job was put aside.
ALTER TABLE jobs ADD COLUMN dead_at INTEGER;
-- Who works on what now is asked at every claim.
CREATE INDEX jobs_leased ON jobs (leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX jobs_incident ON jobs (incident_id);

-- Whatever refers to an incident is looked for when that goes.
CREATE INDEX incidents_closed ON incidents (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX incidents_previous ON incidents (previous) WHERE previous IS NOT NULL;
CREATE INDEX questions_incident ON questions (incident_id) WHERE incident_id IS NOT NULL;
CREATE INDEX deliveries_received ON deliveries (received_at);

-- One row that is written to see whether the disk takes anything.
CREATE TABLE pulse (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    written_at INTEGER NOT NULL
) STRICT;
