-- What pages ask for and had to be looked for: the build to go back to, the people of an organization, the first organization.
CREATE INDEX builds_last_good ON builds (engine_id, deployed_at) WHERE status = 'paused' AND deployed_at IS NOT NULL;
CREATE INDEX users_by_organization ON users (organization_id, email);
CREATE INDEX organizations_by_age ON organizations (created_at, id);
