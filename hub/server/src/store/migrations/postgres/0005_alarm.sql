-- What the hub itself raises an alarm about: one row per question and sink, as it stands.
CREATE TABLE alarm (
  name   TEXT    NOT NULL,
  sink   TEXT    NOT NULL,                     -- empty: about the whole hub
  raised BOOLEAN NOT NULL,
  since  BIGINT  NOT NULL,
  value  BIGINT  NOT NULL,
  told   BOOLEAN NOT NULL,
  PRIMARY KEY (name, sink)
);
