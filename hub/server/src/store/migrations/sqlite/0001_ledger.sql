-- The ledger. Integer row ids everywhere: random unique keys cost several times the log of sequential
-- ones at a million rows. Times are microseconds since 1970 UTC. JSON columns hold whole small values
-- that SQL never looks into.

-- Inbox: append-only. Its state is derived: waiting row, outcome row.
CREATE TABLE message (
  position     INTEGER PRIMARY KEY AUTOINCREMENT,
  source       TEXT    NOT NULL,
  facility     TEXT    NOT NULL,
  control      TEXT    NOT NULL,               -- control id or storage path
  control_hash INTEGER NOT NULL,               -- 63 bits of hash(control)
  body_hash    BLOB    NOT NULL CHECK (length(body_hash) = 32),
  lane         INTEGER NOT NULL,
  meta         TEXT    NOT NULL,
  body         BLOB,                           -- zstd; NULL = in the blob store under body_hash
  received_at  INTEGER NOT NULL,
  reused       INTEGER NOT NULL DEFAULT 0 CHECK (reused IN (0, 1))
);
CREATE INDEX message_control ON message (control_hash);

-- What waits to be processed; deleted with the effects.
CREATE TABLE waiting (
  position INTEGER PRIMARY KEY REFERENCES message (position),
  lane     INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  replay   INTEGER NOT NULL DEFAULT 0 CHECK (replay IN (0, 1))
);

CREATE TABLE outcome (
  position INTEGER PRIMARY KEY REFERENCES message (position),
  state    TEXT    NOT NULL CHECK (state IN ('processed', 'parked', 'failed')),
  code     TEXT,
  record   INTEGER,
  mapper   TEXT    NOT NULL,
  findings TEXT    NOT NULL,
  unread   TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  CHECK (state = 'processed' OR code IS NOT NULL)
);
CREATE INDEX outcome_open ON outcome (state, record) WHERE state <> 'processed';

-- People.
CREATE TABLE person (id INTEGER PRIMARY KEY, created_at INTEGER NOT NULL);
CREATE TABLE record (
  id         INTEGER PRIMARY KEY,
  facility   TEXT    NOT NULL,
  local_id   TEXT    NOT NULL,
  person     INTEGER REFERENCES person (id),
  facts      TEXT    NOT NULL,
  birth_date TEXT    NOT NULL,
  kana       TEXT    NOT NULL,
  authority  INTEGER NOT NULL,
  rejected   INTEGER NOT NULL DEFAULT 0 CHECK (rejected IN (0, 1)),
  UNIQUE (facility, local_id)
);
CREATE INDEX record_person ON record (person);
CREATE INDEX record_birth ON record (birth_date) WHERE birth_date <> '';
CREATE INDEX record_kana ON record (kana) WHERE kana <> '';
-- Insurance numbers, for candidates only.
CREATE TABLE record_insurance (
  fact   TEXT    NOT NULL,
  record INTEGER NOT NULL REFERENCES record (id),
  PRIMARY KEY (fact, record)
) WITHOUT ROWID;
CREATE TABLE review (
  record     INTEGER PRIMARY KEY REFERENCES record (id),
  code       TEXT    NOT NULL,
  candidates TEXT    NOT NULL,
  opened_at  INTEGER NOT NULL,
  decided_at INTEGER,
  decision   TEXT,
  actor      TEXT
);
CREATE TABLE enrolment (
  facility TEXT    NOT NULL,
  local_id TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  actor    TEXT    NOT NULL,
  PRIMARY KEY (facility, local_id)
) WITHOUT ROWID;

