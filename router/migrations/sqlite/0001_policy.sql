-- The options as they are now: one row for each model and each scope.
-- `subject` is the document's path below /v1/, such as `scopes/client/alehouse`.
CREATE TABLE documents (
    subject TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- How they came to be so. The highest version is the policy version.
CREATE TABLE changes (
    version INTEGER PRIMARY KEY,
    changed_at TEXT NOT NULL,
    author TEXT NOT NULL,
    reason TEXT,
    subject TEXT NOT NULL,
    before TEXT,
    after TEXT
) STRICT;

CREATE TRIGGER changes_are_never_updated BEFORE UPDATE ON changes
BEGIN
    SELECT RAISE(ABORT, 'changes are immutable');
END;

CREATE TRIGGER changes_are_never_deleted BEFORE DELETE ON changes
BEGIN
    SELECT RAISE(ABORT, 'changes are immutable');
END;
