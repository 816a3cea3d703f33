-- A version may change many documents: what it is moves out of `changes`, which keeps what it did.
DROP TRIGGER changes_are_never_updated;
DROP TRIGGER changes_are_never_deleted;
ALTER TABLE changes RENAME TO changes_of_one_document;

-- Every change ever made. The highest version is the policy version.
CREATE TABLE versions (
    version INTEGER PRIMARY KEY,
    changed_at TEXT NOT NULL,
    author TEXT NOT NULL,
    reason TEXT
) STRICT;

-- The documents that each version changed.
CREATE TABLE changes (
    version INTEGER NOT NULL REFERENCES versions,
    subject TEXT NOT NULL,
    before TEXT,
    after TEXT,
    PRIMARY KEY (version, subject)
) STRICT;

INSERT INTO versions SELECT version, changed_at, author, reason FROM changes_of_one_document;
INSERT INTO changes SELECT version, subject, before, after FROM changes_of_one_document;
DROP TABLE changes_of_one_document;

-- For the state of a document at a version.
CREATE INDEX changes_by_subject ON changes (subject, version);

CREATE TRIGGER versions_are_never_updated BEFORE UPDATE ON versions
BEGIN
    SELECT RAISE(ABORT, 'versions are immutable');
END;

CREATE TRIGGER versions_are_never_deleted BEFORE DELETE ON versions
BEGIN
    SELECT RAISE(ABORT, 'versions are immutable');
END;

CREATE TRIGGER changes_are_never_updated BEFORE UPDATE ON changes
BEGIN
    SELECT RAISE(ABORT, 'changes are immutable');
END;

CREATE TRIGGER changes_are_never_deleted BEFORE DELETE ON changes
BEGIN
    SELECT RAISE(ABORT, 'changes are immutable');
END;

-- The scores that each verdict had, as JSON (none for verdicts before this migration), and whether
-- the content was drawn for people, with the probability of that.
ALTER TABLE decisions ADD COLUMN calls TEXT;
ALTER TABLE decisions ADD COLUMN sampled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE decisions ADD COLUMN inclusion_probability REAL NOT NULL DEFAULT 0;

-- For one client's latest decisions; ids are made of the time.
CREATE INDEX decisions_by_client ON decisions (client, decision_id);
