//! Expressions to plans: every function, arity, kind, table and field is checked here, before anything runs.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use renkei_core::{Code, limits};

use super::function::{self, Form, Function, Parameter};
use super::grammar::{self, Call, Condition, Leaf, Name, Pipe, Term, Wrong};
use super::kind::Kinds;
use super::library::Library;
use super::plan::{Expression, Lineage, Operand, Test};
use super::problem::{Problem, Spot};
use super::source::segments::FieldPath;
use super::source::{Context, Each, Format, Input, ItemPath, Path, tree};
use super::table::Table;
use super::yaml::{Kind, Node};

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

/// HL7 v2.5 segments a mapping may name, beside Z-segments.
const SEGMENTS: &str = "MSH MSA MFI MFE EVN PID PD1 NK1 PV1 PV2 DB1 OBR OBX ORC NTE AL1 IAM DG1 DRG PR1 ROL GT1 IN1 \
IN2 IN3 RXE RXR RXC RXO RXD RXA RXG TQ1 TQ2 SPM SAC PRB GOL PTH VAR CTI BLG FT1 ODS ODT ORG TXA MRG NPU SCH RGS \
AIS AIG AIL AIP ARQ ERR QRD QRF QPD RCP DSP DSC FHS BHS BTS FTS ACC UB1 UB2 PDA CON STF PRA RF1 AUT PRD CTD IPC CM0";

impl<'l> Compiler<'l> {
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

    fn call(
        &mut self,
        call: &Call,
        input: Option<(Expression, Kinds)>,
        place: Place<'_>,
    ) -> Option<(Expression, Kinds)> {
        let spot = |at: &Range<usize>| Self::spot(place.node, place.text, at);
        let Some(function) = function::find(&call.name.text) else {
            let says = format!("no function is named `{}`", call.name.text);
            let problem = Problem::at(Code::MAP_FUNCTION, &spot(&call.name.at), says);
            let names = function::all().map(|function| function.name);
            self.problem(problem.did_you_mean(&call.name.text, names));
            return None;
        };
        let begins = function.takes == Kinds::NONE;
        if begins == input.is_some() || function.name == "refs" {
            let says = match function.name {
                "refs" => "`refs` stands only after `each:`".to_owned(),
                name if begins => {
                    format!("`{name}` begins an expression, it takes nothing from the left")
                }
                name => format!("`{name}` takes a value from the left: write `value | {name}`"),
            };
            self.problem(Problem::at(Code::MAP_ARGUMENTS, &spot(&call.name.at), says));
            return None;
        }
        let arguments = self.arguments(function, call, place);
        let mut gives = function.gives;
        let mut boxed = None;
        if let Some((expression, kinds)) = input {
            if !kinds.is_within(function.takes) {
                let says = format!(
                    "`{}` takes {}, it gets {}",
                    function.name,
                    function.takes,
                    kinds.without(function.takes)
                );
                let problem = Problem::at(Code::MAP_KIND, &spot(&call.name.at), says);
                let problem = match stage_for(kinds, function.takes) {
                    Some(name) => problem.help(format!("put `{name} |` before it")),
                    None => problem,
                };
                self.problem(problem);
                return None;
            }
            if gives == Kinds::ANY {
                gives = kinds;
            }
            boxed = Some(Box::new(expression));
        }
        let call = Expression::Call {
            function,
            input: boxed,
            arguments: arguments?.into(),
        };
        Some((call, gives))
    }

