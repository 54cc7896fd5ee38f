//! The rules between rows, as statements that find what breaks them.

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    /// The table and column of ids it is walked by.
    pub(super) span: (&'static str, &'static str),
    /// ?1 after this id, ?2 up to this id: the id and what it is.
    pub(super) find: &'static str,
    /// What is said of it.
    pub(super) remedy: Remedy,
}

/// What is said of something that is broken, and what can be done.
#[derive(Debug)]
pub(super) struct Remedy {
    /// The name of the check, as the page of RNK-LDG-001 has it.
    pub(super) check: &'static str,
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
        span: ("waiting", "position"),
        find: "SELECT w.position, 'waiting ' || CAST(w.position AS TEXT) FROM waiting AS w WHERE w.position > ?1 AND w.position <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM message AS m WHERE m.position = w.position)",
        remedy: Remedy {
            check: "waiting-without-message",
            repair: "`--repair` removes it: there is nothing to process",
            mend: &["DELETE FROM waiting WHERE position IN (SELECT value FROM ints(?1))"],
        },
    },
    Rule {
        span: ("outcome", "position"),
        find: "SELECT o.position, 'outcome ' || CAST(o.position AS TEXT) FROM outcome AS o WHERE o.position > ?1 AND o.position <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM message AS m WHERE m.position = o.position)",
        remedy: Remedy {
            check: "outcome-without-message",
            repair: BACK,
            mend: &[],
        },
    },
    Rule {
        span: ("message", "position"),
        find: "SELECT m.position, 'message ' || CAST(m.position AS TEXT) FROM message AS m WHERE m.position > ?1 AND m.position <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM waiting AS w WHERE w.position = m.position) \
               AND NOT EXISTS (SELECT 1 FROM outcome AS o WHERE o.position = m.position)",
        remedy: Remedy {
            check: "message-in-no-queue",
            repair: AGAIN,
            mend: &[
                "INSERT INTO waiting (position, lane, replay) SELECT m.position, m.lane, TRUE FROM ints(?1) AS k \
             CROSS JOIN message AS m ON m.position = k.value WHERE TRUE ON CONFLICT DO NOTHING",
            ],
        },
    },
    Rule {
        span: ("waiting", "position"),
        find: "SELECT w.position, 'message ' || CAST(w.position AS TEXT) FROM waiting AS w JOIN outcome AS o ON o.position = w.position \
               WHERE w.position > ?1 AND w.position <= ?2",
        remedy: Remedy {
            check: "outcome-and-waiting",
            repair: AGAIN,
            mend: &[
                "UPDATE waiting SET replay = TRUE WHERE position IN (SELECT value FROM ints(?1))",
                "DELETE FROM outcome WHERE position IN (SELECT value FROM ints(?1)) AND EXISTS (SELECT 1 FROM waiting AS w WHERE w.position = outcome.position)",
            ],
        },
    },
    Rule {
        span: ("message", "position"),
        find: "SELECT b.position, 'messages ' || CAST(a.position AS TEXT) || ' and ' || CAST(b.position AS TEXT) FROM message AS b \
               JOIN message AS a ON a.control_hash = b.control_hash AND a.position < b.position \
               WHERE b.position > ?1 AND b.position <= ?2 AND a.source = b.source AND a.control = b.control AND a.body_hash = b.body_hash",
        remedy: Remedy {
            check: "message-twice",
            repair: "harmless to readers (the same content makes no new version); tell who runs renkei",
            mend: &[],
        },
    },
    Rule {
        span: ("record", "id"),
        find: "SELECT r.id, 'record ' || CAST(r.id AS TEXT) FROM record AS r WHERE r.id > ?1 AND r.id <= ?2 AND r.person IS NOT NULL \
               AND NOT EXISTS (SELECT 1 FROM person AS p WHERE p.id = r.person)",
        remedy: Remedy {
            check: "record-without-person",
            repair: BACK,
            mend: &[],
        },
    },
    Rule {
        span: ("resource", "id"),
        find: "SELECT r.id, 'resource ' || CAST(r.id AS TEXT) FROM resource AS r WHERE r.id > ?1 AND r.id <= ?2 AND r.version > 0 \
               AND NOT EXISTS (SELECT 1 FROM version AS v WHERE v.resource = r.id AND v.version = r.version)",
        remedy: Remedy {
            check: "resource-without-current-version",
            repair: "restore the version from a backup, or `renkei replay` the messages that wrote it",
            mend: &[],
        },
    },
    Rule {
        span: ("resource", "id"),
        find: "SELECT r.id, 'resource ' || CAST(r.id AS TEXT) FROM resource AS r JOIN version AS v ON v.resource = r.id \
               WHERE r.id > ?1 AND r.id <= ?2 GROUP BY r.id, r.version \
               HAVING min(v.version) <> 1 OR max(v.version) <> count(*) OR max(v.version) > r.version",
        remedy: Remedy {
            check: "version-gap",
            repair: "restore the missing version from a backup",
            mend: &[],
        },
    },
    Rule {
        span: ("version", "resource"),
        find: "SELECT v.resource, 'version ' || CAST(v.version AS TEXT) || ' of resource ' || CAST(v.resource AS TEXT) FROM version AS v \
               WHERE v.resource > ?1 AND v.resource <= ?2 AND NOT EXISTS (SELECT 1 FROM resource AS r WHERE r.id = v.resource)",
        remedy: Remedy {
            check: "version-without-resource",
            repair: BACK,
            mend: &[],
        },
    },
    Rule {
        span: ("resource", "record"),
        find: "SELECT max(r.id), 'resources ' || CAST(min(r.id) AS TEXT) || ' and ' || CAST(max(r.id) AS TEXT) FROM resource AS r \
               WHERE r.record > ?1 AND r.record <= ?2 AND r.natural_key <> '' GROUP BY r.record, r.kind, r.natural_key HAVING count(*) > 1",
        remedy: Remedy {
            check: "resource-twice",
            repair: "restore a backup from before it happened; tell who runs renkei",
            mend: &[],
        },
    },
    Rule {
        span: ("sighting", "message"),
        find: "SELECT s.message, 'sighting of resource ' || CAST(s.resource AS TEXT) || ' version ' || CAST(s.version AS TEXT) || ' by message ' || CAST(s.message AS TEXT) \
               FROM sighting AS s WHERE s.message > ?1 AND s.message <= ?2 AND (\
               NOT EXISTS (SELECT 1 FROM message AS m WHERE m.position = s.message) \
               OR NOT EXISTS (SELECT 1 FROM resource AS r WHERE r.id = s.resource AND r.version >= s.version))",
        remedy: Remedy {
            check: "sighting-of-nothing",
            repair: BACK,
            mend: &[],
        },
    },
    Rule {
        span: ("notice", "id"),
        find: "SELECT n.id, 'notice ' || CAST(n.id AS TEXT) FROM notice AS n WHERE n.id > ?1 AND n.id <= ?2 AND (\
               NOT EXISTS (SELECT 1 FROM record AS r WHERE r.id = n.record) OR NOT EXISTS (SELECT 1 FROM person AS p WHERE p.id = n.person))",
        remedy: Remedy {
            check: "notice-without-record",
            repair: BACK,
            mend: &[],
        },
    },
    Rule {
        span: ("notice", "id"),
        find: "SELECT n.id, 'notice ' || CAST(n.id AS TEXT) FROM notice AS n WHERE n.id > ?1 AND n.id <= ?2 \
               AND n.version <> (SELECT count(*) FROM notice_version AS v WHERE v.notice = n.id AND v.version BETWEEN 1 AND n.version)",
        remedy: Remedy {
            check: "notice-version-gap",
            repair: BACK,
            mend: &[],
        },
    },
    Rule {
        span: ("notice", "id"),
        find: "SELECT n.id, 'notice ' || CAST(n.id AS TEXT) FROM notice AS n WHERE n.id > ?1 AND n.id <= ?2 AND n.version = 0 AND n.due_at IS NULL \
               AND NOT n.cancelled AND NOT EXISTS (SELECT 1 FROM reroute AS q WHERE q.notice = n.id) \
               AND EXISTS (SELECT 1 FROM resource AS r WHERE r.logical_id = n.focus AND r.version > 0 AND NOT r.withdrawn)",
        remedy: Remedy {
            check: "notice-in-no-queue",
            repair: "`--repair` lets it settle now; what follows waits for a named person",
            mend: &[
                "UPDATE notice SET due_at = last_part_at, backfill = TRUE WHERE id IN (SELECT value FROM ints(?1)) AND due_at IS NULL",
            ],
        },
    },
    Rule {
        span: ("reroute", "id"),
        find: "SELECT q.id, 'reroute ' || CAST(q.id AS TEXT) FROM reroute AS q WHERE q.id > ?1 AND q.id <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM notice AS n WHERE n.id = q.notice)",
        remedy: Remedy {
            check: "reroute-without-notice",
            repair: "`--repair` removes it: there is nothing to route",
            mend: &["DELETE FROM reroute WHERE id IN (SELECT value FROM ints(?1))"],
        },
    },
    Rule {
        span: ("decision", "id"),
        find: "SELECT d.id, 'decision ' || CAST(d.id AS TEXT) FROM decision AS d WHERE d.id > ?1 AND d.id <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM notice AS n WHERE n.id = d.notice)",
        remedy: Remedy {
            check: "decision-without-notice",
            repair: BACK,
            mend: &[],
        },
    },
    Rule {
        span: ("delivery", "seq"),
        find: "SELECT d.seq, 'delivery ' || d.id FROM delivery AS d WHERE d.seq > ?1 AND d.seq <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM notice AS n WHERE n.id = d.notice)",
        remedy: Remedy {
            check: "delivery-without-notice",
            repair: BACK,
            mend: &[],
        },
    },
    Rule {
        span: ("delivery", "seq"),
        find: "SELECT d.seq, 'delivery ' || d.id FROM delivery AS d WHERE d.seq > ?1 AND d.seq <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM channel AS c WHERE c.id = d.channel)",
        remedy: Remedy {
            check: "delivery-without-channel",
            repair: BACK,
            mend: &[],
        },
    },
    Rule {
        span: ("delivery", "seq"),
        find: "SELECT d.seq, 'delivery ' || d.id FROM delivery AS d JOIN notice AS n ON n.id = d.notice WHERE d.seq > ?1 AND d.seq <= ?2 \
               AND NOT EXISTS (SELECT 1 FROM notice_version AS v WHERE v.notice = d.notice AND v.version = least(d.version, n.version))",
        remedy: Remedy {
            check: "delivery-without-content",
            repair: "restore the notice version from a backup; a pending delivery cannot be sent without it",
            mend: &[],
        },
    },
];
