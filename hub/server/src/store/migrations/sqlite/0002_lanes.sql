-- How often what is kept of a record has changed, for hubs that share a ledger. A file has one hub: it
-- stays 0 here.
ALTER TABLE record ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
