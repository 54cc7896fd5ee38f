//! A mapping file to a plan. Everything wrong with it is found here, all at once.

use std::sync::Arc;

use renkei_core::draft::WithdrawReason;
use renkei_core::{Authority, Code, ItemClass, ItemEvent, ResourceType};
use renkei_fhir::jp_core::profile;

use super::compile::Compiler;
use super::extend;
use super::kind::Kinds;
use super::library::Library;
use super::plan::{Entry, Expression, ItemPlan, Plan, SubjectPlan, Test, TestInput, TestPlan};
use super::problem::{Problem, Problems, Source, Spot};
use super::source::Input;
use super::source::decode::Encoding;
use super::table::Table;
use super::yaml::{Key, Kind, Node};
use super::{Mapping, element, layout, shape};

const KEYS: &[&str] = &[
    "map",
    "version",
    "about",
    "extends",
    "source",
    "tables",
    "subject",
    "group",
    "when",
    "time",
    "resources",
    "items",
    "rows",
    "payload",
    "patch",
    "unused",
    "tests",
];

/// Loads a mapping.
pub(crate) fn load(name: &str, text: &str, library: &dyn Library) -> Result<Mapping, Problems> {
    let source = Arc::new(Source {
        name: name.to_owned(),
        text: text.to_owned(),
    });
    let extended = extend::resolve(&source, library).map_err(|problem| Problems(vec![problem]))?;
    let root = &extended.root;
    let placeholder = Input {
        format: super::source::Format::Json { records: None },
        encoding: Encoding::Auto,
    };
    let mut compiler = Compiler::new(library, placeholder);
    let loaded = Loader {
        compiler: &mut compiler,
    }
    .mapping(root, &extended);
    let mut problems = std::mem::take(&mut compiler.problems);
    if let Some(mapping) = loaded
        && problems.is_empty()
    {
        return Ok(mapping);
    }
    problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    problems.dedup();
    if problems.is_empty() {
        // Nothing is left out without a problem; said all the same rather than lost.
        problems.push(Problem::at(
            Code::MAP_KEY,
            &root.spot,
            "the mapping cannot be used",
        ));
    }
    Err(Problems(problems))
}

struct Loader<'c, 'l> {
    compiler: &'c mut Compiler<'l>,
}

impl Loader<'_, '_> {
    fn problem(&mut self, code: Code, spot: &Spot, text: impl Into<String>) {
        self.compiler.problem(Problem::at(code, spot, text));
    }

