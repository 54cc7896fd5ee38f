//! The contracts a dialect can be of, call by call: what the adapter in Rust asks, and what it reads of an
//! answer. `adapters/sim/CONTRACT.md` says what they mean.

/// A contract.
#[derive(Debug)]
pub(super) struct Contract {
    pub(super) name: &'static str,
    pub(super) calls: &'static [Call],
}

/// One call of it.
#[derive(Debug)]
pub(super) struct Call {
    /// As a dialect names it.
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    /// `{name}` is a part that changes.
    pub(super) path: &'static str,
    /// What may stand in the query.
    pub(super) query: &'static [&'static str],
    pub(super) has_key: bool,
    /// Fields of the body.
    pub(super) body: &'static [&'static str],
    pub(super) has_file: bool,
    /// What is read of the answer.
    pub(super) answer: &'static [Field],
}

/// One field of an answer.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) holds: Holds,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Holds {
    Text,
    Bool,
    Texts,
    /// An object that must be there.
    Object(&'static [Field]),
    /// An object that may say nothing.
    Open(&'static [Field]),
    /// A list that may be empty.
    Objects(&'static [Field]),
    /// A list that holds something: a team has at least the member that asks. An empty one would mean that
    /// nobody reads there, and more would be said than may be.
    Members(&'static [Field]),
}

const fn must(name: &'static str, holds: Holds) -> Field {
    Field {
        name,
        required: true,
        holds,
    }
}

const fn may(name: &'static str, holds: Holds) -> Field {
    Field {
        name,
        required: false,
        holds,
    }
}

/// All of them.
pub(super) const CONTRACTS: &[Contract] = &[
    Contract {
        name: "sns-gateway/1",
        calls: SNS_GATEWAY,
    },
    Contract {
        name: "vital-link/1",
        calls: VITAL_LINK,
    },
];

const HEADER: &[Field] = &[
    must("local_id", Holds::Text),
    must("kana", Holds::Text),
    must("birth_date", Holds::Text),
    must("sex", Holds::Text),
    may("name", Holds::Text),
];
const GROUP: &[Field] = &[
    must("group_id", Holds::Text),
    must("kind", Holds::Text),
    must("status", Holds::Text),
    may("host_facility_id", Holds::Text),
    must("patient", Holds::Object(HEADER)),
    must(
        "members",
        Holds::Members(&[
            must("user_ref", Holds::Text),
            may("facility_id", Holds::Text),
            must("professions", Holds::Texts),
        ]),
    ),
];
const POST: &[Field] = &[
    must("post_id", Holds::Text),
    must("accepted_at", Holds::Text),
    must("reply_to", Holds::Text),
    must("client_ref", Holds::Text),
    must("withdrawn", Holds::Bool),
];
const ACK: &[Field] = &[
    must("ack_id", Holds::Text),
    must("post_id", Holds::Text),
    may("user_ref", Holds::Text),
    may("professions", Holds::Texts),
    must("acked_at", Holds::Text),
];

const fn get(name: &'static str, path: &'static str, answer: &'static [Field]) -> Call {
    Call {
        name,
        method: "GET",
        path,
        query: &[],
        has_key: false,
        body: &[],
        has_file: false,
        answer,
    }
}

const SNS_GATEWAY: &[Call] = &[
    Call {
        query: &["limit"],
        ..get("facilities", "/v1/facilities", &[])
    },
    Call {
        query: &["limit", "cursor"],
        ..get(
            "groups",
            "/v1/patient-groups",
            &[
                must("items", Holds::Objects(GROUP)),
                must("next_cursor", Holds::Text),
            ],
        )
    },
    get("group", "/v1/patient-groups/{group}", GROUP),
    Call {
        method: "POST",
        has_file: true,
        ..get(
            "attach",
            "/v1/attachments",
            &[must("attachment_id", Holds::Text)],
        )
    },
    Call {
        method: "POST",
        has_key: true,
        body: &[
            "client_ref",
            "author.facility_id",
            "author.user_ref",
            "author.display",
            "author.profession",
            "headline",
            "text",
            "category",
            "urgency",
            "ack_requested",
            "occurred_at",
            "source_note",
            "reply_to",
            "attachments",
        ],
        ..get(
            "post",
            "/v1/patient-groups/{group}/posts",
            &[must("post_id", Holds::Text)],
        )
    },
    get("show_post", "/v1/posts/{post}", POST),
    Call {
        query: &["limit", "cursor", "since"],
        ..get(
            "posts",
            "/v1/patient-groups/{group}/posts",
            &[
                must("items", Holds::Objects(POST)),
                must("next_cursor", Holds::Text),
            ],
        )
    },
    Call {
        method: "POST",
        has_key: true,
        body: &["kind", "text"],
        ..get("correct", "/v1/posts/{post}/corrections", &[])
    },
    Call {
        query: &["limit", "since"],
        ..get(
            "acks",
            "/v1/acks",
            &[
                must("items", Holds::Objects(ACK)),
                must("next_cursor", Holds::Text),
                must("more", Holds::Bool),
            ],
        )
    },
];

const ROOM: &[Field] = &[
    must("room_id", Holds::Text),
    must("kind", Holds::Text),
    must("status", Holds::Text),
    may("host_facility_id", Holds::Text),
    must("patient", Holds::Object(HEADER)),
    must(
        "members",
        Holds::Members(&[
            must("user_ref", Holds::Text),
            may("facility_id", Holds::Text),
            must("profession", Holds::Text),
        ]),
    ),
];
const CHANGE: &[Field] = &[
    must("change_id", Holds::Text),
    must("type", Holds::Text),
    must("at", Holds::Text),
    must("room_id", Holds::Text),
    must(
        "data",
        Holds::Open(&[
            must("message_id", Holds::Text),
            must("uid", Holds::Text),
            may("origin", Holds::Text),
            may("user_ref", Holds::Text),
            may("profession", Holds::Text),
        ]),
    ),
];

const VITAL_LINK: &[Call] = &[
    Call {
        query: &["limit", "cursor"],
        ..get(
            "rooms",
            "/v1/rooms",
            &[
                must("items", Holds::Objects(ROOM)),
                must("next_cursor", Holds::Text),
            ],
        )
    },
    get("room", "/v1/rooms/{room}", ROOM),
    Call {
        method: "POST",
        body: &[
            "uid",
            "author.facility_id",
            "author.user_ref",
            "author.display",
            "author.profession",
            "title",
            "body",
            "urgency",
            "ack_requested",
            "occurred_at",
            "source_note",
            "replaces",
            "change",
            "documents",
        ],
        ..get(
            "message",
            "/v1/rooms/{room}/messages",
            &[must("message_id", Holds::Text)],
        )
    },
    Call {
        method: "POST",
        has_file: true,
        body: &[
            "uid",
            "author.facility_id",
            "author.user_ref",
            "author.display",
            "author.profession",
            "title",
            "occurred_at",
            "source_note",
            "replaces",
            "change",
        ],
        ..get(
            "document",
            "/v1/rooms/{room}/documents",
            &[must("document_id", Holds::Text)],
        )
    },
    Call {
        query: &["limit", "since"],
        ..get(
            "changes",
            "/v1/changes",
            &[
                must("items", Holds::Objects(CHANGE)),
                must("next_cursor", Holds::Text),
                must("more", Holds::Bool),
            ],
        )
    },
];

impl Contract {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        CONTRACTS.iter().find(|contract| contract.name == name)
    }

    /// The call of this method and path, with what stands in the path and the query.
    pub(super) fn asked(
        &self,
        method: &str,
        path: &str,
    ) -> Option<(usize, Vec<(&'static str, String)>)> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        self.calls.iter().enumerate().find_map(|(at, call)| {
            let mut vars = (call.method == method).then(|| call.parts(path))??;
            for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=')?;
                let name = call.query.iter().copied().find(|known| *known == name)?;
                vars.push((name, renkei_core::wire::decode(value)?));
            }
            Some((at, vars))
        })
    }
}

