-- Recordings (temporal data objects), their files, and the work of engines on them.
-- Times are milliseconds since 1970 UTC.

CREATE TABLE tdos (
    -- Random, so that nobody learns from it how many there are.
    id              INTEGER PRIMARY KEY,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT    NOT NULL,
    description     TEXT,
    status          TEXT    NOT NULL,
    details         TEXT    NOT NULL,
    start_at        INTEGER NOT NULL,
    stop_at         INTEGER NOT NULL,
    -- The task whose engine made it.
    task_id         TEXT,
    created_by      TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    modified_at     INTEGER NOT NULL
) STRICT;

CREATE INDEX tdos_by_organization ON tdos (organization_id, created_at);

CREATE TABLE assets (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT    NOT NULL UNIQUE,
    tdo_id          INTEGER NOT NULL REFERENCES tdos (id),
    organization_id INTEGER NOT NULL,
    asset_type      TEXT    NOT NULL,
    content_type    TEXT    NOT NULL,
    name            TEXT,
    description     TEXT,
    details         TEXT,
    -- What was said of where it comes from.
    source          TEXT,
    task_id         TEXT,
    engine_id       TEXT,
    -- Its content is here, or else somewhere else.
    digest          TEXT,
    uri             TEXT,
    size            INTEGER NOT NULL,
    user_edited     INTEGER NOT NULL DEFAULT 0 CHECK (user_edited IN (0, 1)),
    is_primary      INTEGER NOT NULL DEFAULT 0 CHECK (is_primary IN (0, 1)),
    created_by      TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    CHECK ((digest IS NULL) <> (uri IS NULL))
) STRICT;

CREATE INDEX assets_by_tdo ON assets (tdo_id, seq);
CREATE INDEX assets_by_task ON assets (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX assets_by_digest ON assets (digest) WHERE digest IS NOT NULL;

-- What an organization keeps in assets.
CREATE TABLE asset_usage (
    organization_id INTEGER PRIMARY KEY,
    bytes           INTEGER NOT NULL
) STRICT;

CREATE TRIGGER assets_count AFTER INSERT ON assets BEGIN
    INSERT INTO asset_usage (organization_id, bytes) VALUES (NEW.organization_id, NEW.size)
        ON CONFLICT (organization_id) DO UPDATE SET bytes = bytes + NEW.size;
END;

CREATE TABLE engine_jobs (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT    NOT NULL UNIQUE,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    tdo_id          INTEGER NOT NULL REFERENCES tdos (id),
    -- Always that of its tasks together, written with every change of one.
    status          TEXT    NOT NULL,
    created_by      TEXT    NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX engine_jobs_by_organization ON engine_jobs (organization_id, seq);
CREATE INDEX engine_jobs_by_status ON engine_jobs (organization_id, status, seq);
CREATE INDEX engine_jobs_by_tdo ON engine_jobs (tdo_id, seq);

CREATE TABLE engine_tasks (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT    NOT NULL UNIQUE,
    job_id          TEXT    NOT NULL REFERENCES engine_jobs (id),
    organization_id INTEGER NOT NULL,
    tdo_id          INTEGER NOT NULL,
    engine_id       TEXT    NOT NULL,
    -- The build it tests, or the one that worked on it.
    build_id        TEXT    REFERENCES builds (id),
    test            INTEGER NOT NULL CHECK (test IN (0, 1)),
    -- Tasks of one lane are done one after the other; none: nobody here does it.
    lane            TEXT,
    status          TEXT    NOT NULL,
    payload         TEXT    NOT NULL,
    output          TEXT,
    failure_reason  TEXT,
    failure_message TEXT,
    -- How often it was begun.
    tries           INTEGER NOT NULL DEFAULT 0,
    log_digest      TEXT,
    created_by      TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    ended_at        INTEGER,
    modified_at     INTEGER NOT NULL
) STRICT;

CREATE INDEX engine_tasks_by_job ON engine_tasks (job_id, seq);
CREATE INDEX engine_tasks_by_engine ON engine_tasks (engine_id, seq);
CREATE INDEX engine_tasks_waiting ON engine_tasks (lane, seq) WHERE lane IS NOT NULL AND status IN ('pending', 'queued');
CREATE INDEX engine_tasks_running ON engine_tasks (engine_id) WHERE status = 'running';
CREATE INDEX engine_tasks_open ON engine_tasks (organization_id) WHERE status NOT IN ('complete', 'failed', 'cancelled', 'aborted');
CREATE INDEX engine_tasks_by_log ON engine_tasks (log_digest) WHERE log_digest IS NOT NULL;

-- Append-only.
CREATE TABLE engine_task_history (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id     TEXT    NOT NULL REFERENCES engine_tasks (id),
    at          INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    from_status TEXT,
    to_status   TEXT    NOT NULL,
    reason      TEXT    NOT NULL
) STRICT;

CREATE INDEX engine_task_history_by_task ON engine_task_history (task_id, id);
CREATE TRIGGER engine_task_history_stays BEFORE UPDATE ON engine_task_history
    BEGIN SELECT raise(ABORT, 'the history is append-only'); END;
CREATE TRIGGER engine_task_history_keeps BEFORE DELETE ON engine_task_history
    BEGIN SELECT raise(ABORT, 'the history is append-only'); END;

-- Documents under the id of somebody's schema, as adapters make them.
CREATE TABLE structured_data (
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    schema_id       TEXT    NOT NULL,
    id              TEXT    NOT NULL,
    data            TEXT    NOT NULL,
    task_id         TEXT,
    created_by      TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    modified_at     INTEGER NOT NULL,
    PRIMARY KEY (organization_id, schema_id, id)
) STRICT, WITHOUT ROWID;