    fn map<'n>(&mut self, node: &'n Node, known: &[&str]) -> &'n [(Key, Node)] {
        layout::known_keys(self.compiler, node, known)
    }

    fn mapping(&mut self, root: &Node, extended: &extend::Extended) -> Option<Mapping> {
        self.map(root, KEYS);
        let id = match root.get("map").and_then(Node::text) {
            Some(id) if !id.is_empty() => id.to_owned(),
            _ => {
                self.problem(
                    Code::MAP_KEY,
                    &root.spot,
                    "`map:` with the name of the mapping is missing",
                );
                String::new()
            }
        };
        let version = match root
            .get("version")
            .and_then(Node::text)
            .map(str::parse::<u32>)
        {
            None => 1,
            Some(Ok(version)) => version,
            Some(Err(_)) => {
                let spot = root.get("version").map_or(&root.spot, |node| &node.spot);
                self.problem(Code::MAP_KEY, spot, "`version` is a whole number");
                1
            }
        };
        self.tables(root);
        layout::read(
            self.compiler,
            root.get("source"),
            extended.builtin,
            &root.spot,
        )?;
        let plan = self.plan(root, extended.builtin);
        let about = root
            .get("about")
            .and_then(Node::text)
            .unwrap_or("")
            .to_owned();
        let mut parts = vec!["local mapping".to_owned()];
        parts.extend(extended.texts.iter().cloned());
        let mut tables: Vec<_> = self.compiler.tables.iter().collect();
        tables.sort_by_key(|(name, _)| name.as_str());
        for (name, table) in tables {
            parts.push(name.clone());
            parts.extend(table.as_ref().map(|table| table.to_csv()));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Some(Mapping {
            id,
            version,
            about,
            hash: renkei_core::id::hash_id(&parts),
            plan: Arc::new(plan),
        })
    }

    /// Tables written inside the mapping.
    fn tables(&mut self, root: &Node) {
        let Some(node) = root.get("tables") else {
            return;
        };
        for (key, table) in entries(node) {
            let mut pairs = Vec::new();
            for (code, to) in entries(table) {
                match to.text() {
                    Some(to) => pairs.push((code.text.clone(), to.to_owned())),
                    None => {
                        self.problem(Code::MAP_TABLE, &to.spot, "a table here holds `code: text`")
                    }
                }
            }
            if !matches!(table.kind, Kind::Map(_)) {
                self.problem(
                    Code::MAP_TABLE,
                    &table.spot,
                    "a table here holds `code: text`",
                );
            }
            let table = Arc::new(Table::of_pairs(pairs));
            self.compiler.tables.insert(key.text.clone(), Some(table));
        }
    }

    fn plan(&mut self, root: &Node, builtin: Option<&'static str>) -> Plan {
        let resources = list(root.get("resources"));
        self.compiler.entries = resources
            .iter()
            .map(|node| extend::entry_name(node))
            .collect();
        for (at, node) in resources.iter().enumerate() {
            let name = extend::entry_name(node);
            if resources[..at]
                .iter()
                .any(|other| extend::entry_name(other) == name)
            {
                let says = format!("two entries are named `{name}`; give one a `name:` of its own");
                self.problem(Code::MAP_KEY, &node.spot, says);
            }
        }
        for key in [
            "resources",
            "rows",
            "items",
            "patch",
            "tests",
            "group",
            "unused",
        ] {
            if let Some(node) = root.get(key)
                && !matches!(node.kind, Kind::List(_) | Kind::Empty)
            {
                self.problem(Code::MAP_KEY, &node.spot, format!("`{key}` is a list"));
            }
        }
        let unused = list(root.get("unused"));
        let unused = unused
            .iter()
            .filter_map(|node| node.text())
            .map(str::to_owned)
            .collect();
        let plan = Plan {
            input: self.compiler.input.clone(),
            builtin,
            when: self.test(root.get("when"), "when"),
            group: list(root.get("group"))
                .iter()
                .filter_map(|node| self.compiler.plain(node, "group", Kinds::SCALAR))
                .collect(),
            time: self.expression(root.get("time"), "time", MOMENT),
            subject: root.get("subject").and_then(|node| self.subject(node)),
            resources: resources
                .iter()
                .filter_map(|node| self.entry(node, Place::Resource))
                .collect(),
            items: list(root.get("items"))
                .iter()
                .filter_map(|node| self.item(node))
                .collect(),
            rows: list(root.get("rows"))
                .iter()
                .filter_map(|node| self.entry(node, Place::Row))
                .collect(),
            payload: root
                .get("payload")
                .and_then(|node| shape::free(self.compiler, node, "payload")),
            patches: list(root.get("patch"))
                .iter()
                .filter_map(|node| self.entry(node, Place::Patch))
                .collect(),
            tests: list(root.get("tests"))
                .iter()
                .filter_map(|node| self.beside(node))
                .collect(),
            lineage: std::mem::take(&mut self.compiler.lineage),
            read_columns: std::mem::take(&mut self.compiler.read_columns),
            unused,
        };
        self.fits_together(root, builtin);
        plan
    }

    /// What single keys cannot say.
    fn fits_together(&mut self, root: &Node, builtin: Option<&'static str>) {
        let makes_drafts = root.get("resources").is_some() || root.get("items").is_some();
        let nothing = !makes_drafts && root.get("rows").is_none() && root.get("payload").is_none();
        if nothing && root.get("patch").is_none() {
            let says = "the mapping makes nothing: `resources:`, `rows:`, `payload:` or `patch:` is missing";
            self.problem(Code::MAP_KEY, &root.spot, says);
        }
        if makes_drafts && root.get("subject").is_none() && builtin.is_none() {
            let says = "`subject:` is missing: resources belong to a patient";
            self.problem(Code::MAP_KEY, &root.spot, says);
        }
        if let Some(patch) = root.get("patch")
            && builtin.is_none()
        {
            let says = "`patch:` changes what a mapping in Rust has made: `extends: builtin/hl7v2` is missing";
            self.problem(Code::MAP_KEY, &patch.spot, says);
        }
    }

    fn test(&mut self, node: Option<&Node>, element: &str) -> Option<Test> {
        let node = node.filter(|node| !matches!(node.kind, Kind::Empty))?;
        self.compiler.test(node, element)
    }

    fn expression(
        &mut self,
        node: Option<&Node>,
        element: &str,
        takes: Kinds,
    ) -> Option<Expression> {
        let node = node.filter(|node| !matches!(node.kind, Kind::Empty))?;
        self.compiler.plain(node, element, takes)
    }

    fn subject(&mut self, node: &Node) -> Option<SubjectPlan> {
        let known = [
            "local_id",
            "kana",
            "kanji",
            "birth_date",
            "sex",
            "phone",
            "address",
        ];
        self.map(node, &known);
        let text = |loader: &mut Self, name: &str| {
            loader.expression(node.get(name), &format!("subject.{name}"), Kinds::SCALAR)
        };
        if node.get("local_id").is_none() {
            self.problem(Code::MAP_KEY, &node.spot, "`local_id` is missing");
        }
        Some(SubjectPlan {
            local_id: text(self, "local_id")?,
            kana: text(self, "kana"),
            kanji: text(self, "kanji"),
            birth_date: self.expression(node.get("birth_date"), "subject.birth_date", Kinds::DATE),
            sex: text(self, "sex"),
            phone: text(self, "phone"),
            address: text(self, "address"),
        })
    }

    /// An entry of `resources:`, `rows:` or `patch:`: one key that is a type, the others steer it.
    fn entry(&mut self, node: &Node, place: Place) -> Option<Entry> {
        let (known, types): (&[&str], Vec<&str>) = match place {
            Place::Resource => (
                &[
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
                ],
                element::resources().collect(),
            ),
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
        let mut named = all.iter().filter(|(key, _)| is_type(key));
        let (Some((key, body)), None) = (named.next(), named.next()) else {
            let says = "an entry has one key that is its type, such as `Observation:`";
            self.problem(Code::MAP_KEY, &node.spot, says);
            return None;
        };
        let Some(shape) = types.iter().copied().find(|known| *known == key.text) else {
            let problem = Problem::at(
                Code::MAP_ELEMENT,
                &key.spot,
                format!("no type is named `{}`", key.text),
            );
            self.compiler
                .problem(problem.did_you_mean(&key.text, types));
            return None;
        };
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

    fn item(&mut self, node: &Node) -> Option<ItemPlan> {
        self.map(
            node,
            &[
                "class",
                "event",
                "focus",
                "members",
                "occurred_at",
                "urgency",
                "hold",
                "when",
            ],
        );
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

    /// A test beside the mapping.
    fn beside(&mut self, node: &Node) -> Option<TestPlan> {
        self.map(node, &["name", "input", "file", "expect", "findings"]);
        let name = node
            .get("name")
            .and_then(Node::text)
            .unwrap_or("unnamed")
            .to_owned();
        let input = match (
            node.get("input").and_then(Node::text),
            node.get("file").and_then(Node::text),
        ) {
            (Some(text), None) => TestInput::Text(text.to_owned()),
            (None, Some(file)) => TestInput::File(file.to_owned()),
            _ => {
                self.problem(
                    Code::MAP_KEY,
                    &node.spot,
                    "a test has either `input:` with a text or `file:` with a name",
                );
                return None;
            }
        };
        let mut expect = Vec::new();
        for (key, value) in node.get("expect").map(entries).unwrap_or_default() {
            let text = match &value.kind {
                Kind::Empty => Some(""),
                _ => value.text(),
            };
            match text {
                Some(text) => expect.push((key.text.clone(), text.to_owned(), value.spot.clone())),
                None => self.problem(
                    Code::MAP_KEY,
                    &value.spot,
                    "what is expected is one text per path",
                ),
            }
        }
        let findings = node.get("findings").map(|node| {
            list(Some(node))
                .iter()
                .filter_map(|node| node.text())
                .map(str::to_owned)
                .collect()
        });
        for code in findings.iter().flatten() {
            let code: &String = code;
            if Code::find(code.split_whitespace().next().unwrap_or("")).is_none() {
                let spot = node.get("findings").map_or(&node.spot, |node| &node.spot);
                self.problem(Code::MAP_KEY, spot, format!("no code is named `{code}`"));
            }
        }
        Some(TestPlan {
            name,
            spot: node.spot.clone(),
            input,
            expect,
            findings,
        })
    }
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Resource,
    Row,
    Patch,
}

const MOMENT: Kinds = Kinds::DATE.or(Kinds::DATE_TIME).or(Kinds::INSTANT);

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

/// The members of a list; none for anything else.
pub(crate) fn list(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.kind) {
        Some(Kind::List(nodes)) => nodes,
        _ => &[],
    }
}

/// The entries of a map; none for anything else.
pub(crate) fn entries(node: &Node) -> &[(Key, Node)] {
    match &node.kind {
        Kind::Map(entries) => entries,
        _ => &[],
    }
}
