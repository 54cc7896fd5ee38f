//! Expressions to plans: every function, arity, kind, table and field is checked here, before anything runs.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use renkei_core::{Code, limits};

use super::function;
use super::grammar::{self, Condition, Leaf, Pipe, Term, Wrong};
use super::kind::Kinds;
use super::library::Library;
use super::plan::{Expression, Lineage, Test};
use super::problem::{Problem, Spot};
use super::source::{Context, Input, Path};
use super::table::Table;
use super::yaml::{Kind, Node};

mod calls;
mod fields;

pub(crate) use calls::usage;

/// What `each:` is at while its body is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Node,
    Segment,
    Repetition,
    Text,
}

/// What is known while a mapping is compiled, and what was found wrong.
pub(crate) struct Compiler<'l> {
    pub(crate) library: &'l dyn Library,
    pub(crate) problems: Vec<Problem>,
    pub(crate) input: Input,
    pub(crate) columns: HashMap<String, usize>,
    /// Fields of a document, when the mapping lists them.
    pub(crate) fields: Option<BTreeSet<String>>,
    pub(crate) is_ocr: bool,
    /// Names of the entries of `resources:`.
    pub(crate) entries: Vec<String>,
    pub(crate) tables: HashMap<String, Option<Arc<Table>>>,
    pub(crate) items: Vec<At>,
    pub(crate) lineage: Vec<Lineage>,
    pub(crate) read_columns: BTreeSet<usize>,
    pub(crate) read_fields: BTreeSet<String>,
    /// Fields of the expression being compiled.
    reads: BTreeSet<String>,
}

