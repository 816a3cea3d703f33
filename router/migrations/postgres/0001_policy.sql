-- What SQLite's migrations 0001 to 0003 come to. The collation orders as SQLite does.
-- The options as they are now: one row for each model and each scope.
-- `subject` is the document's path below /v1/, such as `scopes/client/alehouse`.
CREATE TABLE documents (
    subject TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    body TEXT NOT NULL
);

-- Every change ever made. The highest version is the policy version.
CREATE TABLE versions (
    version BIGINT PRIMARY KEY,
    changed_at TEXT NOT NULL,
    author TEXT NOT NULL,
    reason TEXT
);

-- The documents that each version changed.
CREATE TABLE changes (
    version BIGINT NOT NULL REFERENCES versions,
    subject TEXT COLLATE "C" NOT NULL,
    before TEXT,
    after TEXT,
    PRIMARY KEY (version, subject)
);

-- For the state of a document at a version.
CREATE INDEX changes_by_subject ON changes (subject, version);

CREATE FUNCTION gatehouse_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is immutable', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER versions_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON versions
    FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_refuse();

CREATE TRIGGER changes_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON changes
    FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_refuse();

-- What tells a router's database from those of other programs.
COMMENT ON TABLE versions IS 'Gatehouse';
