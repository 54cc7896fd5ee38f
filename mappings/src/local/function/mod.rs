//! The functions of the language: a closed list, each with its kinds, a sentence and examples that run as
//! tests. They never fail: what cannot be read gives nothing and a finding.

use std::borrow::Cow;
use std::sync::Arc;

use renkei_core::Code;

use super::kind::Kinds;
use super::table::Table;
use super::value::Value;
use crate::Options;

mod codes;
mod dates;
mod elements;
mod identifiers;
mod kana;
mod quantities;
mod text;

pub(crate) use codes::lab_kind;
pub(crate) use dates::read_date;
pub(crate) use kana::katakana;
pub(crate) use text::narrowed;

/// One function.
#[derive(Debug)]
pub struct Function {
    /// As it is written.
    pub name: &'static str,
    /// What it takes from the left of `|`; [`Kinds::NONE`] for one that begins a pipe.
    pub takes: Kinds,
    /// What stands in its parentheses.
    pub parameters: &'static [Parameter],
    /// What it gives; [`Kinds::ANY`] means what it took.
    pub gives: Kinds,
    /// One sentence.
    pub about: &'static str,
    /// Expression over a field `x`, the field, and what it prints.
    pub examples: &'static [(&'static str, &'static str, &'static str)],
    pub(crate) run: Run,
}

pub(crate) type Run = for<'c, 'a> fn(Value<'a>, &mut Ask<'c, 'a>) -> Value<'a>;

/// One parameter of a function.
#[derive(Debug)]
pub struct Parameter {
    /// For messages.
    pub name: &'static str,
    /// What may stand there.
    pub form: Form,
    /// May be left out.
    pub optional: bool,
    /// May stand again and again; only the last one.
    pub repeats: bool,
}

/// What may stand at a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any expression of these kinds.
    Value(Kinds),
    /// A fixed text.
    Fixed,
    /// One of these fixed texts.
    OneOf(&'static [&'static str]),
    /// A fixed picture of a date: `yyyy-MM-dd`.
    Picture,
    /// A fixed whole number from 0 to 9999.
    Whole,
    /// The name of a table.
    Table,
    /// The name of a column of the table before it.
    Column,
    /// The name of an entry of `resources:`.
    Entry,
}

/// What a function is asked with.
pub(crate) struct Ask<'c, 'a> {
    pub(crate) arguments: &'c [Argument<'a>],
    pub(crate) options: &'a Options,
    pub(crate) remarks: &'c mut Vec<Remark>,
}

/// An argument at run time.
#[derive(Debug, Clone)]
pub(crate) enum Argument<'a> {
    Value(Value<'a>),
    Whole(usize),
    Table(&'a Arc<Table>),
    Column(usize),
}

/// Something a function wants to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) code: Code,
    pub(crate) value: String,
}

impl<'a> Ask<'_, 'a> {
    /// The text of an argument; empty when it is left out or nothing.
    pub(crate) fn text(&self, at: usize) -> &str {
        match self.arguments.get(at) {
            Some(Argument::Value(value)) => value.as_text(),
            _ => "",
        }
    }

    /// The same with a life of its own.
    pub(crate) fn owned(&self, at: usize) -> Cow<'a, str> {
        match self.arguments.get(at) {
            Some(Argument::Value(value)) => value.clone().into_text(),
            _ => Cow::Borrowed(""),
        }
    }

    pub(crate) fn whole(&self, at: usize) -> Option<usize> {
        match self.arguments.get(at) {
            Some(Argument::Whole(number)) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn table(&self, at: usize) -> Option<&'a Table> {
        match self.arguments.get(at) {
            Some(Argument::Table(table)) => Some(table),
            _ => None,
        }
    }

    /// The column of a table argument; the second unless one is named.
    pub(crate) fn column(&self, at: usize) -> usize {
        match self.arguments.get(at) {
            Some(Argument::Column(column)) => *column,
            _ => 1,
        }
    }

    /// The value is not what the function reads: nothing, and a finding.
    pub(crate) fn refuse(&mut self, code: Code, value: &str) -> Value<'a> {
        self.remark(code, value);
        Value::Nothing
    }

    pub(crate) fn remark(&mut self, code: Code, value: &str) {
        self.remarks.push(Remark {
            code,
            value: value.to_owned(),
        });
    }

    pub(crate) fn facility(&self) -> &'a str {
        self.options.facility.as_str()
    }
}

const fn value(name: &'static str, kinds: Kinds) -> Parameter {
    Parameter {
        name,
        form: Form::Value(kinds),
        optional: false,
        repeats: false,
    }
}

const fn form(name: &'static str, form: Form) -> Parameter {
    Parameter {
        name,
        form,
        optional: false,
        repeats: false,
    }
}

const fn optional(mut parameter: Parameter) -> Parameter {
    parameter.optional = true;
    parameter
}

const fn repeated(mut parameter: Parameter) -> Parameter {
    parameter.repeats = true;
    parameter
}

/// Every function, by area.
pub fn areas() -> [(&'static str, &'static [Function]); 7] {
    [
        ("Text", text::FUNCTIONS),
        ("Kana", kana::FUNCTIONS),
        ("Dates and times", dates::FUNCTIONS),
        ("Codes", codes::FUNCTIONS),
        ("Numbers and results", quantities::FUNCTIONS),
        ("Identifiers", identifiers::FUNCTIONS),
        ("Elements and control", elements::FUNCTIONS),
    ]
}

/// Every function.
pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    areas().into_iter().flat_map(|(_, functions)| functions)
}

/// The function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}
