-- One row for each verdict given. `request` and `response` are the texts as they were on the wire.
CREATE TABLE decisions (
    decision_id TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    content_id TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    decision TEXT NOT NULL,
    policy_version INTEGER NOT NULL,
    request TEXT NOT NULL,
    response TEXT NOT NULL
) STRICT;
