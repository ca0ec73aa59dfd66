-- What is in the image of each build, so that it can be matched with newer advisories without reading a blob, and what got worse since.

CREATE TABLE inventories (
    build_id      TEXT    NOT NULL PRIMARY KEY REFERENCES builds (id),
    -- When the image says it was made, as it says so.
    image_created TEXT,
    packages      INTEGER NOT NULL,
    -- The list of packages, compressed.
    document      BLOB    NOT NULL,
    created_at    INTEGER NOT NULL,
    -- Identity of the advisories it was last matched with, what was known then (compressed), and when; NULL: none were loaded.
    advisories    TEXT,
    known         BLOB,
    matched_at    INTEGER
) STRICT;

CREATE INDEX inventories_by_advisories ON inventories (advisories);

-- Append-only.
CREATE TABLE worsenings (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    build_id   TEXT    NOT NULL REFERENCES builds (id),
    at         INTEGER NOT NULL,
    advisories TEXT    NOT NULL,
    -- The list of what is worse, JSON.
    document   TEXT    NOT NULL
) STRICT;

CREATE INDEX worsenings_by_build ON worsenings (build_id, id);
