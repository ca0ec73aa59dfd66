-- The life of a build beyond its status: what people and the gate must know without reading its report or its history.

-- What an organization decided about its own rules, as a JSON object; absent keys have their defaults.
ALTER TABLE organizations ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

ALTER TABLE builds ADD COLUMN organization_id INTEGER NOT NULL DEFAULT 0;
-- Of a pending build: security, certification or awaiting-approval.
ALTER TABLE builds ADD COLUMN phase TEXT;
ALTER TABLE builds ADD COLUMN submitted_at INTEGER;
ALTER TABLE builds ADD COLUMN submitted_by TEXT;
-- A reviewer waits for an answer of the developer.
ALTER TABLE builds ADD COLUMN changes_asked INTEGER NOT NULL DEFAULT 0;
-- How often the work of this status was begun.
ALTER TABLE builds ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
-- What the gate could not check after the submit: approving then is an override and needs a reason.
ALTER TABLE builds ADD COLUMN unproven TEXT;
-- End of an override.
ALTER TABLE builds ADD COLUMN override_until INTEGER;
-- A developer asks to look at a refusal again.
ALTER TABLE builds ADD COLUMN appealed_at INTEGER;
-- The one check that a reviewer wants to be run again.
ALTER TABLE builds ADD COLUMN recheck TEXT;
ALTER TABLE builds ADD COLUMN deployed_at INTEGER;
-- Settings of the engine under which it was deployed last, as JSON.
ALTER TABLE builds ADD COLUMN deployed_under TEXT;
-- Findings of the newest report; NULL without one.
ALTER TABLE builds ADD COLUMN errors INTEGER;
ALTER TABLE builds ADD COLUMN warnings INTEGER;

UPDATE builds SET organization_id = (SELECT organization_id FROM engines WHERE engines.id = builds.engine_id);

UPDATE builds
   SET (errors, warnings) = (
        SELECT coalesce(sum(json_extract(f.value, '$.severity') = 'error'), 0), coalesce(sum(json_extract(f.value, '$.severity') = 'warning'), 0)
        FROM reports r, json_each(r.document, '$.checks') c, json_each(c.value, '$.findings') f
        WHERE r.build_id = builds.id AND r.revision = (SELECT max(revision) FROM reports WHERE build_id = builds.id))
 WHERE EXISTS (SELECT 1 FROM reports WHERE build_id = builds.id);

-- At most one live build per engine, whatever the code does.
CREATE UNIQUE INDEX builds_live ON builds (engine_id) WHERE status = 'deployed';
CREATE INDEX builds_by_engine ON builds (engine_id, status);
CREATE INDEX builds_pending ON builds (organization_id, submitted_at, id) WHERE status = 'pending';
CREATE INDEX builds_appealed ON builds (organization_id, appealed_at) WHERE appealed_at IS NOT NULL;

-- How long decisions took, for the estimate of the next one.
CREATE TABLE decisions (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL,
    build_id        TEXT    NOT NULL REFERENCES builds (id),
    at              INTEGER NOT NULL,
    waited_ms       INTEGER NOT NULL,
    approved        INTEGER NOT NULL CHECK (approved IN (0, 1))
) STRICT;

CREATE INDEX decisions_by_organization ON decisions (organization_id, id);

-- What people wrote about a build while it was reviewed. Append-only.
CREATE TABLE build_notes (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    build_id TEXT    NOT NULL REFERENCES builds (id),
    at       INTEGER NOT NULL,
    author   TEXT    NOT NULL,
    kind     TEXT    NOT NULL CHECK (kind IN ('comment', 'changes', 'answer', 'appeal', 'appealAnswer')),
    -- Rule of the finding it is about.
    finding  TEXT,
    text     TEXT    NOT NULL
) STRICT;

CREATE INDEX build_notes_by_build ON build_notes (build_id, id);

-- Every change of configuration and every decision of a person. Append-only.
CREATE TABLE audit_log (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    actor           TEXT    NOT NULL,
    action          TEXT    NOT NULL,
    object          TEXT    NOT NULL,
    detail          TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_log_by_organization ON audit_log (organization_id, id);

CREATE TRIGGER audit_log_stays BEFORE UPDATE ON audit_log BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_keeps BEFORE DELETE ON audit_log BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER build_history_stays BEFORE UPDATE ON build_history BEGIN SELECT raise(ABORT, 'the history is append-only'); END;
CREATE TRIGGER build_history_keeps BEFORE DELETE ON build_history BEGIN SELECT raise(ABORT, 'the history is append-only'); END;

-- People who were asked to join. Only the SHA-256 of the secret in the link is kept.
CREATE TABLE invitations (
    id              TEXT    NOT NULL PRIMARY KEY,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    hash            BLOB    NOT NULL UNIQUE,
    email           TEXT    NOT NULL,
    roles           TEXT    NOT NULL,
    invited_by      TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX invitations_by_email ON invitations (organization_id, email);
