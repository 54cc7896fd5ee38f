//! Functions and their arguments: name, arity, kinds, tables.

use std::ops::Range;
use std::sync::Arc;

use renkei_core::Code;

use super::{Compiler, Place, stage_for};
use crate::local::function::{self, Form, Function, Parameter};
use crate::local::grammar::{Call, Leaf, Pipe, Term};
use crate::local::kind::Kinds;
use crate::local::plan::{Expression, Operand};
use crate::local::problem::{Problem, Spot, full_width};
use crate::local::table::Table;

impl Compiler<'_> {
    pub(super) fn call(
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
            self.problem(match full_width(&call.name.text) {
                Some(help) => problem.help(help),
                None => problem.did_you_mean(&call.name.text, names),
            });
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
            let optional = function
                .parameters
                .iter()
                .any(|parameter| parameter.optional);
            let may = if optional {
                "; what stands in […] may be left out"
            } else {
                ""
            };
            self.problem(problem.help(format!("write `{}`{may}", usage(function))));
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
        (0, most) => format!("at most {most} {}", plural(most)),
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
