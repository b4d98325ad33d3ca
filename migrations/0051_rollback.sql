-- Approved by one of the few who may do it alone.
ALTER TABLE approvals ADD COLUMN break_glass INTEGER NOT NULL DEFAULT 0;
-- The approval whose change this one takes back, where it is such a plan.
ALTER TABLE approvals ADD COLUMN undoes TEXT;
-- Whether the change helped: recovered, not_recovered; and when that was decided.
ALTER TABLE approvals ADD COLUMN judged TEXT;
ALTER TABLE approvals ADD COLUMN judged_at INTEGER;
-- Why a rollback that the report recommends has no button.
ALTER TABLE incidents ADD COLUMN not_offered TEXT;
