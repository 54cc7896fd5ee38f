-- What is said of single beds (HL7 table 0116) of hospitals whose wards are counted from their stays.
CREATE TABLE bed_state (
  hospital    TEXT   NOT NULL,
  place       TEXT   NOT NULL,                -- ward/room/bed
  ward        TEXT   NOT NULL,
  status      TEXT   NOT NULL,
  at          BIGINT NOT NULL,
  PRIMARY KEY (hospital, place)
);
-- Which bed a stay lies in, so that a bed is not counted twice. Empty: not said.
ALTER TABLE bed_stay ADD COLUMN place TEXT NOT NULL DEFAULT '';
