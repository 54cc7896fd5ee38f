-- What is removed by policy, what must not be, and what a restored ledger must know.

-- When policy removed the body; everything else of the message stays.
ALTER TABLE message ADD COLUMN pruned_at INTEGER;
-- Messages whose bytes lie in the blob store.
CREATE INDEX message_blob ON message (body_hash) WHERE body IS NULL AND pruned_at IS NULL;

-- Files beside a post that must stay for it: the hub's sheet and original documents.
CREATE TABLE attachment (
  sha256   BLOB NOT NULL,
  delivery TEXT NOT NULL,
  PRIMARY KEY (sha256, delivery)
) WITHOUT ROWID;
INSERT OR IGNORE INTO attachment (sha256, delivery)
  SELECT unhex(json_extract(a.value, '$.sha256')), d.id FROM delivery AS d, json_each(d.payload, '$.attachments') AS a;

-- Legal hold: nothing of this patient's record is removed while it stands.
CREATE TABLE hold (
  id          INTEGER PRIMARY KEY,
  facility    TEXT    NOT NULL,
  local_id    TEXT    NOT NULL,
  reason      TEXT    NOT NULL,
  actor       TEXT    NOT NULL,
  at          INTEGER NOT NULL,
  released_at INTEGER,
  released_by TEXT
);
CREATE UNIQUE INDEX hold_standing ON hold (facility, local_id) WHERE released_at IS NULL;

-- How far each policy has come: everything up to here was removed, or is among what is kept.
CREATE TABLE retention_mark (what TEXT PRIMARY KEY, through INTEGER NOT NULL) WITHOUT ROWID;
-- Passed, but not to be removed yet: looked at again then.
CREATE TABLE retention_kept (
  what     TEXT    NOT NULL,
  id       INTEGER NOT NULL,
  again_at INTEGER NOT NULL,
  PRIMARY KEY (what, id)
) WITHOUT ROWID;
CREATE INDEX retention_again ON retention_kept (what, again_at);
-- Where the old end of the audit chain was cut: the hash of the last line that was removed.
CREATE TABLE audit_anchor (
  one     INTEGER PRIMARY KEY CHECK (one = 1),
  through INTEGER NOT NULL,
  hash    BLOB    NOT NULL,
  at      INTEGER NOT NULL
);

-- Every time this ledger was made from a backup. New notices are numbered above `notices_above`: the hub
-- that was lost may have told others under the numbers below.
CREATE TABLE restored (
  id            INTEGER PRIMARY KEY,
  taken_at      INTEGER NOT NULL,
  at            INTEGER NOT NULL,
  actor         TEXT    NOT NULL,
  notices_above INTEGER NOT NULL
);
