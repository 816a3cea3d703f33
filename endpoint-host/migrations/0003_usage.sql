-- What SageMaker would bill, since the data folder was made.
CREATE TABLE usage (
    endpoint TEXT NOT NULL,
    variant TEXT NOT NULL,
    memory_mb INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    billed_ms INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL,
    -- Provisioned containers times the milliseconds for which they were kept.
    provisioned_ms INTEGER NOT NULL,
    PRIMARY KEY (endpoint, variant, memory_mb)
) WITHOUT ROWID;
