-- What owners noted about their records: an object of strings, as JSON.
ALTER TABLE records ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';
