//! The rules between rows, as statements that find what breaks them.

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its name, as the page of RNK-LDG-001 has it.
    pub(super) check: &'static str,
    /// The table and column of ids it is walked by.
    pub(super) span: (&'static str, &'static str),
    /// ?1 after this id, ?2 up to this id: the id and what it is.
    pub(super) find: &'static str,
    /// What mends it.
    pub(super) repair: &'static str,
    /// Statements that mend it without losing anything, ?1 the ids; none when a person must choose.
    pub(super) mend: &'static [&'static str],
}

const BACK: &str = "restore the missing rows from a backup";
const AGAIN: &str =
    "`--repair` lets the message be processed again; what follows is told to nobody by itself";

/// All of them.
pub(super) const RULES: &[Rule] = &[
    Rule {
        check: "waiting-without-message",
        span: ("waiting", "position"),
        find: "SELECT w.position, 'waiting ' || CAST(w.position AS TEXT) FROM waiting AS w WHERE w.position > ?1 AND w.position <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM message AS m WHERE m.position = w.position)",
        repair: "`--repair` removes it: there is nothing to process",
        mend: &["DELETE FROM waiting WHERE position IN (SELECT value FROM ints(?1))"],
    },
    Rule {
        check: "outcome-without-message",
        span: ("outcome", "position"),
        find: "SELECT o.position, 'outcome ' || CAST(o.position AS TEXT) FROM outcome AS o WHERE o.position > ?1 AND o.position <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM message AS m WHERE m.position = o.position)",
        repair: BACK,
        mend: &[],
    },
    Rule {
        check: "message-in-no-queue",
        span: ("message", "position"),
        find: "SELECT m.position, 'message ' || CAST(m.position AS TEXT) FROM message AS m WHERE m.position > ?1 AND m.position <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM waiting AS w WHERE w.position = m.position) \
               AND NOT EXISTS (SELECT 1 FROM outcome AS o WHERE o.position = m.position)",
        repair: AGAIN,
        mend: &[
            "INSERT INTO waiting (position, lane, replay) SELECT m.position, m.lane, TRUE FROM ints(?1) AS k \
             CROSS JOIN message AS m ON m.position = k.value WHERE TRUE ON CONFLICT DO NOTHING",
        ],
    },
    Rule {
        check: "outcome-and-waiting",
        span: ("waiting", "position"),
        find: "SELECT w.position, 'message ' || CAST(w.position AS TEXT) FROM waiting AS w JOIN outcome AS o ON o.position = w.position \
               WHERE w.position > ?1 AND w.position <= ?2",
        repair: AGAIN,
        mend: &[
            "UPDATE waiting SET replay = TRUE WHERE position IN (SELECT value FROM ints(?1))",
            "DELETE FROM outcome WHERE position IN (SELECT value FROM ints(?1)) AND EXISTS (SELECT 1 FROM waiting AS w WHERE w.position = outcome.position)",
        ],
    },
    Rule {
        check: "message-twice",
        span: ("message", "position"),
        find: "SELECT b.position, 'messages ' || CAST(a.position AS TEXT) || ' and ' || CAST(b.position AS TEXT) FROM message AS b \
               JOIN message AS a ON a.control_hash = b.control_hash AND a.position < b.position \
               WHERE b.position > ?1 AND b.position <= ?2 AND a.source = b.source AND a.control = b.control AND a.body_hash = b.body_hash",
        repair: "harmless to readers (the same content makes no new version); tell who runs renkei",
        mend: &[],
    },
    Rule {
        check: "record-without-person",
        span: ("record", "id"),
        find: "SELECT r.id, 'record ' || CAST(r.id AS TEXT) FROM record AS r WHERE r.id > ?1 AND r.id <= ?2 AND r.person IS NOT NULL \
               AND NOT EXISTS (SELECT 1 FROM person AS p WHERE p.id = r.person)",
        repair: BACK,
        mend: &[],
    },
    Rule {
        check: "resource-without-current-version",
        span: ("resource", "id"),
        find: "SELECT r.id, 'resource ' || CAST(r.id AS TEXT) FROM resource AS r WHERE r.id > ?1 AND r.id <= ?2 AND r.version > 0 \
               AND NOT EXISTS (SELECT 1 FROM version AS v WHERE v.resource = r.id AND v.version = r.version)",
        repair: "restore the version from a backup, or `renkei replay` the messages that wrote it",
        mend: &[],
    },
    Rule {
        check: "version-gap",
        span: ("resource", "id"),
        find: "SELECT r.id, 'resource ' || CAST(r.id AS TEXT) FROM resource AS r JOIN version AS v ON v.resource = r.id \
               WHERE r.id > ?1 AND r.id <= ?2 GROUP BY r.id, r.version \
               HAVING min(v.version) <> 1 OR max(v.version) <> count(*) OR max(v.version) > r.version",
        repair: "restore the missing version from a backup",
        mend: &[],
    },
    Rule {
        check: "version-without-resource",
        span: ("version", "resource"),
        find: "SELECT v.resource, 'version ' || CAST(v.version AS TEXT) || ' of resource ' || CAST(v.resource AS TEXT) FROM version AS v \
               WHERE v.resource > ?1 AND v.resource <= ?2 AND NOT EXISTS (SELECT 1 FROM resource AS r WHERE r.id = v.resource)",
        repair: BACK,
        mend: &[],
    },
    Rule {
        check: "resource-twice",
        span: ("resource", "record"),
        find: "SELECT max(r.id), 'resources ' || CAST(min(r.id) AS TEXT) || ' and ' || CAST(max(r.id) AS TEXT) FROM resource AS r \
               WHERE r.record > ?1 AND r.record <= ?2 AND r.natural_key <> '' GROUP BY r.record, r.kind, r.natural_key HAVING count(*) > 1",
        repair: "restore a backup from before it happened; tell who runs renkei",
        mend: &[],
    },
    Rule {
        check: "sighting-of-nothing",
        span: ("sighting", "message"),
        find: "SELECT s.message, 'sighting of resource ' || CAST(s.resource AS TEXT) || ' version ' || CAST(s.version AS TEXT) || ' by message ' || CAST(s.message AS TEXT) \
               FROM sighting AS s WHERE s.message > ?1 AND s.message <= ?2 AND (\
               NOT EXISTS (SELECT 1 FROM message AS m WHERE m.position = s.message) \
               OR NOT EXISTS (SELECT 1 FROM resource AS r WHERE r.id = s.resource AND r.version >= s.version))",
        repair: BACK,
        mend: &[],
    },
    Rule {
        check: "notice-without-record",
        span: ("notice", "id"),
        find: "SELECT n.id, 'notice ' || CAST(n.id AS TEXT) FROM notice AS n WHERE n.id > ?1 AND n.id <= ?2 AND (\
               NOT EXISTS (SELECT 1 FROM record AS r WHERE r.id = n.record) OR NOT EXISTS (SELECT 1 FROM person AS p WHERE p.id = n.person))",
        repair: BACK,
        mend: &[],
    },
    Rule {
        check: "notice-version-gap",
        span: ("notice", "id"),
        find: "SELECT n.id, 'notice ' || CAST(n.id AS TEXT) FROM notice AS n WHERE n.id > ?1 AND n.id <= ?2 \
               AND n.version <> (SELECT count(*) FROM notice_version AS v WHERE v.notice = n.id AND v.version BETWEEN 1 AND n.version)",
        repair: BACK,
        mend: &[],
    },
    Rule {
        check: "notice-in-no-queue",
        span: ("notice", "id"),
        find: "SELECT n.id, 'notice ' || CAST(n.id AS TEXT) FROM notice AS n WHERE n.id > ?1 AND n.id <= ?2 AND n.version = 0 AND n.due_at IS NULL \
               AND NOT n.cancelled AND NOT EXISTS (SELECT 1 FROM reroute AS q WHERE q.notice = n.id) \
               AND EXISTS (SELECT 1 FROM resource AS r WHERE r.logical_id = n.focus AND r.version > 0 AND NOT r.withdrawn)",
        repair: "`--repair` lets it settle now; what follows waits for a named person",
        mend: &[
            "UPDATE notice SET due_at = last_part_at, backfill = TRUE WHERE id IN (SELECT value FROM ints(?1)) AND due_at IS NULL",
        ],
    },
    Rule {
        check: "reroute-without-notice",
        span: ("reroute", "id"),
        find: "SELECT q.id, 'reroute ' || CAST(q.id AS TEXT) FROM reroute AS q WHERE q.id > ?1 AND q.id <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM notice AS n WHERE n.id = q.notice)",
        repair: "`--repair` removes it: there is nothing to route",
        mend: &["DELETE FROM reroute WHERE id IN (SELECT value FROM ints(?1))"],
    },
    Rule {
        check: "decision-without-notice",
        span: ("decision", "id"),
        find: "SELECT d.id, 'decision ' || CAST(d.id AS TEXT) FROM decision AS d WHERE d.id > ?1 AND d.id <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM notice AS n WHERE n.id = d.notice)",
        repair: BACK,
        mend: &[],
    },
    Rule {
        check: "delivery-without-notice",
        span: ("delivery", "seq"),
        find: "SELECT d.seq, 'delivery ' || d.id FROM delivery AS d WHERE d.seq > ?1 AND d.seq <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM notice AS n WHERE n.id = d.notice)",
        repair: BACK,
        mend: &[],
    },
    Rule {
        check: "delivery-without-channel",
        span: ("delivery", "seq"),
        find: "SELECT d.seq, 'delivery ' || d.id FROM delivery AS d WHERE d.seq > ?1 AND d.seq <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM channel AS c WHERE c.id = d.channel)",
        repair: BACK,
        mend: &[],
    },
    Rule {
        check: "delivery-without-content",
        span: ("delivery", "seq"),
        find: "SELECT d.seq, 'delivery ' || d.id FROM delivery AS d JOIN notice AS n ON n.id = d.notice WHERE d.seq > ?1 AND d.seq <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM notice_version AS v WHERE v.notice = d.notice AND v.version = least(d.version, n.version))",
        repair: "restore the notice version from a backup; a pending delivery cannot be sent without it",
        mend: &[],
    },
];