    fn arguments(
        &mut self,
        function: &'static Function,
        call: &Call,
        place: Place<'_>,
    ) -> Option<Vec<Operand>> {
        let parameters = function.parameters;
        let least = parameters
            .iter()
            .filter(|parameter| !parameter.optional)
            .count();
        let is_open = parameters.last().is_some_and(|parameter| parameter.repeats);
        let count = call.arguments.len();
        let odd_pairs = function.name == "pick" && count % 2 == 1;
        if count < least.min(if function.name == "pick" { 2 } else { least })
            || (count > parameters.len() && !is_open)
            || odd_pairs
        {
            let says = if odd_pairs {
                "`pick` takes pairs of code and text".to_owned()
            } else {
                format!(
                    "`{}` takes {}, it gets {count}",
                    function.name,
                    wanted(function)
                )
            };
            let spot = Self::spot(place.node, place.text, &call.at);
            let problem = Problem::at(Code::MAP_ARGUMENTS, &spot, says);
            self.problem(problem.help(format!("write {}", usage(function))));
            return None;
        }
        let mut operands = Vec::new();
        let mut table: Option<Arc<Table>> = None;
        let mut is_wrong = false;
        for (index, leaf) in call.arguments.iter().enumerate() {
            let Some(parameter) = parameters.get(index).or(parameters.last()) else {
                break;
            };
            match self.argument(function, parameter, leaf, &mut table, place) {
                Some(operand) => operands.push(operand),
                None => is_wrong = true,
            }
        }
        (!is_wrong).then_some(operands)
    }

    fn argument(
        &mut self,
        function: &Function,
        parameter: &Parameter,
        leaf: &Leaf,
        table: &mut Option<Arc<Table>>,
        place: Place<'_>,
    ) -> Option<Operand> {
        let spot = Self::spot(place.node, place.text, &leaf.at);
        let bare = match leaf.pipes.as_slice() {
            [Pipe { head, stages }] if stages.is_empty() => Some(head),
            _ => None,
        };
        let refuse = |compiler: &mut Self, wants: &str| {
            let says = format!(
                "`{}` wants {wants} as its {}",
                function.name, parameter.name
            );
            compiler.problem(Problem::at(Code::MAP_ARGUMENTS, &spot, says));
            None
        };
        match (parameter.form, bare) {
            (Form::Value(kinds), _) => {
                let (expression, gives) = self.leaf(leaf, place)?;
                if gives.is_within(kinds) {
                    return Some(Operand::Expression(expression));
                }
                let says = format!(
                    "`{}` wants {kinds} as its {}, this gives {}",
                    function.name,
                    parameter.name,
                    gives.without(kinds)
                );
                self.problem(Problem::at(Code::MAP_KIND, &spot, says));
                None
            }
            (Form::Fixed, Some(Term::Text(text, _))) => {
                Some(Operand::Expression(Expression::Text(text.as_str().into())))
            }
            (Form::Fixed, _) => refuse(self, "a fixed text in single quotes"),
            (Form::OneOf(choices), Some(Term::Text(text, _))) => {
                if choices.contains(&text.as_str()) {
                    return Some(Operand::Expression(Expression::Text(text.as_str().into())));
                }
                refuse(self, &format!("one of '{}'", choices.join("', '")))
            }
            (Form::OneOf(choices), _) => {
                refuse(self, &format!("one of '{}'", choices.join("', '")))
            }
            (Form::Picture, Some(Term::Text(text, _))) if text.contains(['y', 'M', 'H']) => {
                Some(Operand::Expression(Expression::Text(text.as_str().into())))
            }
            (Form::Picture, _) => refuse(self, "a picture such as 'yyyy/MM/dd'"),
            (Form::Whole, Some(Term::Number(text, _))) => match text.parse::<usize>() {
                Ok(number) if number <= 9999 => Some(Operand::Whole(number)),
                _ => refuse(self, "a whole number from 0 to 9999"),
            },
            (Form::Whole, _) => refuse(self, "a whole number from 0 to 9999"),
            (Form::Table, Some(Term::Path(name))) => {
                *table = self.table(&name.text, &spot);
                table.clone().map(Operand::Table)
            }
            (Form::Table, _) => refuse(self, "the name of a table, without quotes,"),
            (Form::Column, Some(Term::Path(name))) => {
                let table = table.as_ref()?;
                if let Some(column) = table.column(&name.text) {
                    return Some(Operand::Column(column));
                }
                let says = format!("the table has no column `{}`", name.text);
                let problem = Problem::at(Code::MAP_TABLE, &spot, says);
                let columns = table.columns.iter().map(String::as_str);
                self.problem(problem.did_you_mean(&name.text, columns));
                None
            }
            (Form::Column, _) => refuse(self, "the name of a column, without quotes,"),
            (Form::Entry, _) => refuse(self, "the name of an entry of `resources:`"),
        }
    }

