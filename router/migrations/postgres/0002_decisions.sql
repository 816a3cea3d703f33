-- One row for each verdict given. `request` and `response` are the texts as they were on the wire;
-- `calls` is JSON: the scores that the verdict had. `sampled` is 1 for contents drawn for people.
CREATE TABLE decisions (
    decision_id TEXT COLLATE "C" PRIMARY KEY,
    client TEXT COLLATE "C" NOT NULL,
    content_id TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    decision TEXT NOT NULL,
    policy_version BIGINT NOT NULL,
    request TEXT NOT NULL,
    response TEXT NOT NULL,
    calls TEXT,
    sampled BIGINT NOT NULL DEFAULT 0,
    inclusion_probability DOUBLE PRECISION NOT NULL DEFAULT 0
);

-- For one client's latest decisions; ids are made of the time.
CREATE INDEX decisions_by_client ON decisions (client, decision_id);
