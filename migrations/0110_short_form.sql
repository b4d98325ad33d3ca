-- Slack refused the message as it is (too long, a block that it does not take): it goes in its short form.
ALTER TABLE outbox ADD COLUMN is_short INTEGER NOT NULL DEFAULT 0;
