-- Who answers for which known vulnerability, why and until when. Rows are never removed: they are the record of who decided what.

CREATE TABLE waivers (
    id              TEXT    NOT NULL PRIMARY KEY,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    vulnerability   TEXT    NOT NULL,
    -- NULL: whichever package has it; whichever engine of the organization.
    package         TEXT,
    engine_id       TEXT REFERENCES engines (id),
    reason          TEXT    NOT NULL,
    author          TEXT    NOT NULL,
    until_fixed     INTEGER NOT NULL CHECK (until_fixed IN (0, 1)),
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    revoked_at      INTEGER,
    revoked_by      TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX waivers_by_organization ON waivers (organization_id, created_at);
