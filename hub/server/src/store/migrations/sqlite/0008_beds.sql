-- Bed availability: the newest good row of each ward, what was said before, and who was told. No patients.
CREATE TABLE bed (
  hospital    TEXT    NOT NULL,
  ward        TEXT    NOT NULL,
  updated_at  INTEGER NOT NULL,
  valid_until INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  source      TEXT    NOT NULL,
  message     INTEGER,                         -- NULL: counted by the hub
  body        TEXT    NOT NULL,
  PRIMARY KEY (hospital, ward)
) WITHOUT ROWID;
-- One row per ward and time: the first that was said.
CREATE TABLE bed_history (
  hospital    TEXT    NOT NULL,
  ward        TEXT    NOT NULL,
  updated_at  INTEGER NOT NULL,
  valid_until INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  source      TEXT    NOT NULL,
  message     INTEGER,
  late        INTEGER NOT NULL CHECK (late IN (0, 1)),
  body        TEXT    NOT NULL,
  PRIMARY KEY (hospital, ward, updated_at)
) WITHOUT ROWID;
CREATE INDEX bed_history_age ON bed_history (received_at);
-- Open stays of hospitals whose wards are counted from them: which ward, never who.
CREATE TABLE bed_stay (
  stay        TEXT    NOT NULL PRIMARY KEY,    -- logical id of the Encounter
  hospital    TEXT    NOT NULL,
  ward        TEXT    NOT NULL
) WITHOUT ROWID;
CREATE INDEX bed_stay_ward ON bed_stay (hospital, ward);
-- When the ADT source of such a hospital last said anything.
CREATE TABLE bed_heard (
  hospital    TEXT    NOT NULL PRIMARY KEY,
  at          INTEGER NOT NULL
) WITHOUT ROWID;
-- The post each subscriber is to get next or got last; its bytes stay the same until it was taken.
CREATE TABLE bed_post (
  subscriber  TEXT    NOT NULL PRIMARY KEY,
  number      INTEGER NOT NULL,
  seen        TEXT    NOT NULL,                -- what of the board it shows, as a hash
  body        TEXT    NOT NULL,
  made_at     INTEGER NOT NULL,
  taken_at    INTEGER                          -- NULL: not taken yet
) WITHOUT ROWID;
