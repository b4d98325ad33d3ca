-- When a change that AWS took served everybody: tasks have to start, and configurations to spread.
ALTER TABLE approvals ADD COLUMN in_effect_at INTEGER;
