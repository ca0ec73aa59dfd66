-- The registry: repositories, the blobs they hold, manifests, tags, and the outbox of pushes.
-- Times are milliseconds since 1970 UTC. Digests are text, "sha256:" and hex.

CREATE TABLE repositories (
    id              INTEGER PRIMARY KEY,
    name            TEXT    NOT NULL UNIQUE,
    organization_id INTEGER NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX repositories_by_organization ON repositories (organization_id);

-- A row says that the content is durable on disk under its digest.
CREATE TABLE blobs (
    digest     TEXT    NOT NULL PRIMARY KEY,
    size       INTEGER NOT NULL CHECK (size >= 0),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which repositories hold a blob. Content is shared, the right to read it is not: only what is listed here can be read there.
CREATE TABLE repository_blobs (
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest        TEXT    NOT NULL REFERENCES blobs (digest),
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (repository_id, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX repository_blobs_by_digest ON repository_blobs (digest);

-- Manifests are kept as the exact bytes that were pushed.
CREATE TABLE manifests (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest        TEXT    NOT NULL,
    media_type    TEXT    NOT NULL,
    artifact_type TEXT,
    subject       TEXT,
    bytes         BLOB    NOT NULL,
    created_at    INTEGER NOT NULL,
    UNIQUE (repository_id, digest)
) STRICT;

CREATE INDEX manifests_by_subject ON manifests (repository_id, subject) WHERE subject IS NOT NULL;

-- What a manifest needs to stay usable: its config and layers (blob), or the manifests of an index (manifest).
CREATE TABLE manifest_references (
    manifest_id INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    kind        TEXT    NOT NULL CHECK (kind IN ('blob', 'manifest')),
    digest      TEXT    NOT NULL,
    PRIMARY KEY (manifest_id, kind, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX manifest_references_by_digest ON manifest_references (digest);

CREATE TABLE tags (
    repository_id INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (repository_id, name),
    FOREIGN KEY (repository_id, digest) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_digest ON tags (repository_id, digest);

-- Accepted pushes by tag, written in the transaction that moved the tag; whoever makes builds of them marks them handled
-- in the transaction that made the build. No foreign keys: what was pushed stays true when the repository is gone.
CREATE TABLE push_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    repository TEXT    NOT NULL,
    tag        TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    account    TEXT    NOT NULL,
    pushed_at  INTEGER NOT NULL,
    handled    INTEGER NOT NULL DEFAULT 0 CHECK (handled IN (0, 1))
) STRICT;

CREATE INDEX push_events_open ON push_events (id) WHERE handled = 0;
