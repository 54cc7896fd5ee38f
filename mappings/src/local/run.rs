//! A plan over one record: expressions, conditions and bodies to values.
//!
//! The null rule: nothing in, nothing out; nothing where something is required is a finding and leaves out the
//! smallest thing that needs it.

use std::borrow::Cow;
use std::collections::HashSet;

use renkei_core::{Code, Finding, Severity, limits};

use super::function::{Argument, Ask, Remark};
use super::grammar::Comparison;
use super::kind::Kinds;
use super::plan::{Body, Expression, Letters, Member, Operand, Plan, Test};
use super::shape;
use super::source::segments::FieldPath;
use super::source::{Context, Doc, Each, Item, Path};
use super::value::{Out, Value};
use crate::Options;

/// Arguments of a call that are kept on the stack.
const FEW: usize = 4;

/// What is known beside the input while a draft is made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) local_id: String,
    pub(crate) patient: String,
    pub(crate) id: String,
    pub(crate) received_at: String,
    pub(crate) time: String,
    pub(crate) file: String,
}

/// A plan at work.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) doc: &'a Doc<'a>,
    pub(crate) options: &'a Options,
    pub(crate) known: Known,
    pub(crate) record: usize,
    /// The records of the draft being made.
    pub(crate) rows: Vec<usize>,
    /// References made so far, per entry of `resources:`.
    pub(crate) made: Vec<Vec<String>>,
    pub(crate) findings: Vec<Finding>,
    items: Vec<Item<'a>>,
    remarks: Vec<Remark>,
    /// Source fields asked for and found with something.
    asked: usize,
    got: usize,
    /// Something marked as required was nothing.
    failed: bool,
    nodes: usize,
    dropped: usize,
    /// What was said of which place: said once, however often the place is read.
    said: HashSet<(Code, String)>,
}