    /// A table by its name; a missing or broken one is a problem, once.
    fn table(&mut self, name: &str, spot: &Spot) -> Option<Arc<Table>> {
        if let Some(known) = self.tables.get(name).cloned() {
            if known.is_none() {
                let says = format!("the table `{name}` cannot be used");
                self.problem(Problem::at(Code::MAP_TABLE, spot, says));
            }
            return known;
        }
        let library = self.library;
        let Some(text) = library.table(name) else {
            let mut known = library.tables();
            known.extend(self.tables.keys().cloned());
            let problem = Problem::at(Code::MAP_TABLE, spot, format!("no table is named `{name}`"));
            self.problem(problem.did_you_mean(name, known.iter().map(String::as_str)));
            return None;
        };
        let table = match Table::parse(&text) {
            Ok(table) => Some(Arc::new(table)),
            Err(error) => {
                let says = format!("the table `{name}` cannot be used: {error}");
                self.problem(Problem::at(Code::MAP_TABLE, spot, says));
                None
            }
        };
        self.tables.insert(name.to_owned(), table.clone());
        table
    }

    /// A source field, something the mapping knows, or a part of what `each:` is at.
    fn path(&mut self, name: &Name, place: Place<'_>) -> Option<Path> {
        let spot = Self::spot(place.node, place.text, &name.at);
        let text = name.text.as_str();
        if text.starts_with('$') {
            let known = Context::NAMES.iter().find(|(known, _)| *known == text);
            if let Some((_, context)) = known {
                return Some(Path::Context(*context));
            }
            let problem = Problem::at(Code::MAP_FIELD, &spot, format!("nothing is named `{text}`"));
            self.problem(
                problem.did_you_mean(text, Context::NAMES.iter().map(|(known, _)| *known)),
            );
            return None;
        }
        let of_record = text
            .strip_prefix("./")
            .filter(|_| self.items.is_empty() && self.separator() == '/');
        if text.starts_with('.') && of_record.is_none() {
            return self.item_path(text, &spot);
        }
        let path = match &self.input.format {
            Format::Delimited(_) | Format::Sheet(_) | Format::Fixed(_) => {
                match self.columns.get(text) {
                    Some(column) => {
                        self.read_columns.insert(*column);
                        Some(Path::Column(*column))
                    }
                    None => {
                        self.no_field(text, &spot);
                        None
                    }
                }
            }
            Format::Json { .. } | Format::Xml { .. } => {
                self.tree_path(of_record.unwrap_or(text), &spot)
            }
            Format::Hl7v2 { .. } => self.field_path(text, &spot).map(Path::Field),
        }?;
        self.reads.insert(text.to_owned());
        self.read_fields.insert(text.to_owned());
        Some(path)
    }

