-- What the matches of a list of packages come to (sixteen bytes), so that a list whose packages nothing new is known of needs no second look. NULL:
-- not noted yet.
ALTER TABLE inventories ADD COLUMN known_print BLOB;
