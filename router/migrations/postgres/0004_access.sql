-- Who may call. Of a key's secret only the hash is kept; `scopes` is a JSON array of text.
CREATE TABLE keys (
    key_id TEXT COLLATE "C" PRIMARY KEY,
    owner TEXT NOT NULL,
    secret_sha256 TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at TEXT,
    last_used_at TEXT,
    revoked_at TEXT,
    rate_limit_per_minute BIGINT
);

-- Every change of options and keys: when, by whom, what. `detail` is JSON.
CREATE TABLE audit (
    audit_id TEXT COLLATE "C" PRIMARY KEY,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE TRIGGER audit_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_refuse();