    fn no_field(&mut self, text: &str, spot: &Spot) {
        let mut known: Vec<String> = self.columns.keys().cloned().collect();
        known.extend(self.fields.iter().flatten().cloned());
        known.sort_unstable();
        let problem = Problem::at(
            Code::MAP_FIELD,
            spot,
            format!("the source has no field `{text}`"),
        );
        let near =
            super::problem::nearest(text, known.iter().map(String::as_str)).map(str::to_owned);
        let problem = match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None if function::find(text).is_some() => {
                problem.help(format!("a function follows a value: `value | {text}`"))
            }
            None => problem.help(format!("a fixed text stands in quotes: '{text}'")),
        };
        self.problem(problem);
    }

    fn separator(&self) -> char {
        match self.input.format {
            Format::Xml { .. } => '/',
            _ => '.',
        }
    }

    fn tree_path(&mut self, text: &str, spot: &Spot) -> Option<Path> {
        let separator = self.separator();
        let (whole, rest) = match text.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let Some(mut steps) = tree::steps(rest, separator) else {
            let says = format!(
                "`{text}` is no path: names joined by `{separator}`, with `[2]` or `[name='x']`"
            );
            self.problem(Problem::at(Code::MAP_FIELD, spot, says));
            return None;
        };
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        let plain = names.join(&separator.to_string());
        if self.is_ocr {
            let (field, part) = match names.as_slice() {
                [field] => (*field, "text"),
                [field, "confidence"] => (*field, "confidence"),
                _ => (plain.as_str(), "text"),
            };
            if self
                .fields
                .as_ref()
                .is_some_and(|known| !known.contains(field))
            {
                self.no_field(field, spot);
                return None;
            }
            steps = ["fields", field, part]
                .into_iter()
                .map(|name| tree::Step {
                    name: name.to_owned(),
                    only: tree::Only::All,
                })
                .collect();
            return Some(Path::Tree { whole: true, steps });
        }
        let is_known = |known: &BTreeSet<String>| {
            let inside = |known: &String| {
                known
                    .strip_prefix(plain.as_str())
                    .is_some_and(|rest| rest.starts_with(separator))
            };
            known.contains(&plain) || known.contains(text) || known.iter().any(inside)
        };
        if self.fields.as_ref().is_some_and(|known| !is_known(known)) {
            self.no_field(&plain, spot);
            return None;
        }
        Some(Path::Tree { whole, steps })
    }

    fn field_path(&mut self, text: &str, spot: &Spot) -> Option<FieldPath> {
        let parsed = FieldPath::parse(text).filter(|path| self.knows_segment(&path.segment, spot));
        if parsed.is_none() && FieldPath::parse(text).is_none() {
            let says =
                format!("`{text}` is no HL7 field: `PID-5`, `PID-5.1`, `PID-3[2].1`, `OBX[2]-5`");
            let problem = Problem::at(Code::MAP_FIELD, spot, says);
            self.problem(problem.help(format!("a fixed text stands in quotes: '{text}'")));
        }
        parsed
    }

    fn knows_segment(&mut self, name: &str, spot: &Spot) -> bool {
        if name.starts_with('Z') || SEGMENTS.split_whitespace().any(|known| known == name) {
            return true;
        }
        let problem = Problem::at(
            Code::MAP_FIELD,
            spot,
            format!("HL7 v2.5 has no segment `{name}`"),
        );
        self.problem(problem.did_you_mean(name, SEGMENTS.split_whitespace()));
        false
    }

    fn item_path(&mut self, text: &str, spot: &Spot) -> Option<Path> {
        let rest = &text[1..];
        let Some(at) = self.items.last().copied() else {
            let says = format!(
                "`{text}` is a part of what `each:` is at, and there is no `each:` around it"
            );
            self.problem(Problem::at(Code::MAP_FIELD, spot, says));
            return None;
        };
        let path = match (at, rest) {
            (At::Node | At::Repetition | At::Text, "") => Some(ItemPath::Itself),
            (At::Node, rest) => {
                tree::steps(rest.trim_start_matches('/'), self.separator()).map(ItemPath::Tree)
            }
            (At::Segment, rest) => FieldPath::parts(rest).map(ItemPath::Field),
            (At::Repetition, rest) => FieldPath::parts(rest).and_then(|path| {
                let is_plain = path.repetition == 1 && path.subcomponent == 0;
                is_plain.then_some(ItemPath::Component(path.field, path.component))
            }),
            (At::Text, _) => None,
        };
        if path.is_none() {
            let says = format!("`{text}` is no part of what `each:` is at");
            self.problem(Problem::at(Code::MAP_FIELD, spot, says));
        }
        path.map(Path::Item)
    }

    /// What `each:` goes through, and what its body is at.
    pub(crate) fn each(&mut self, node: &Node) -> Option<(Each, At)> {
        let Some(text) = node.text() else {
            let says = format!(
                "a field that repeats is wanted here, this is {}",
                node.what()
            );
            self.problem(Problem::at(Code::MAP_KEY, &node.spot, says));
            return None;
        };
        if let Some(entry) = text
            .strip_prefix("refs(")
            .and_then(|rest| rest.strip_suffix(')'))
        {
            let entry = entry.trim();
            if let Some(at) = self.entries.iter().position(|known| known == entry) {
                return Some((Each::Made(at), At::Text));
            }
            let problem = Problem::at(
                Code::MAP_ELEMENT,
                &node.spot,
                format!("no entry of `resources:` is named `{entry}`"),
            );
            let known = self.entries.clone();
            self.problem(problem.did_you_mean(entry, known.iter().map(String::as_str)));
            return None;
        }
        let separator = self.separator();
        match &self.input.format {
            Format::Json { .. } | Format::Xml { .. } => {
                let (rest, item) = match text.strip_prefix('.') {
                    Some(rest) => (rest.trim_start_matches('/'), true),
                    None => (text, false),
                };
                if item {
                    if self.items.last() == Some(&At::Node)
                        && let Some(steps) = tree::steps(rest, separator)
                    {
                        return Some((Each::ItemTree(steps), At::Node));
                    }
                    let says = format!("`{text}` is no part of what `each:` is at");
                    self.problem(Problem::at(Code::MAP_FIELD, &node.spot, says));
                    return None;
                }
                let Path::Tree { whole, steps } = self.tree_path(text, &node.spot)? else {
                    return None;
                };
                self.read_fields.insert(text.to_owned());
                Some((Each::Tree { whole, steps }, At::Node))
            }
            Format::Hl7v2 { .. } => {
                if let Some(rest) = text.strip_prefix('.') {
                    let path =
                        FieldPath::parts(rest).filter(|_| self.items.last() == Some(&At::Segment));
                    if let Some(path) = path {
                        return Some((Each::Repetitions(path), At::Repetition));
                    }
                } else if text.len() == 3 && !text.contains('-') {
                    return self
                        .knows_segment(text, &node.spot)
                        .then(|| (Each::Segments(text.to_owned()), At::Segment));
                } else if let Some(path) = self.field_path(text, &node.spot) {
                    self.read_fields.insert(text.to_owned());
                    return Some((Each::Repetitions(path), At::Repetition));
                } else {
                    return None;
                }
                let says = format!("`{text}` is no segment or field that repeats");
                self.problem(Problem::at(Code::MAP_FIELD, &node.spot, says));
                None
            }
            _ => {
                let says = "rows have no parts that repeat; `each: row` stands beside a resource, `each: refs(name)` inside one";
                self.problem(Problem::at(Code::MAP_FIELD, &node.spot, says));
                None
            }
        }
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
    .filter(|_| takes != Kinds::ANY)
}

