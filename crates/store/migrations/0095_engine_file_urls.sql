-- Where a file was fetched from; NULL for one that somebody gave.
ALTER TABLE engine_files ADD COLUMN url TEXT;
