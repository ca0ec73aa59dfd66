-- How many bytes each organization keeps, counted as they come and go: a blob once however many of its repositories hold it, a manifest
-- once for each repository. Triggers count, so that no way of adding or removing content can forget to.

CREATE TABLE organization_usage (
    organization_id INTEGER PRIMARY KEY,
    bytes           INTEGER NOT NULL DEFAULT 0,
    -- Most bytes it may keep; NULL: as the configuration says.
    quota           INTEGER CHECK (quota >= 0)
) STRICT;

CREATE TABLE organization_blobs (
    organization_id INTEGER NOT NULL,
    digest          TEXT    NOT NULL,
    size            INTEGER NOT NULL,
    -- Repositories of the organization that hold it.
    holders         INTEGER NOT NULL,
    PRIMARY KEY (organization_id, digest)
) STRICT, WITHOUT ROWID;

INSERT INTO organization_blobs (organization_id, digest, size, holders)
    SELECT r.organization_id, l.digest, b.size, count(*)
    FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id JOIN blobs b ON b.digest = l.digest
    GROUP BY r.organization_id, l.digest;

INSERT INTO organization_usage (organization_id, bytes)
    SELECT organization_id, sum(bytes) FROM (
        SELECT organization_id, size AS bytes FROM organization_blobs
        UNION ALL
        SELECT r.organization_id, length(m.bytes) FROM manifests m JOIN repositories r ON r.id = m.repository_id
    ) GROUP BY organization_id;

CREATE TRIGGER blob_comes AFTER INSERT ON repository_blobs BEGIN
    INSERT INTO organization_blobs (organization_id, digest, size, holders)
        SELECT r.organization_id, b.digest, b.size, 1 FROM repositories r, blobs b
        WHERE r.id = NEW.repository_id AND b.digest = NEW.digest
        ON CONFLICT (organization_id, digest) DO UPDATE SET holders = holders + 1;
END;

CREATE TRIGGER blob_goes AFTER DELETE ON repository_blobs BEGIN
    UPDATE organization_blobs SET holders = holders - 1
        WHERE organization_id = (SELECT organization_id FROM repositories WHERE id = OLD.repository_id) AND digest = OLD.digest;
    DELETE FROM organization_blobs
        WHERE organization_id = (SELECT organization_id FROM repositories WHERE id = OLD.repository_id) AND digest = OLD.digest
        AND holders <= 0;
END;

CREATE TRIGGER organization_gains_blob AFTER INSERT ON organization_blobs BEGIN
    INSERT INTO organization_usage (organization_id, bytes) VALUES (NEW.organization_id, NEW.size)
        ON CONFLICT (organization_id) DO UPDATE SET bytes = bytes + NEW.size;
END;

CREATE TRIGGER organization_loses_blob AFTER DELETE ON organization_blobs BEGIN
    UPDATE organization_usage SET bytes = bytes - OLD.size WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER manifest_comes AFTER INSERT ON manifests BEGIN
    INSERT INTO organization_usage (organization_id, bytes)
        SELECT organization_id, length(NEW.bytes) FROM repositories WHERE id = NEW.repository_id
        ON CONFLICT (organization_id) DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER manifest_goes AFTER DELETE ON manifests BEGIN
    UPDATE organization_usage SET bytes = bytes - length(OLD.bytes)
        WHERE organization_id = (SELECT organization_id FROM repositories WHERE id = OLD.repository_id);
END;
