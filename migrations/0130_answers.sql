-- What AWS answered to the call that changes something, where it did (domain/execution.rs, Answer).
ALTER TABLE approvals ADD COLUMN answer TEXT;
-- What became of that call: made, overtaken, by_another, in_place, not_made, unclear, unknown.
ALTER TABLE approvals ADD COLUMN effect TEXT;
