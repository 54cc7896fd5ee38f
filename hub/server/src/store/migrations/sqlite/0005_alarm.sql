-- What the hub itself raises an alarm about: one row per question and sink, as it stands.
CREATE TABLE alarm (
  name   TEXT    NOT NULL,
  sink   TEXT    NOT NULL,                     -- empty: about the whole hub
  raised INTEGER NOT NULL CHECK (raised IN (0, 1)),
  since  INTEGER NOT NULL,
  value  INTEGER NOT NULL,
  told   INTEGER NOT NULL CHECK (told IN (0, 1)),
  PRIMARY KEY (name, sink)
) WITHOUT ROWID;
