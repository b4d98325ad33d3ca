-- What people said of a verdict can go once its incident has gone, and not before.
DROP TRIGGER feedback_is_not_deleted;

CREATE TRIGGER feedback_is_not_deleted BEFORE DELETE ON feedback
WHEN EXISTS (SELECT 1 FROM incidents WHERE id = OLD.incident_id)
BEGIN
    SELECT raise(ABORT, 'feedback is append-only');
END;
