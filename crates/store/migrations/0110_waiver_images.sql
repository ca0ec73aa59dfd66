-- The one image meant by a waiver, by name, digest or package URL. NULL: whichever image of the engines it is for.

ALTER TABLE waivers ADD COLUMN image TEXT;
