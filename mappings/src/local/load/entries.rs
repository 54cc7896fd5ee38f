//! Entries of `resources:`, `rows:`, `patch:` and `items:`.

use renkei_core::draft::WithdrawReason;
use renkei_core::{Authority, Code, ItemClass, ItemEvent, ResourceType};
use renkei_fhir::jp_core::profile;

use super::{Loader, MOMENT, list};
use crate::local::kind::Kinds;
use crate::local::plan::{Entry, Expression, ItemPlan};
use crate::local::problem::{Problem, Spot};
use crate::local::yaml::{Key, Kind, Node};
use crate::local::{element, extend, shape};

/// What steers an entry of `resources:`.
pub(in crate::local) const RESOURCE_KEYS: &[&str] = &[
    "name",
    "each",
    "when",
    "key",
    "withdraw",
    "reason",
    "preliminary",
    "authority",
    "carry",
    "scope",
    "time",
    "profile",
];
/// Keys of an item.
pub(in crate::local) const ITEM_KEYS: &[&str] = &[
    "class",
    "event",
    "each",
    "focus",
    "members",
    "occurred_at",
    "urgency",
    "hold",
    "when",
];

impl Loader<'_, '_> {
    /// An entry of `resources:`, `rows:` or `patch:`: one key that is a type, the others steer it.
    pub(super) fn entry(&mut self, node: &Node, place: Place) -> Option<Entry> {
        let (known, types): (&[&str], Vec<&str>) = match place {
            Place::Resource => (RESOURCE_KEYS, element::resources().collect()),
            Place::Row => (&["name", "each", "when"], vec!["Bed", "Row"]),
            Place::Patch => (&["name", "when"], element::resources().collect()),
        };
        let Kind::Map(all) = &node.kind else {
            self.problem(
                Code::MAP_KEY,
                &node.spot,
                format!("an entry is a map, this is {}", node.what()),
            );
            return None;
        };
        let is_type = |key: &Key| {
            key.text
                .starts_with(|letter: char| letter.is_ascii_uppercase())
        };
        for (key, _) in all
            .iter()
            .filter(|(key, _)| !is_type(key) && !known.contains(&key.text.as_str()))
        {
            let problem = Problem::at(
                Code::MAP_KEY,
                &key.spot,
                format!("an entry has no key `{}`", key.text),
            );
            self.compiler
                .problem(problem.did_you_mean(&key.text, known.iter().copied()));
        }
        let named: Vec<&(Key, Node)> = all.iter().filter(|(key, _)| is_type(key)).collect();
        let find = |key: &Key| types.iter().copied().find(|known| *known == key.text);
        if let Some((key, _)) = named.iter().find(|(key, _)| find(key).is_none()) {
            let problem = Problem::at(
                Code::MAP_ELEMENT,
                &key.spot,
                format!("no type is named `{}`", key.text),
            );
            self.compiler
                .problem(problem.did_you_mean(&key.text, types.iter().copied()));
            return None;
        }
        let [(key, body)] = named.as_slice() else {
            let says = "an entry has one key that is its type, such as `Observation:`";
            self.problem(Code::MAP_KEY, &node.spot, says);
            return None;
        };
        let shape = find(key)?;
        let kind = ResourceType::find(shape);
        if kind.is_none() && place != Place::Row {
            self.problem(
                Code::MAP_ELEMENT,
                &key.spot,
                format!("renkei records no `{shape}`"),
            );
            return None;
        }
        let shape: &'static str = match (kind, shape) {
            (Some(kind), _) => kind.as_str(),
            (None, "Bed") => "Bed",
            (None, _) => "Row",
        };
        self.compiler.items.clear();
        let members = match (place, shape) {
            (Place::Row, "Row") => shape::free_members(self.compiler, body, "Row"),
            (Place::Patch, _) => shape::patch(self.compiler, body, shape),
            _ => shape::typed(self.compiler, body, shape),
        };
        let profile = self.profile(
            node.get("profile"),
            shape,
            body.get("meta").is_some(),
            place,
        );
        let keys = self.keys(node, place, kind, key);
        Some(Entry {
            name: extend::entry_name(node),
            shape,
            kind,
            each_row: self.each_row(node, place),
            when: self.test(node.get("when"), &format!("{shape} when")),
            key: keys,
            withdraw: self.test(node.get("withdraw"), &format!("{shape} withdraw")),
            reason: match self.word(node.get("reason"), &["entered-in-error", "cancelled"]) {
                1 => WithdrawReason::Cancelled,
                _ => WithdrawReason::EnteredInError,
            },
            preliminary: self.test(node.get("preliminary"), &format!("{shape} preliminary")),
            authority: match (
                node.get("authority"),
                self.word(node.get("authority"), &["primary", "snapshot"]),
            ) {
                (None, _) if shape == "Patient" => Authority::Snapshot,
                (Some(_), 1) => Authority::Snapshot,
                _ => Authority::Primary,
            },
            merge: match node.get("carry") {
                None => shape == "Patient",
                some => self.word(some, &["replace", "merge"]) == 1,
            },
            scope: self.expression(node.get("scope"), &format!("{shape} scope"), Kinds::SCALAR),
            time: self.expression(node.get("time"), &format!("{shape} time"), MOMENT),
            profile,
            refers: members.iter().flatten().any(|member| member.body.refers()),
            body: members?,
        })
    }

    /// Which of some words stands there; the first when nothing does.
    fn word(&mut self, node: Option<&Node>, words: &[&str]) -> usize {
        let Some(node) = node.filter(|node| !matches!(node.kind, Kind::Empty)) else {
            return 0;
        };
        let text = node.text().unwrap_or("");
        if let Some(at) = words.iter().position(|word| *word == text) {
            return at;
        }
        let says = format!("one of `{}` is wanted here", words.join("`, `"));
        let problem = Problem::at(Code::MAP_KEY, &node.spot, says);
        self.compiler
            .problem(problem.did_you_mean(text, words.iter().copied()));
        0
    }

    fn each_row(&mut self, node: &Node, place: Place) -> bool {
        match node.get("each") {
            None => place == Place::Row,
            some => self.word(some, &["draft", "row"]) == 1,
        }
    }

    fn keys(
        &mut self,
        node: &Node,
        place: Place,
        kind: Option<ResourceType>,
        key: &Key,
    ) -> Vec<Expression> {
        if place != Place::Resource {
            return Vec::new();
        }
        let listed = list(node.get("key"));
        if listed.is_empty() && kind != Some(ResourceType::Patient) {
            let says = "`key:` is missing: what makes this thing the same when it is sent again";
            self.problem(Code::MAP_KEY, &key.spot, says);
        }
        let element = format!("{} key", key.text);
        let compiled = listed
            .iter()
            .map(|node| self.compiler.plain(node, &element, Kinds::SCALAR));
        compiled.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    fn profile(
        &mut self,
        node: Option<&Node>,
        shape: &str,
        has_meta: bool,
        place: Place,
    ) -> Option<Box<str>> {
        if place != Place::Resource || has_meta {
            return None;
        }
        let usual = PROFILES
            .iter()
            .find(|(kind, _)| *kind == shape)
            .map(|(_, canonical)| *canonical);
        let Some(node) = node.filter(|node| !matches!(node.kind, Kind::Empty)) else {
            return usual.map(Into::into);
        };
        let name = node.text().unwrap_or("");
        let of_type = PROFILES
            .iter()
            .filter(|(kind, _)| *kind == shape)
            .map(|(_, canonical)| *canonical);
        let found = of_type
            .clone()
            .find(|canonical| canonical.rsplit('/').next() == Some(name));
        if found.is_none() {
            let says = format!("JP Core 1.2.0 has no profile `{name}` of {shape}");
            let problem = Problem::at(Code::MAP_ELEMENT, &node.spot, says);
            let names = of_type.filter_map(|canonical| canonical.rsplit('/').next());
            self.compiler.problem(problem.did_you_mean(name, names));
        }
        found.map(Into::into)
    }

    pub(super) fn item(&mut self, node: &Node) -> Option<ItemPlan> {
        self.map(node, ITEM_KEYS);
        let focus = self.named_entry(node.get("focus"), &node.spot);
        let members: Vec<Option<usize>> = list(node.get("members"))
            .iter()
            .map(|member| self.named_entry(Some(member), &node.spot))
            .collect();
        let class = match node.get("class") {
            Some(class) => {
                if let Kind::Text { text, quoted: true } = &class.kind
                    && ItemClass::find(text).is_none()
                {
                    let problem = Problem::at(
                        Code::MAP_KEY,
                        &class.spot,
                        format!("no item class is named `{text}`"),
                    );
                    let known = ItemClass::ALL.iter().map(|class| class.code());
                    self.compiler.problem(problem.did_you_mean(text, known));
                }
                self.expression(Some(class), "item class", Kinds::SCALAR)
            }
            None => {
                self.problem(Code::MAP_KEY, &node.spot, "`class:` of the item is missing");
                None
            }
        };
        let event = match self.word(
            node.get("event"),
            &[
                "recorded",
                "alarm",
                "document-arrived",
                "admitted",
                "discharged",
                "transferred",
            ],
        ) {
            1 => ItemEvent::Alarm,
            2 => ItemEvent::DocumentArrived,
            3 => ItemEvent::Admitted,
            4 => ItemEvent::Discharged { death: false },
            5 => ItemEvent::Transferred,
            _ => ItemEvent::Recorded,
        };
        let urgency = match node.get("urgency") {
            None => Some(Expression::Text("u2".into())),
            some => self.expression(some, "item urgency", Kinds::TEXT),
        };
        Some(ItemPlan {
            each_row: self.each_row(node, Place::Resource),
            class: class?,
            event,
            focus: focus?,
            members: members.into_iter().collect::<Option<_>>()?,
            occurred_at: self.expression(node.get("occurred_at"), "item occurred_at", MOMENT),
            urgency: urgency?,
            hold: self.test(node.get("hold"), "item hold"),
            when: self.test(node.get("when"), "item when"),
        })
    }

    fn named_entry(&mut self, node: Option<&Node>, spot: &Spot) -> Option<usize> {
        let Some(node) = node else {
            self.problem(
                Code::MAP_KEY,
                spot,
                "`focus:` names the entry of `resources:` the item is about",
            );
            return None;
        };
        let name = node.text().unwrap_or("");
        let found = self.compiler.entries.iter().position(|known| known == name);
        if found.is_none() {
            let says = format!("no entry of `resources:` is named `{name}`");
            let problem = Problem::at(Code::MAP_ELEMENT, &node.spot, says);
            let known = self.compiler.entries.clone();
            self.compiler
                .problem(problem.did_you_mean(name, known.iter().map(String::as_str)));
        }
        found
    }
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Resource,
    Row,
    Patch,
}