/// What became of a body.
pub(crate) enum Made<'a> {
    Nothing,
    Value(Value<'a>),
    /// Something it needs was nothing; reported already.
    Missing,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        doc: &'a Doc<'a>,
        options: &'a Options,
        known: Known,
    ) -> Self {
        Self {
            plan,
            doc,
            options,
            known,
            record: 0,
            rows: Vec::new(),
            made: vec![Vec::new(); plan.resources.len()],
            findings: Vec::new(),
            items: Vec::new(),
            remarks: Vec::new(),
            asked: 0,
            got: 0,
            failed: false,
            nodes: 0,
            dropped: 0,
            said: HashSet::new(),
        }
    }

    /// Adds a finding, once for its place; beyond the limit they are counted.
    pub(crate) fn find(&mut self, finding: Finding) {
        if !self.said.insert((finding.code, finding.at.clone())) {
            return;
        }
        if self.findings.len() < limits::LOCAL_FINDINGS {
            self.findings.push(finding);
        } else {
            self.dropped += 1;
        }
    }

    /// All findings, the last one counting those beyond the limit.
    pub(crate) fn take_findings(&mut self) -> Vec<Finding> {
        let mut findings = std::mem::take(&mut self.findings);
        if self.dropped > 0 {
            let says = format!("{} more findings are not listed", self.dropped);
            findings.push(Finding::new(Code::MAP_LIMIT, Severity::Warning, "draft").saying(says));
            self.dropped = 0;
        }
        findings
    }

    /// Whether a part marked as required was nothing since this was asked last.
    pub(crate) fn has_failed(&mut self) -> bool {
        std::mem::take(&mut self.failed)
    }

    /// The text of an expression; empty for nothing.
    pub(crate) fn text(&mut self, expression: &'a Expression) -> String {
        self.value(expression).into_text().into_owned()
    }

    /// `row 3 column 検査日`, `OBX[2]-5`.
    pub(crate) fn place(&self, expression: Option<&Expression>) -> String {
        let place = self.doc.place(self.record);
        let Some(label) = expression.and_then(label) else {
            return place;
        };
        match self.doc {
            Doc::Rows(_) => format!("{place} column {label}"),
            Doc::Tree { .. } => format!("{place} {label}"),
            Doc::Segments(segments) => FieldPath::parse(label)
                .and_then(|path| {
                    Some((
                        segments.segment(self.record, &path.segment, path.occurrence)?,
                        path,
                    ))
                })
                .map_or(place, |(segment, path)| segment.at(path.field)),
        }
    }

    /// Evaluates an expression.
    pub(crate) fn value(&mut self, expression: &'a Expression) -> Value<'a> {
        match expression {
            Expression::Path(path, _) => self.path(path),
            Expression::Text(text) => Value::Text(Cow::Borrowed(text)),
            Expression::Number(text) => Value::Number(Cow::Borrowed(text)),
            Expression::Bool(flag) => Value::Bool(*flag),
            Expression::Choice(choices) => choices
                .iter()
                .map(|choice| self.value(choice))
                .find(|value| !value.is_nothing())
                .unwrap_or(Value::Nothing),
            Expression::Required(inner) => {
                let value = self.value(inner);
                if value.is_nothing() {
                    let at = self.place(Some(inner));
                    self.find(Finding::new(Code::MAP_REQUIRED_EMPTY, Severity::Error, at));
                    self.failed = true;
                }
                value
            }
            Expression::Call {
                function,
                input,
                arguments,
            } => {
                let given = match input {
                    Some(input) => self.value(input),
                    None => Value::Nothing,
                };
                if given.is_nothing() && function.takes != Kinds::NONE {
                    return Value::Nothing;
                }
                // Nearly every call has few arguments: they need no memory of their own.
                let mut few = [const { Argument::Whole(0) }; FEW];
                let many: Vec<Argument<'a>>;
                let arguments = if let Some(few) = few.get_mut(..arguments.len()) {
                    for (place, operand) in few.iter_mut().zip(arguments) {
                        *place = self.argument(operand);
                    }
                    &*few
                } else {
                    let all = arguments.iter().map(|operand| self.argument(operand));
                    many = all.collect();
                    &many
                };
                let mut ask = Ask {
                    arguments,
                    options: self.options,
                    remarks: &mut self.remarks,
                };
                let value = (function.run)(given, &mut ask);
                if !self.remarks.is_empty() {
                    self.report(expression);
                }
                if value.as_text().len() > limits::LOCAL_VALUE_BYTES {
                    let at = self.place(Some(expression));
                    self.find(Finding::new(Code::MAP_LIMIT, Severity::Error, at));
                    return Value::Nothing;
                }
                value
            }
        }
    }

    /// What a function remarked, as findings with their place.
    #[cold]
    fn report(&mut self, expression: &Expression) {
        let at = self.place(Some(expression));
        for remark in std::mem::take(&mut self.remarks) {
            let severity = match remark.code {
                Code::MAP_RANGE_AS_TEXT | Code::MAP_UNKNOWN_UNIT => Severity::Info,
                _ => Severity::Warning,
            };
            self.find(Finding::new(remark.code, severity, at.clone()).with_value(remark.value));
        }
    }

    fn argument(&mut self, operand: &'a Operand) -> Argument<'a> {
        match operand {
            Operand::Expression(expression) => Argument::Value(self.value(expression)),
            Operand::Whole(number) => Argument::Whole(*number),
            Operand::Table(table) => Argument::Table(table),
            Operand::Column(column) => Argument::Column(*column),
        }
    }

    fn path(&mut self, path: &'a Path) -> Value<'a> {
        if let Path::Context(context) = path {
            return Value::text(self.context(*context));
        }
        self.asked += 1;
        let doc: &'a Doc<'a> = self.doc;
        if let (Doc::Rows(rows), Path::Column(column)) = (doc, path) {
            // Cells have no blanks at their ends.
            return match rows.cell(self.record, *column) {
                "" => Value::Nothing,
                cell => {
                    self.got += 1;
                    Value::Text(Cow::Borrowed(cell))
                }
            };
        }
        let text = match self.items.last() {
            Some(item) => Cow::Owned(doc.get(self.record, Some(item), path).into_owned()),
            None => doc.get(self.record, None, path),
        };
        let value = Value::text(text);
        self.got += usize::from(!value.is_nothing());
        value
    }

    fn context(&self, context: Context) -> String {
        match context {
            Context::Facility => self.options.facility.as_str().to_owned(),
            Context::LocalId => self.known.local_id.clone(),
            Context::Patient => self.known.patient.clone(),
            Context::Id => self.known.id.clone(),
            Context::Row => (self.record + 1).to_string(),
            Context::ReceivedAt => self.known.received_at.clone(),
            Context::Time => self.known.time.clone(),
            Context::File => self.known.file.clone(),
        }
    }

    /// Whether a condition holds. What it reads makes no element.
    pub(crate) fn test(&mut self, test: &'a Test) -> bool {
        let counted = (self.asked, self.got);
        let holds = self.holds(test);
        (self.asked, self.got) = counted;
        holds
    }

    fn holds(&mut self, test: &'a Test) -> bool {
        match test {
            Test::All(parts) => parts.iter().all(|part| self.holds(part)),
            Test::Any(parts) => parts.iter().any(|part| self.holds(part)),
            Test::Not(part) => !self.holds(part),
            Test::Present(expression, present) => self.value(expression).is_nothing() != *present,
            Test::True(expression) => matches!(self.value(expression), Value::Bool(true)),
            Test::In(expression, choices, within) => {
                let value = self.value(expression);
                let found = choices
                    .iter()
                    .any(|choice| self.value(choice).as_text() == value.as_text());
                (!value.is_nothing() && found) == *within
            }
            Test::Compare(left, comparison, right) => {
                let (left, right) = (self.value(left), self.value(right));
                compare(&left, *comparison, &right)
            }
            Test::Some(part) => {
                let here = self.record;
                let rows = self.rows.clone();
                let holds = rows.iter().any(|row| {
                    self.record = *row;
                    self.holds(part)
                });
                self.record = here;
                holds
            }
        }
    }

    /// The members of a resource or row.
    pub(crate) fn members(
        &mut self,
        members: &'a [Member],
    ) -> Option<Vec<(Cow<'a, str>, Out<'a>)>> {
        let mut all = Vec::with_capacity(members.len() + 3);
        for member in members {
            let value = match self.body(&member.body) {
                Made::Value(value) => value,
                Made::Missing if member.required => return None,
                Made::Nothing if member.required => {
                    let at = self.place(None);
                    let says = format!("`{}` is required and there is nothing for it", member.name);
                    self.find(
                        Finding::new(Code::MAP_REQUIRED_EMPTY, Severity::Error, at).saying(says),
                    );
                    return None;
                }
                Made::Nothing | Made::Missing => continue,
            };
            let name = match (&value, member.is_choice) {
                (Value::Result(ending, _), true) => Cow::Owned(format!("{}{ending}", member.name)),
                _ => Cow::Borrowed(&*member.name),
            };
            let Some(mut out) = value.into_out() else {
                continue;
            };
            if member.many && !matches!(out, Out::List(_)) {
                out = Out::List(vec![out]);
            } else if member.single
                && let Out::List(values) = out
            {
                // An `each:` where one value stands: the first counts.
                match values.into_iter().next() {
                    Some(first) => out = first,
                    None => continue,
                }
            }
            all.push((name, out));
        }
        Some(all)
    }

    /// Evaluates a body.
    pub(crate) fn body(&mut self, body: &'a Body) -> Made<'a> {
        self.nodes += 1;
        if self.nodes >= limits::LOCAL_OUTPUT_NODES {
            if self.nodes == limits::LOCAL_OUTPUT_NODES {
                let at = self.place(None);
                self.find(Finding::new(Code::MAP_LIMIT, Severity::Error, at));
            }
            return Made::Nothing;
        }
        match body {
            Body::Leaf {
                expression,
                letters,
            } => self.leaf(expression, *letters),
            Body::Object(members) => {
                let (asked, got) = (self.asked, self.got);
                let Some(all) = self.members(members) else {
                    return Made::Missing;
                };
                // Fixed texts alone make no element when fields were asked and none had anything.
                let is_resource = members
                    .first()
                    .is_some_and(|first| &*first.name == "resourceType");
                let is_hollow = !is_resource && self.asked > asked && self.got == got;
                if all.is_empty() || is_hollow {
                    return Made::Nothing;
                }
                Made::Value(Value::Tree(Box::new(Out::Object(all))))
            }
            Body::List(bodies) => {
                let mut all = Vec::new();
                for body in bodies {
                    match self.body(body) {
                        Made::Value(value) => match value.into_out() {
                            Some(Out::List(values)) => all.extend(values),
                            Some(out) => all.push(out),
                            None => {}
                        },
                        Made::Nothing | Made::Missing => {}
                    }
                }
                listed(all)
            }
            Body::First(bodies) => {
                for body in bodies {
                    match self.body(body) {
                        Made::Nothing => {}
                        found => return found,
                    }
                }
                Made::Nothing
            }
            Body::When(test, body) => {
                if self.test(test) {
                    self.body(body)
                } else {
                    Made::Nothing
                }
            }
            Body::Each(each, body) => self.each(each, body),
        }
    }

    fn leaf(&mut self, expression: &'a Expression, letters: Letters) -> Made<'a> {
        let value = self.value(expression);
        if self.has_failed() {
            return Made::Missing;
        }
        if letters != Letters::Any && !value.is_nothing() && !shape::fits(letters, value.as_text())
        {
            let at = self.place(Some(expression));
            let finding = Finding::new(Code::MAP_VALUE_REFUSED, Severity::Warning, at);
            self.find(finding.with_value(value.as_text()));
            return Made::Nothing;
        }
        match value {
            Value::Nothing => Made::Nothing,
            value => Made::Value(value),
        }
    }

    fn each(&mut self, each: &'a Each, body: &'a Body) -> Made<'a> {
        let items: Vec<Item<'a>> = match each {
            Each::Made(entry) => {
                let made = self.made.get(*entry).cloned().unwrap_or_default();
                made.into_iter()
                    .map(|reference| Item::Text(Cow::Owned(reference)))
                    .collect()
            }
            each => {
                let doc: &'a Doc<'a> = self.doc;
                let item = self.items.last().cloned();
                match &item {
                    None => doc.items(self.record, None, each),
                    Some(Item::Node(node)) => {
                        doc.items(self.record, Some(&Item::Node(*node)), each)
                    }
                    Some(Item::Segment(at)) => {
                        doc.items(self.record, Some(&Item::Segment(*at)), each)
                    }
                    Some(_) => Vec::new(),
                }
            }
        };
        let mut all = Vec::new();
        for item in items {
            self.items.push(item);
            let made = self.body(body);
            self.items.pop();
            if let Made::Value(value) = made {
                all.extend(value.into_out());
            }
        }
        listed(all)
    }
}

fn listed(all: Vec<Out<'_>>) -> Made<'_> {
    if all.is_empty() {
        Made::Nothing
    } else {
        Made::Value(Value::Tree(Box::new(Out::List(all))))
    }
}

/// The first source field of an expression.
fn label(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::Path(_, name) => Some(name),
        Expression::Required(inner) => label(inner),
        Expression::Choice(choices) => choices.iter().find_map(label),
        Expression::Call {
            input, arguments, ..
        } => input.as_deref().and_then(label).or_else(|| {
            arguments.iter().find_map(|operand| match operand {
                Operand::Expression(expression) => label(expression),
                _ => None,
            })
        }),
        Expression::Text(_) | Expression::Number(_) | Expression::Bool(_) => None,
    }
}

/// Numbers by their size when both are numbers, everything else by its letters; nothing is equal to nothing
/// only, and neither less nor greater.
fn compare(left: &Value<'_>, comparison: Comparison, right: &Value<'_>) -> bool {
    if left.is_nothing() || right.is_nothing() {
        let both = left.is_nothing() && right.is_nothing();
        return match comparison {
            Comparison::Equal => both,
            Comparison::Unequal => !both,
            _ => false,
        };
    }
    let (a, b) = (left.as_text(), right.as_text());
    let is_number = |value: &Value<'_>| matches!(value, Value::Number(_));
    let order = if is_number(left) || is_number(right) {
        match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a.partial_cmp(&b),
            _ => None,
        }
    } else {
        Some(a.cmp(b))
    };
    match (comparison, order) {
        (Comparison::Equal, Some(order)) => order.is_eq(),
        (Comparison::Unequal, Some(order)) => order.is_ne(),
        (Comparison::Unequal, None) => true,
        (Comparison::Less, Some(order)) => order.is_lt(),
        (Comparison::LessOrEqual, Some(order)) => order.is_le(),
        (Comparison::Greater, Some(order)) => order.is_gt(),
        (Comparison::GreaterOrEqual, Some(order)) => order.is_ge(),
        (_, None) => false,
    }
}