impl<'l> Compiler<'l> {
    /// The hash of a file of `kind`: of its texts, and of every table it asks.
    pub(crate) fn hash(&self, kind: &str, texts: &[String]) -> String {
        let mut parts = vec![kind.to_owned()];
        parts.extend(texts.iter().cloned());
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_by_key(|(name, _)| name.as_str());
        for (name, table) in tables {
            parts.push(name.clone());
            parts.extend(table.as_ref().map(|table| table.to_csv()));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        renkei_core::id::hash_id(&parts)
    }

    pub(crate) fn new(library: &'l dyn Library, input: Input) -> Self {
        Self {
            library,
            problems: Vec::new(),
            input,
            columns: HashMap::new(),
            fields: None,
            is_ocr: false,
            entries: Vec::new(),
            tables: HashMap::new(),
            items: Vec::new(),
            lineage: Vec::new(),
            read_columns: BTreeSet::new(),
            read_fields: BTreeSet::new(),
            reads: BTreeSet::new(),
        }
    }

    pub(crate) fn problem(&mut self, problem: Problem) {
        if self.problems.len() < limits::MAPPING_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// The place of a stretch of an expression.
    fn spot(node: &Node, text: &str, at: &Range<usize>) -> Spot {
        let source = &node.spot.source.text;
        let written = source.get(node.spot.start..node.spot.end).unwrap_or("");
        match written.find(text) {
            Some(offset) if !text.is_empty() => node
                .spot
                .part(offset + at.start, offset + at.end.max(at.start)),
            _ => node.spot.clone(),
        }
    }

    fn wrong(&mut self, node: &Node, text: &str, wrong: Wrong) {
        let spot = Self::spot(node, text, &wrong.at);
        let mut problem = Problem::at(wrong.code, &spot, wrong.text);
        problem.help = wrong.help;
        let behind = node.spot.source.text.get(node.spot.end..).unwrap_or("");
        if problem.help.is_none() && behind.starts_with(',') {
            let help = "inside `[…]` and `{…}` of YAML a comma ends the expression: write it in a line of its own";
            problem.help = Some(help.to_owned());
        }
        self.problem(problem);
    }

    /// Compiles the expression of a node and notes its lineage under `element`; `takes` is what may come out.
    pub(crate) fn expression(
        &mut self,
        node: &Node,
        element: &str,
        takes: Kinds,
    ) -> Option<(Expression, Kinds)> {
        let Kind::Text { text, quoted } = &node.kind else {
            let says = format!("an expression is wanted here, this is {}", node.what());
            self.problem(Problem::at(Code::MAP_KEY, &node.spot, says));
            return None;
        };
        if *quoted {
            return Some((Expression::Text(text.as_str().into()), Kinds::TEXT));
        }
        let leaf = match grammar::leaf(text) {
            Ok(leaf) => leaf,
            Err(wrong) => {
                self.wrong(node, text, wrong);
                return None;
            }
        };
        self.reads.clear();
        let place = Place { node, text };
        let (expression, kinds) = self.leaf(&leaf, place)?;
        if !kinds.is_within(takes) {
            let spot = Self::spot(node, text, &leaf.at);
            let says = format!(
                "`{element}` wants {takes}, this gives {}",
                kinds.without(takes)
            );
            let problem = Problem::at(Code::MAP_KIND, &spot, says);
            let problem = match stage_for(kinds, takes) {
                Some(name) if leaf.pipes.len() > 1 => problem.help(format!(
                    "every alternative must give it, and `|` binds closer than `??`: `(a ?? b) | {name}`"
                )),
                Some(name) => problem.help(format!("add `| {name}`")),
                None => problem,
            };
            self.problem(problem);
            return None;
        }
        self.note(element, node, text);
        Some((expression, kinds))
    }

    /// An expression whose text is a condition's or key's, always unquoted.
    pub(crate) fn plain(&mut self, node: &Node, element: &str, takes: Kinds) -> Option<Expression> {
        self.expression(node, element, takes)
            .map(|(expression, _)| expression)
    }

    fn note(&mut self, element: &str, node: &Node, text: &str) {
        let fields: Vec<String> = std::mem::take(&mut self.reads).into_iter().collect();
        self.lineage.push(Lineage {
            element: element.to_owned(),
            expression: text.to_owned(),
            fields,
            file: node.spot.source.name.clone(),
            line: node.spot.line(),
        });
    }

    /// Compiles a condition.
    pub(crate) fn test(&mut self, node: &Node, element: &str) -> Option<Test> {
        let Kind::Text { text, .. } = &node.kind else {
            let says = format!("a condition is wanted here, this is {}", node.what());
            self.problem(Problem::at(Code::MAP_KEY, &node.spot, says));
            return None;
        };
        let condition = match grammar::condition(text) {
            Ok(condition) => condition,
            Err(wrong) => {
                self.wrong(node, text, wrong);
                return None;
            }
        };
        self.reads.clear();
        let test = self.condition(&condition, Place { node, text });
        self.note(element, node, text);
        test
    }

    fn condition(&mut self, condition: &Condition, place: Place<'_>) -> Option<Test> {
        let many = |compiler: &mut Self, parts: &[Condition]| -> Option<Vec<Test>> {
            let tests: Vec<Option<Test>> = parts
                .iter()
                .map(|part| compiler.condition(part, place))
                .collect();
            tests.into_iter().collect()
        };
        Some(match condition {
            Condition::All(parts) => Test::All(many(self, parts)?),
            Condition::Any(parts) => Test::Any(many(self, parts)?),
            Condition::Not(part) => Test::Not(Box::new(self.condition(part, place)?)),
            Condition::Some(inner) => Test::Some(Box::new(self.condition(inner, place)?)),
            Condition::Present(leaf, present) => Test::Present(self.leaf(leaf, place)?.0, *present),
            Condition::Compare(left, comparison, right) => {
                let (left, right) = (self.scalar(left, place), self.scalar(right, place));
                Test::Compare(left?, *comparison, right?)
            }
            Condition::In(leaf, choices, within) => {
                let leaf = self.scalar(leaf, place);
                let choices: Vec<_> = choices
                    .iter()
                    .map(|choice| self.scalar(choice, place))
                    .collect();
                Test::In(leaf?, choices.into_iter().collect::<Option<_>>()?, *within)
            }
            Condition::True(leaf) => {
                let (expression, kinds) = self.leaf(leaf, place)?;
                if !kinds.is_within(Kinds::BOOL) {
                    let spot = Self::spot(place.node, place.text, &leaf.at);
                    let says = format!("a condition wants true or false, this gives {kinds}");
                    let help = "write `… is present` or `… = 'value'`";
                    self.problem(Problem::at(Code::MAP_KIND, &spot, says).help(help));
                    return None;
                }
                Test::True(expression)
            }
        })
    }

    fn scalar(&mut self, leaf: &Leaf, place: Place<'_>) -> Option<Expression> {
        let (expression, kinds) = self.leaf(leaf, place)?;
        if !kinds.is_within(Kinds::SCALAR) {
            let spot = Self::spot(place.node, place.text, &leaf.at);
            let says = format!("only texts, numbers and dates are compared, this gives {kinds}");
            self.problem(Problem::at(Code::MAP_KIND, &spot, says));
            return None;
        }
        Some(expression)
    }

    fn leaf(&mut self, leaf: &Leaf, place: Place<'_>) -> Option<(Expression, Kinds)> {
        let pipes: Vec<_> = leaf
            .pipes
            .iter()
            .map(|pipe| self.pipe(pipe, place))
            .collect();
        let pipes: Option<Vec<_>> = pipes.into_iter().collect();
        let mut pipes = pipes?;
        if pipes.len() == 1 {
            return pipes.pop();
        }
        let kinds = pipes
            .iter()
            .fold(Kinds::NONE, |all, (_, kinds)| all.or(*kinds));
        let choices = pipes
            .into_iter()
            .map(|(expression, _)| expression)
            .collect();
        Some((Expression::Choice(choices), kinds))
    }

    fn pipe(&mut self, pipe: &Pipe, place: Place<'_>) -> Option<(Expression, Kinds)> {
        let mut current = match &pipe.head {
            Term::Path(name) => self.path(name, place).map(|path| {
                let kinds = match path {
                    Path::Context(Context::ReceivedAt | Context::Time) => Kinds::INSTANT,
                    Path::Context(Context::Row) => Kinds::NUMBER,
                    _ => Kinds::TEXT,
                };
                (Expression::Path(path, name.text.as_str().into()), kinds)
            }),
            Term::Text(text, _) => Some((Expression::Text(text.as_str().into()), Kinds::TEXT)),
            Term::Number(text, _) => {
                Some((Expression::Number(text.as_str().into()), Kinds::NUMBER))
            }
            Term::Bool(flag, _) => Some((Expression::Bool(*flag), Kinds::BOOL)),
            Term::Call(call) => self.call(call, None, place),
            Term::Group(leaf) => self.leaf(leaf, place),
        };
        for stage in &pipe.stages {
            if stage.name.text == "required" && stage.arguments.is_empty() {
                current =
                    current.map(|(inner, kinds)| (Expression::Required(Box::new(inner)), kinds));
                continue;
            }
            // A stage behind a wrong one is checked all the same, as if it got what it takes.
            let found = function::find(&stage.name.text);
            let input = current.or(found.map(|function| (Expression::Bool(false), function.takes)));
            let is_wrong = input.is_none();
            let called = self.call(stage, input, place);
            current = if is_wrong { None } else { called };
        }
        current
    }
}

/// The node and text an expression was read from.
#[derive(Clone, Copy)]
struct Place<'n> {
    node: &'n Node,
    text: &'n str,
}

/// The function that most often is missing between two kinds.
fn stage_for(gives: Kinds, takes: Kinds) -> Option<&'static str> {
    let is_text = gives.is_within(Kinds::SCALAR);
    [
        (Kinds::DATE_TIME, "datetime"),
        (Kinds::DATE, "date"),
        (Kinds::INSTANT, "instant"),
        (Kinds::NUMBER, "number"),
        (Kinds::BOOL, "yes('1')"),
        (Kinds::TIME, "time"),
        (Kinds::CONCEPT, "concept"),
        (Kinds::CODING, "coding('system')"),
        (Kinds::QUANTITY, "quantity('unit')"),
        (Kinds::RANGE, "range('unit')"),
        (Kinds::REFERENCE, "reference('Type', 'system')"),
        (Kinds::IDENTIFIER, "identifier('system')"),
        (Kinds::NAME, "name('IDE')"),
        (Kinds::CONTACT, "contact('phone')"),
        (Kinds::ADDRESS, "address"),
        (Kinds::RESULT, "result('unit')"),
        (Kinds::NOTE, "note"),
    ]
    .into_iter()
    .find(|(kind, _)| kind.is_within(takes) && (is_text || *kind == Kinds::CONCEPT))
    .map(|(_, name)| name)
    .filter(|name| takes != Kinds::ANY && accepts(name, gives))
}

/// Whether the function of a stage such as `yes('1')` takes these kinds.
fn accepts(stage: &str, gives: Kinds) -> bool {
    let name = stage.split('(').next().unwrap_or(stage);
    function::find(name).is_some_and(|function| gives.is_within(function.takes))
}
