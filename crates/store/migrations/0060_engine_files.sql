-- What an engine is certified with besides the samples of its category: an input of its own, and what its result should be.
CREATE TABLE engine_files (
    engine_id  TEXT    NOT NULL REFERENCES engines (id) ON DELETE CASCADE,
    kind       TEXT    NOT NULL CHECK (kind IN ('sample', 'truth')),
    name       TEXT    NOT NULL,
    mime_type  TEXT    NOT NULL,
    bytes      BLOB    NOT NULL,
    changed_by TEXT    NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (engine_id, kind)
) STRICT, WITHOUT ROWID;