-- FHIR.
CREATE TABLE resource (
  id            INTEGER PRIMARY KEY,
  logical_id    TEXT    NOT NULL UNIQUE,
  kind          TEXT    NOT NULL,
  record        INTEGER REFERENCES record (id),
  natural_key   TEXT    NOT NULL,
  scope         TEXT,
  version       INTEGER NOT NULL,
  body_hash     BLOB    NOT NULL,
  source_time   INTEGER NOT NULL,
  storage_order INTEGER NOT NULL,
  authority     INTEGER NOT NULL,
  strength      INTEGER NOT NULL,
  withdrawn     INTEGER NOT NULL CHECK (withdrawn IN (0, 1))
);
CREATE INDEX resource_chart ON resource (record, kind, source_time);
CREATE INDEX resource_scope ON resource (record, scope) WHERE scope IS NOT NULL;
CREATE TABLE version (
  resource    INTEGER NOT NULL REFERENCES resource (id),
  version     INTEGER NOT NULL,
  body        TEXT    NOT NULL,
  withdrawn   INTEGER NOT NULL,
  source_time INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  message     INTEGER,
  PRIMARY KEY (resource, version)
) WITHOUT ROWID;
CREATE TABLE sighting (
  message  INTEGER NOT NULL,
  resource INTEGER NOT NULL,
  version  INTEGER NOT NULL,
  late     INTEGER NOT NULL CHECK (late IN (0, 1)),
  PRIMARY KEY (message, resource, version)
) WITHOUT ROWID;

-- Consent and channels belong to (facility, local id): they may come before the patient does.
CREATE TABLE consent (
  facility     TEXT    NOT NULL,
  local_id     TEXT    NOT NULL,
  form_id      TEXT    NOT NULL,
  form_version TEXT    NOT NULL,
  kana         TEXT    NOT NULL,
  birth_date   TEXT    NOT NULL,
  form         TEXT    NOT NULL,               -- all columns of the import, as JSON
  withdrawn_on TEXT    NOT NULL DEFAULT '',
  imported_at  INTEGER NOT NULL,
  actor        TEXT    NOT NULL,
  PRIMARY KEY (facility, local_id, form_id, form_version)
) WITHOUT ROWID;
CREATE TABLE channel (
  id           INTEGER PRIMARY KEY,
  facility     TEXT    NOT NULL,
  local_id     TEXT    NOT NULL,
  sink         TEXT    NOT NULL,
  peer_ref     TEXT    NOT NULL,
  kind         TEXT    NOT NULL CHECK (kind IN ('professional', 'direct', 'family', 'free')),
  status       TEXT    NOT NULL CHECK (status IN ('proposed', 'confirmed', 'broken')),
  status_code  TEXT,
  host         TEXT,
  header       TEXT    NOT NULL,
  members      TEXT    NOT NULL,
  confirmed_by TEXT,
  updated_at   INTEGER NOT NULL,
  UNIQUE (sink, peer_ref, facility, local_id)
);
CREATE INDEX channel_local ON channel (facility, local_id);

-- Notices.
CREATE TABLE notice (
  id              INTEGER PRIMARY KEY,
  person          INTEGER NOT NULL REFERENCES person (id),
  record          INTEGER NOT NULL REFERENCES record (id),
  source          TEXT    NOT NULL,
  kind            TEXT    NOT NULL,
  event_key       TEXT    NOT NULL,
  focus           TEXT    NOT NULL,
  urgency         TEXT    NOT NULL,
  occurred_at     INTEGER NOT NULL,
  cancelled       INTEGER NOT NULL,
  never_automatic TEXT,
  backfill        INTEGER NOT NULL,
  first_part_at   INTEGER NOT NULL,
  last_part_at    INTEGER NOT NULL,
  due_at          INTEGER,
  version         INTEGER NOT NULL,
  told            TEXT    NOT NULL,
  parts           TEXT    NOT NULL,
  UNIQUE (record, kind, event_key)
);
CREATE INDEX notice_due ON notice (due_at) WHERE due_at IS NOT NULL;
-- Requests to route a notice again; deleted by the settling that saw them.
CREATE TABLE reroute (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  notice INTEGER NOT NULL REFERENCES notice (id)
);
CREATE INDEX reroute_notice ON reroute (notice);
CREATE TABLE notice_version (
  notice  INTEGER NOT NULL REFERENCES notice (id),
  version INTEGER NOT NULL,
  content TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (notice, version)
) WITHOUT ROWID;
CREATE TABLE decision (
  id      INTEGER PRIMARY KEY,
  notice  INTEGER NOT NULL REFERENCES notice (id),
  version INTEGER NOT NULL,
  channel INTEGER,
  verdict TEXT    NOT NULL CHECK (verdict IN ('permit', 'hold', 'deny')),
  code    TEXT,
  reason  TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  CHECK (verdict = 'permit' OR code IS NOT NULL)
);
CREATE INDEX decision_notice ON decision (notice, version);

