-- Since when nothing needs it, as garbage collection saw it; NULL: needed, or not looked at yet.

ALTER TABLE manifests ADD COLUMN unneeded_since INTEGER;
ALTER TABLE repository_blobs ADD COLUMN unneeded_since INTEGER;

CREATE INDEX manifests_unneeded ON manifests (unneeded_since) WHERE unneeded_since IS NOT NULL;
CREATE INDEX repository_blobs_unneeded ON repository_blobs (unneeded_since) WHERE unneeded_since IS NOT NULL;
CREATE INDEX builds_by_image ON builds (repository, digest) WHERE status <> 'deleted';