/// How many arguments a function takes, in words.
fn wanted(function: &Function) -> String {
    let most = function.parameters.len();
    let least = function
        .parameters
        .iter()
        .filter(|parameter| !parameter.optional)
        .count();
    let is_open = function
        .parameters
        .last()
        .is_some_and(|parameter| parameter.repeats);
    let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
    match (least, most) {
        (_, 0) => "no arguments".to_owned(),
        (least, _) if is_open => format!("{least} or more {}", plural(2)),
        (least, most) if least == most => format!("{most} {}", plural(most)),
        (least, most) => format!("{least} to {most} {}", plural(most)),
    }
}

/// `value | pad(width, [with])`
pub(crate) fn usage(function: &Function) -> String {
    let mut text = String::new();
    if function.takes != Kinds::NONE {
        text.push_str("value | ");
    }
    text.push_str(function.name);
    if !function.parameters.is_empty() {
        let names: Vec<String> = function
            .parameters
            .iter()
            .map(|parameter| {
                let name = match parameter.form {
                    Form::Fixed | Form::OneOf(_) | Form::Picture => format!("'{}'", parameter.name),
                    _ => parameter.name.to_owned(),
                };
                let name = if parameter.repeats {
                    format!("{name}, …")
                } else {
                    name
                };
                if parameter.optional {
                    format!("[{name}]")
                } else {
                    name
                }
            })
            .collect();
        text.push_str(&format!("({})", names.join(", ")));
    }
    text
}