/// Profiles a mapping may claim, by type; the first of a type unless it names another.
const PROFILES: &[(&str, &str)] = &[
    ("AllergyIntolerance", profile::ALLERGY_INTOLERANCE),
    ("Condition", profile::CONDITION),
    ("Condition", profile::CONDITION_DIAGNOSIS),
    ("Coverage", profile::COVERAGE),
    ("DiagnosticReport", profile::DIAGNOSTIC_REPORT_COMMON),
    ("DiagnosticReport", profile::DIAGNOSTIC_REPORT_LAB),
    ("DiagnosticReport", profile::DIAGNOSTIC_REPORT_MICROBIOLOGY),
    ("DiagnosticReport", profile::DIAGNOSTIC_REPORT_RADIOLOGY),
    ("DocumentReference", profile::DOCUMENT_REFERENCE),
    ("Encounter", profile::ENCOUNTER),
    ("Immunization", profile::IMMUNIZATION),
    ("Location", profile::LOCATION),
    (
        "MedicationAdministration",
        profile::MEDICATION_ADMINISTRATION,
    ),
    ("MedicationRequest", profile::MEDICATION_REQUEST),
    ("MedicationRequest", profile::MEDICATION_REQUEST_INJECTION),
    ("Observation", profile::OBSERVATION_COMMON),
    ("Observation", profile::OBSERVATION_LAB),
    ("Observation", profile::OBSERVATION_MICROBIOLOGY),
    ("Observation", profile::OBSERVATION_VITAL_SIGNS),
    ("Observation", profile::OBSERVATION_BODY_MEASUREMENT),
    ("Observation", profile::OBSERVATION_SOCIAL_HISTORY),
    ("Organization", profile::ORGANIZATION),
    ("Patient", profile::PATIENT),
    ("Practitioner", profile::PRACTITIONER),
    ("Procedure", profile::PROCEDURE),
    ("ServiceRequest", profile::SERVICE_REQUEST),
    ("Specimen", profile::SPECIMEN),
];
