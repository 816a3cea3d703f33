-- What was created through the control plane and not yet deleted.
CREATE TABLE records (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The place in the order of creation.
    serial INTEGER NOT NULL,
    -- The whole record, as JSON.
    document TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
