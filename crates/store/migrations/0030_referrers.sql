-- Lists of referrers tell the type and the annotations of each entry; kept here, a list need not read the manifests.

ALTER TABLE manifests ADD COLUMN annotations TEXT;

UPDATE manifests
   SET annotations   = json_extract(CAST(bytes AS TEXT), '$.annotations'),
       artifact_type = coalesce(artifact_type, json_extract(CAST(bytes AS TEXT), '$.config.mediaType'))
 WHERE subject IS NOT NULL AND json_valid(CAST(bytes AS TEXT));

DROP INDEX manifests_by_subject;

CREATE INDEX manifests_by_subject ON manifests (repository_id, subject, digest) WHERE subject IS NOT NULL;