-- Outbox.
CREATE TABLE delivery (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT    NOT NULL UNIQUE,
  notice      INTEGER NOT NULL REFERENCES notice (id),
  version     INTEGER NOT NULL,
  channel     INTEGER NOT NULL REFERENCES channel (id),
  sink        TEXT    NOT NULL,
  person      INTEGER NOT NULL,
  change      TEXT    NOT NULL,
  disclosure  TEXT    NOT NULL,
  late        INTEGER NOT NULL,
  urgency     TEXT    NOT NULL,
  post        TEXT    NOT NULL,
  payload     TEXT    NOT NULL,                -- frozen: retries send these bytes
  state       TEXT    NOT NULL CHECK (state IN ('pending', 'sent', 'delivered', 'held', 'dead')),
  code        TEXT,
  due_at      INTEGER,
  attempts    INTEGER NOT NULL DEFAULT 0,
  started     INTEGER NOT NULL DEFAULT 0,
  released_by TEXT,
  replaces    TEXT,
  peer_ref    TEXT,
  created_at  INTEGER NOT NULL,
  told_at     INTEGER,
  CHECK (state NOT IN ('held', 'dead') OR code IS NOT NULL),
  CHECK (state <> 'pending' OR due_at IS NOT NULL)
);
CREATE INDEX delivery_line ON delivery (sink, person, seq) WHERE state = 'pending';
CREATE INDEX delivery_order ON delivery (sink, seq) WHERE state = 'pending';
CREATE INDEX delivery_notice ON delivery (notice, channel);
CREATE INDEX delivery_peer ON delivery (sink, peer_ref) WHERE peer_ref IS NOT NULL;
CREATE INDEX delivery_day ON delivery (channel, created_at);
CREATE INDEX delivery_sent ON delivery (sink, due_at) WHERE state = 'sent';
CREATE INDEX delivery_open ON delivery (state, code) WHERE state IN ('held', 'dead');
CREATE TABLE attempt (
  delivery TEXT    NOT NULL,
  number   INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  outcome  TEXT    NOT NULL,
  code     TEXT,
  PRIMARY KEY (delivery, number)
) WITHOUT ROWID;
-- 了解
CREATE TABLE seen (
  delivery    TEXT    NOT NULL,
  reader      TEXT    NOT NULL,
  professions TEXT    NOT NULL,
  at          INTEGER NOT NULL,
  PRIMARY KEY (delivery, reader)
) WITHOUT ROWID;

-- Receipts that came before the post they speak of was written down.
CREATE TABLE early_receipt (
  id      INTEGER PRIMARY KEY,
  post    TEXT    NOT NULL,
  receipt TEXT    NOT NULL,
  at      INTEGER NOT NULL
);
CREATE INDEX early_receipt_post ON early_receipt (post);
CREATE INDEX early_receipt_at ON early_receipt (at);

-- Beside the walk.
CREATE TABLE note (
  source TEXT NOT NULL,
  key    TEXT NOT NULL,
  value  TEXT NOT NULL,
  PRIMARY KEY (source, key)
) WITHOUT ROWID;
CREATE TABLE sink_override (sink TEXT PRIMARY KEY, mode TEXT, paused INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE run (id INTEGER PRIMARY KEY, started_at INTEGER NOT NULL, ended_at INTEGER);
-- Operator decisions and disclosures: append-only, each line carries the hash of the one before.
CREATE TABLE audit (
  id     INTEGER PRIMARY KEY,
  at     INTEGER NOT NULL,
  actor  TEXT    NOT NULL,
  act    TEXT    NOT NULL,
  target TEXT    NOT NULL,
  reason TEXT    NOT NULL,
  hash   BLOB    NOT NULL
);
-- Something was told about the wrong patient: the law's clock runs from here.
CREATE TABLE incident (
  id                INTEGER PRIMARY KEY,
  notice            INTEGER NOT NULL REFERENCES notice (id),
  delivery          TEXT    NOT NULL,
  opened_at         INTEGER NOT NULL,
  first_report_from INTEGER NOT NULL,          -- 速報, 3 to 5 days
  first_report_by   INTEGER NOT NULL,
  full_report_by    INTEGER NOT NULL,          -- 確報, 30 days
  reason            TEXT    NOT NULL,
  actor             TEXT    NOT NULL
);
