-- One row that tells this database from every other router's, wherever it is reached: what a
-- router has spooled for it while it was away must not end in another.
CREATE TABLE installation (
    id TEXT COLLATE "C" PRIMARY KEY
);

INSERT INTO installation VALUES (replace(gen_random_uuid()::text, '-', ''));
