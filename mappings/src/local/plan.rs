//! A mapping after loading: nothing is parsed, looked up or checked again while rows run through it.

use std::collections::BTreeSet;
use std::sync::Arc;

use renkei_core::draft::WithdrawReason;
use renkei_core::{Authority, ItemEvent, ResourceType};

use super::function::Function;
use super::grammar::Comparison;
use super::problem::Spot;
use super::source::{Each, Input, Path};
use super::table::Table;

/// A compiled expression.
#[derive(Debug, Clone)]
pub(crate) enum Expression {
    /// A source field, with its name for places.
    Path(Path, Arc<str>),
    Text(Box<str>),
    Number(Box<str>),
    Bool(bool),
    Call {
        function: &'static Function,
        input: Option<Box<Expression>>,
        arguments: Box<[Operand]>,
    },
    /// The first that gives something.
    Choice(Box<[Expression]>),
    Required(Box<Expression>),
}

impl Expression {
    /// Whether nothing may be found wanting: `required` stands somewhere inside.
    pub(crate) fn can_fail(&self) -> bool {
        match self {
            Self::Required(_) => true,
            Self::Choice(choices) => choices.iter().any(Self::can_fail),
            Self::Call {
                input, arguments, ..
            } => {
                let in_argument = |operand: &Operand| match operand {
                    Operand::Expression(expression) => expression.can_fail(),
                    _ => false,
                };
                input.as_deref().is_some_and(Self::can_fail) || arguments.iter().any(in_argument)
            }
            Self::Path(..) | Self::Text(_) | Self::Number(_) | Self::Bool(_) => false,
        }
    }
}

/// A compiled argument.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Expression(Expression),
    Whole(usize),
    Table(Arc<Table>),
    Column(usize),
}

/// A compiled condition.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Present(Expression, bool),
    Compare(Expression, Comparison, Expression),
    In(Expression, Vec<Expression>, bool),
    True(Expression),
    /// For some row of the draft.
    Some(Box<Test>),
}

/// What the letters of a value must be like, by the type of its element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letters {
    Any,
    /// No white space at all: `uri`, `id`, `oid`, base64.
    Solid,
    /// `code`: single blanks inside.
    Code,
    Whole,
    Positive,
    NotNegative,
}

/// A piece of the output.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Leaf {
        expression: Expression,
        letters: Letters,
    },
    Object(Vec<Member>),
    List(Vec<Body>),
    /// The first that gives something.
    First(Vec<Body>),
    Each(Each, Box<Body>),
    When(Test, Box<Body>),
}

/// One member of an object.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: Box<str>,
    /// Its definition wants at least one.
    pub(crate) required: bool,
    /// Printed as a list.
    pub(crate) many: bool,
    /// Never printed as a list.
    pub(crate) single: bool,
    /// `value[x]`: the kind of the value ends the name.
    pub(crate) is_choice: bool,
    pub(crate) body: Body,
}

/// One entry of `resources:`, `rows:` or `patch:`.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// FHIR type, or the kind of a row.
    pub(crate) shape: &'static str,
    pub(crate) kind: Option<ResourceType>,
    /// Once for each row of a draft, not once for the draft.
    pub(crate) each_row: bool,
    pub(crate) when: Option<Test>,
    pub(crate) key: Vec<Expression>,
    pub(crate) withdraw: Option<Test>,
    pub(crate) reason: WithdrawReason,
    pub(crate) preliminary: Option<Test>,
    pub(crate) authority: Authority,
    pub(crate) merge: bool,
    pub(crate) scope: Option<Expression>,
    pub(crate) time: Option<Expression>,
    pub(crate) profile: Option<Box<str>>,
    /// Holds references to what other entries make.
    pub(crate) refers: bool,
    pub(crate) body: Vec<Member>,
}

impl Body {
    /// Whether references to what entries make stand anywhere inside.
    pub(crate) fn refers(&self) -> bool {
        match self {
            Self::Leaf { .. } => false,
            Self::Object(members) => members.iter().any(|member| member.body.refers()),
            Self::List(bodies) | Self::First(bodies) => bodies.iter().any(Self::refers),
            Self::Each(Each::Made(_), _) => true,
            Self::Each(_, body) | Self::When(_, body) => body.refers(),
        }
    }
}

/// One entry of `items:`.
#[derive(Debug, Clone)]
pub(crate) struct ItemPlan {
    /// One item for each row that holds, not one for the draft.
    pub(crate) each_row: bool,
    pub(crate) class: Expression,
    pub(crate) event: ItemEvent,
    pub(crate) focus: usize,
    pub(crate) members: Vec<usize>,
    pub(crate) occurred_at: Option<Expression>,
    pub(crate) urgency: Expression,
    pub(crate) hold: Option<Test>,
    pub(crate) when: Option<Test>,
}

/// `subject:`.
#[derive(Debug, Clone)]
pub(crate) struct SubjectPlan {
    pub(crate) local_id: Expression,
    pub(crate) kana: Option<Expression>,
    pub(crate) kanji: Option<Expression>,
    pub(crate) birth_date: Option<Expression>,
    pub(crate) sex: Option<Expression>,
    pub(crate) phone: Option<Expression>,
    pub(crate) address: Option<Expression>,
}

/// Where one element of the output comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// `Observation.code.text`.
    pub element: String,
    /// The expression as written.
    pub expression: String,
    /// The source fields it reads, sorted.
    pub fields: Vec<String>,
    /// The mapping file it stands in.
    pub file: String,
    /// Its line there, from 1.
    pub line: usize,
}

/// A test beside the mapping.
#[derive(Debug, Clone)]
pub(crate) struct TestPlan {
    pub(crate) name: String,
    pub(crate) spot: Spot,
    pub(crate) input: TestInput,
    pub(crate) expect: Vec<(String, String, Spot)>,
    pub(crate) findings: Option<Vec<String>>,
}

/// What a test reads.
#[derive(Debug, Clone)]
pub(crate) enum TestInput {
    Text(String),
    File(String),
}

/// A whole mapping.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) input: Input,
    /// The mapping in Rust this one lies over.
    pub(crate) builtin: Option<&'static str>,
    pub(crate) when: Option<Test>,
    pub(crate) group: Vec<Expression>,
    pub(crate) time: Option<Expression>,
    pub(crate) subject: Option<SubjectPlan>,
    pub(crate) resources: Vec<Entry>,
    pub(crate) items: Vec<ItemPlan>,
    pub(crate) rows: Vec<Entry>,
    pub(crate) payload: Option<Body>,
    pub(crate) patches: Vec<Entry>,
    pub(crate) lineage: Vec<Lineage>,
    /// Columns that are read, by number.
    pub(crate) read_columns: BTreeSet<usize>,
    /// Fields the mapping leaves on purpose.
    pub(crate) unused: BTreeSet<String>,
    pub(crate) tests: Vec<TestPlan>,
}
