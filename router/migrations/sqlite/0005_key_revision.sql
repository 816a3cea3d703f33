-- Counts the changes of keys: routers look at this one row, and changes take turns by it.
CREATE TABLE key_revision (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO key_revision (id, revision) VALUES (1, 0);
