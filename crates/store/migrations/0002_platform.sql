-- The platform: who may do what, engines, builds, and the work on them.
-- Times are milliseconds since 1970 UTC. Ids are lower-case UUIDs as text; organizations are numbers.

CREATE TABLE organizations (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id              TEXT    NOT NULL PRIMARY KEY,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    email           TEXT    NOT NULL UNIQUE,
    name            TEXT    NOT NULL,
    password_hash   TEXT    NOT NULL,
    -- Words of the permission table, joined by commas.
    roles           TEXT    NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Only the SHA-256 of a token is kept.
CREATE TABLE sessions (
    token_hash BLOB    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE engines (
    id               TEXT    NOT NULL PRIMARY KEY,
    organization_id  INTEGER NOT NULL REFERENCES organizations (id),
    name             TEXT    NOT NULL,
    description      TEXT    NOT NULL,
    -- A key of the capability table.
    category         TEXT    NOT NULL,
    deployment_model TEXT    NOT NULL,
    -- Everything else that registration carries and no rule reads, as JSON.
    extra            TEXT    NOT NULL,
    disabled         INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    deleted          INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    -- Highest build number ever given; numbers are never used twice.
    last_version     INTEGER NOT NULL DEFAULT 0,
    created_by       TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    modified_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX engines_by_organization ON engines (organization_id, created_at);

CREATE TABLE builds (
    id          TEXT    NOT NULL PRIMARY KEY,
    engine_id   TEXT    NOT NULL REFERENCES engines (id),
    version     INTEGER NOT NULL,
    status      TEXT    NOT NULL,
    repository  TEXT    NOT NULL,
    tag         TEXT    NOT NULL,
    digest      TEXT    NOT NULL,
    manifest    TEXT    NOT NULL,
    pushed_by   TEXT    NOT NULL,
    pushed_at   INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    UNIQUE (engine_id, version)
) STRICT, WITHOUT ROWID;

-- One push is one build, however many tags name its digest.
CREATE UNIQUE INDEX builds_by_digest ON builds (engine_id, digest) WHERE status <> 'deleted';
CREATE INDEX builds_by_status ON builds (status, modified_at);

-- Append-only.
CREATE TABLE build_history (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    build_id    TEXT    NOT NULL REFERENCES builds (id),
    at          INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    event       TEXT    NOT NULL,
    from_status TEXT,
    to_status   TEXT    NOT NULL,
    reason      TEXT    NOT NULL
) STRICT;

CREATE INDEX build_history_by_build ON build_history (build_id, id);

-- Older reports are kept.
CREATE TABLE reports (
    build_id   TEXT    NOT NULL REFERENCES builds (id),
    revision   INTEGER NOT NULL,
    document   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (build_id, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE unclaimed_pushes (
    id              TEXT    NOT NULL PRIMARY KEY,
    organization_id INTEGER NOT NULL,
    repository      TEXT    NOT NULL,
    tag             TEXT    NOT NULL,
    digest          TEXT    NOT NULL,
    code            TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    fix             TEXT    NOT NULL,
    pushed_by       TEXT    NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX unclaimed_pushes_by_organization ON unclaimed_pushes (organization_id, created_at);
CREATE UNIQUE INDEX unclaimed_pushes_once ON unclaimed_pushes (repository, digest, code);

-- Work that must be done. A worker holds a job only as long as it renews its lease.
CREATE TABLE jobs (
    id          TEXT    NOT NULL PRIMARY KEY,
    kind        TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    worker      TEXT,
    lease_until INTEGER,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    ended_at    INTEGER,
    error       TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_open ON jobs (state, created_at) WHERE state <> 'done';
CREATE UNIQUE INDEX jobs_once ON jobs (kind, subject) WHERE state <> 'done';
