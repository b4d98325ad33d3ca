-- Change events that AWS delivered (EventBridge by SNS), by their own id: evidence that LookupEvents
-- may show minutes later, or never.
CREATE TABLE aws_events (
    id          TEXT    PRIMARY KEY,
    -- when it happened, by AWS
    at          INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    -- 'AWS API Call via CloudTrail', 'ECS Deployment State Change', …
    kind        TEXT    NOT NULL,
    -- a CloudTrail record where the event carries one, else the event as it came
    body        TEXT    NOT NULL
) STRICT;

CREATE INDEX aws_events_at ON aws_events (at);
