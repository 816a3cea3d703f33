-- The decision whose place this one takes: it was made before all models had answered.
ALTER TABLE decisions ADD COLUMN supersedes TEXT COLLATE "C";

CREATE INDEX decisions_by_superseded ON decisions (supersedes) WHERE supersedes IS NOT NULL;