impl Call {
    /// What stands for each `{name}` of the path; `None` when it is another path.
    fn parts(&self, path: &str) -> Option<Vec<(&'static str, String)>> {
        let mut vars = Vec::new();
        let (mut own, mut other) = (self.path.split('/'), path.split('/'));
        loop {
            match (own.next(), other.next()) {
                (None, None) => return Some(vars),
                (Some(own), Some(other)) => match variable(own) {
                    Some(name) => vars.push((name, renkei_core::wire::decode(other)?)),
                    None if own == other => {}
                    None => return None,
                },
                _ => return None,
            }
        }
    }

    /// What a path of a dialect may hold.
    pub(super) fn vars(&self) -> Vec<&'static str> {
        let own = self.path.split('/').filter_map(variable);
        own.chain(self.query.iter().copied())
            .chain(self.has_key.then_some("key"))
            .collect()
    }

    /// What headers and body of a dialect may read.
    pub(super) fn fields(&self) -> impl Iterator<Item = String> {
        let file: &[&str] = if self.has_file {
            &["file.name", "file.media_type", "file.sha256", "file.base64"]
        } else {
            &[]
        };
        let body = self.body.iter().map(|name| format!("body.{name}"));
        self.vars()
            .into_iter()
            .chain(file.iter().copied())
            .map(str::to_owned)
            .chain(body)
    }
}

fn variable(step: &'static str) -> Option<&'static str> {
    step.strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_method_and_path() {
        let contract = Contract::find("sns-gateway/1").expect("known");
        let asked = |method: &str, path: &str| {
            let (at, vars) = contract.asked(method, path)?;
            Some((contract.calls[at].name, vars))
        };
        assert_eq!(
            asked("POST", "/v1/patient-groups/g%2F1/posts"),
            Some(("post", vec![("group", "g/1".to_owned())]))
        );
        let (name, vars) = asked(
            "GET",
            "/v1/patient-groups/g-1/posts?limit=100&since=2025%3A1",
        )
        .expect("known");
        assert_eq!((name, vars.len()), ("posts", 3));
        assert_eq!(vars[2], ("since", "2025:1".to_owned()));
        assert!(asked("DELETE", "/v1/posts/p-1").is_none());
        assert!(asked("GET", "/v1/posts/p-1?cursor=1").is_none());
        assert!(asked("GET", "/v2/acks").is_none());
    }
}
