-- Who may do what at the registry: tokens for programs, public repositories, and tags that may not be moved.

ALTER TABLE repositories ADD COLUMN public INTEGER NOT NULL DEFAULT 0 CHECK (public IN (0, 1));

-- Only the SHA-256 of a token is kept; each has 256 random bits, so nothing slower is needed. A token gives no more than its user may do.
CREATE TABLE tokens (
    id              TEXT    NOT NULL PRIMARY KEY,
    kind            TEXT    NOT NULL CHECK (kind IN ('api', 'robot', 'refresh')),
    hash            BLOB    NOT NULL UNIQUE,
    name            TEXT    NOT NULL,
    user_id         TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    -- Robots only: the one repository, and words of the registry's actions, joined by commas.
    repository      TEXT,
    actions         TEXT,
    -- Refresh tokens only: what they were issued for.
    service         TEXT,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,
    used_at         INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_by_organization ON tokens (organization_id, created_at);
CREATE INDEX tokens_by_user ON tokens (user_id, kind, created_at);

-- Tags that must go on naming what they name, with the sentence for who tries to change that. The registry only obeys; whoever holds a tag
-- writes and removes the row in the transaction in which its reason begins and ends.
CREATE TABLE held_tags (
    holder     TEXT NOT NULL PRIMARY KEY,
    repository TEXT NOT NULL,
    tag        TEXT NOT NULL,
    digest     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    -- Path of a page about it.
    page       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX held_tags_by_repository ON held_tags (repository, tag);
