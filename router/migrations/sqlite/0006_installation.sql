-- One row that tells this database from every other router's, as on PostgreSQL.
CREATE TABLE installation (
    id TEXT NOT NULL PRIMARY KEY
) STRICT;

INSERT INTO installation VALUES (lower(hex(randomblob(16))));
