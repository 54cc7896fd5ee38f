//! A mapping file to a plan. Everything wrong with it is found here, all at once.

use std::sync::Arc;

use renkei_core::Code;

use super::compile::Compiler;
use super::extend;
use super::kind::Kinds;
use super::library::Library;
use super::plan::{Expression, Plan, SubjectPlan, Test, TestInput, TestPlan};
use super::problem::{Problem, Problems, Source, Spot};
use super::source::Input;
use super::source::decode::Encoding;
use super::table::Table;
use super::yaml::{Key, Kind, Node};
use super::{Mapping, layout, shape};

mod entries;

use entries::Place;
pub(in crate::local) use entries::{ITEM_KEYS, RESOURCE_KEYS};

/// What a subject may say.
pub(in crate::local) const SUBJECT: &[&str] = &[
    "local_id",
    "kana",
    "kanji",
    "birth_date",
    "sex",
    "phone",
    "address",
];

/// Keys of a mapping.
pub(in crate::local) const KEYS: &[&str] = &[
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
    let extended = extend::resolve(&source, library).map_err(|problem| Problems(vec![*problem]))?;
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

/// Tables written inside a file.
pub(in crate::local) fn tables(compiler: &mut Compiler<'_>, root: &Node) {
    Loader { compiler }.tables(root);
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
        let hash = self.compiler.hash("local mapping", &extended.texts);
        Some(Mapping {
            id,
            version,
            about,
            hash,
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
        self.compiler.entries = resources.iter().map(extend::entry_name).collect();
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
        self.map(node, SUBJECT);
        if !matches!(node.kind, Kind::Map(_)) {
            return None;
        }
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

const MOMENT: Kinds = Kinds::DATE.or(Kinds::DATE_TIME).or(Kinds::INSTANT);

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
