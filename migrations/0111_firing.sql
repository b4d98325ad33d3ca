-- The alerts that an incident heard of, each by its own name (src/domain/firing.rs): which fire still.
CREATE TABLE firing (
    incident_id INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    -- what the alert calls itself, else what it measures; '' where it says neither
    name        TEXT    NOT NULL,
    fires       INTEGER NOT NULL,
    PRIMARY KEY (incident_id, name)
) STRICT;

INSERT OR IGNORE INTO firing (incident_id, name, fires)
SELECT incident_id, lower(coalesce(body ->> '$.alert_name', body ->> '$.metric', '')), 1
FROM alerts JOIN incidents ON incidents.id = alerts.incident_id
WHERE incidents.state <> 'resolved' AND incidents.requested_by IS NULL;

-- The alert that the newest investigation is about; NULL: the first one.
ALTER TABLE incidents ADD COLUMN about_alert INTEGER;
-- Slack user id of who closed it; NULL where nobody did.
ALTER TABLE incidents ADD COLUMN closed_by TEXT;
-- An alert may also resolve while its service is muted.
ALTER TABLE held_alerts ADD COLUMN resolved INTEGER NOT NULL DEFAULT 0;
