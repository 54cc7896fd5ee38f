-- Results by patient, code and time: what `Observation?patient=…&code=…&_sort=-date` walks. One row per
-- coding of the current version; a row of an older version (`version`) counts no more, so nothing has to be
-- found and deleted when a result changes or is taken back.

-- Codes and their systems, written once: rows of numbers take a third of the space.
CREATE TABLE word (
  id   INTEGER PRIMARY KEY,
  text TEXT    NOT NULL UNIQUE
);
CREATE TABLE result (
  record   INTEGER NOT NULL,
  code     INTEGER NOT NULL,                   -- word
  date     INTEGER NOT NULL,                   -- effective; the least number there is = not said
  resource INTEGER NOT NULL,
  system   INTEGER NOT NULL,                   -- word; the empty one = no system
  version  INTEGER NOT NULL,
  again    INTEGER NOT NULL CHECK (again IN (0, 1)), -- another system of this resource has said the code
  PRIMARY KEY (record, code, date, resource, system)
) WITHOUT ROWID;
-- Resources below this row id are not in `result` yet: written by an earlier renkei. No row: all are.
CREATE TABLE unsearched (below INTEGER NOT NULL);
INSERT INTO unsearched (below) SELECT top FROM (SELECT max(id) + 1 AS top FROM resource) AS r WHERE top IS NOT NULL;
