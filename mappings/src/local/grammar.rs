//! Expressions: text to syntax tree. `LANGUAGE.md` beside this package has the grammar on one page.
//!
//! Knows nothing about functions, fields or kinds; that is [`super::compile`].

use std::ops::Range;

use renkei_core::{Code, limits};

mod tokens;

pub(crate) use tokens::is_expressible;
use tokens::{Token, tokens, wrong};

/// What is wrong, and where in the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) code: Code,
    pub(crate) at: Range<usize>,
    pub(crate) text: String,
    pub(crate) help: Option<String>,
}

impl Wrong {
    /// The same with a way out.
    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What is written instead of a word of other languages, or of a sign from a Japanese keyboard.
fn elsewhere(word: &str) -> Option<String> {
    match word {
        "&&" | "&" | "AND" => Some("write `and`".to_owned()),
        "OR" => Some("write `or`".to_owned()),
        "+" => Some("texts are joined by `join(' ', a, b)`".to_owned()),
        word => super::problem::full_width(word),
    }
}

/// `pipe ?? pipe ?? …`: the first that gives something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Leaf {
    pub(crate) pipes: Vec<Pipe>,
    pub(crate) at: Range<usize>,
}

/// `term | call | call …`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pipe {
    pub(crate) head: Term,
    pub(crate) stages: Vec<Call>,
}

/// Where a pipe begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    /// A field, or a word as an argument.
    Path(Name),
    /// `'text'`
    Text(String, Range<usize>),
    /// `6.80`
    Number(String, Range<usize>),
    /// `true`, `false`
    Bool(bool, Range<usize>),
    /// `join(' ', a, b)`
    Call(Call),
    /// `( … )`
    Group(Box<Leaf>),
}

/// A word and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) at: Range<usize>,
}

/// A function with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: Name,
    pub(crate) arguments: Vec<Leaf>,
    pub(crate) at: Range<usize>,
}

/// What stands after `when:`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// `leaf is present`; `false` for `is absent`.
    Present(Leaf, bool),
    Compare(Leaf, Comparison, Leaf),
    /// `leaf in (a, b)`; `false` for `not in`.
    In(Leaf, Vec<Leaf>, bool),
    /// A bare leaf that must give true.
    True(Leaf),
    /// `some (condition)`: for some row of the draft.
    Some(Box<Condition>),
}

/// `=` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Reads an expression.
///
/// # Errors
/// The first thing that does not belong.
pub(crate) fn leaf(text: &str) -> Result<Leaf, Wrong> {
    let mut parser = Parser::new(text)?;
    let leaf = parser.leaf(0)?;
    parser.end(
        "stages are joined by `|`, alternatives by `??`; texts are joined by `join(' ', a, b)`",
    )?;
    Ok(leaf)
}

/// Reads a condition.
///
/// # Errors
/// The first thing that does not belong.
pub(crate) fn condition(text: &str) -> Result<Condition, Wrong> {
    let mut parser = Parser::new(text)?;
    let condition = parser.any(0)?;
    parser.end("conditions are joined by `and` and `or`, values are compared by `=`")?;
    Ok(condition)
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    length: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, Wrong> {
        Ok(Self {
            tokens: tokens(text)?,
            next: 0,
            length: text.len(),
        })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    /// The place of the next token; the end when there is none.
    fn place(&self) -> Range<usize> {
        match self.tokens.get(self.next) {
            Some((_, at)) => at.clone(),
            None => self.length..self.length,
        }
    }

    /// Where the last token taken ended.
    fn done(&self) -> usize {
        match self
            .next
            .checked_sub(1)
            .and_then(|last| self.tokens.get(last))
        {
            Some((_, at)) => at.end,
            None => 0,
        }
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(found)) if found == word)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.next += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Wrong> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(wrong(self.place(), format!("`{sign}` is missing here")))
    }

    /// Nothing may follow; `joins` says how parts are joined here.
    fn end(&self, joins: &str) -> Result<(), Wrong> {
        let mut problem = match self.peek() {
            None => return Ok(()),
            Some(Token::Name(word) | Token::Text(word)) => {
                let help = elsewhere(word).unwrap_or_else(|| joins.to_owned());
                let problem = wrong(self.place(), "this does not belong to the expression");
                problem.help(help)
            }
            Some(Token::Sign(sign)) => self.sign(self.place(), sign),
            Some(Token::Number(_)) => wrong(self.place(), "this does not belong to the expression"),
        };
        if problem.help.is_none() {
            problem.help = Some(joins.to_owned());
        }
        Err(problem)
    }

    /// A sign in the wrong place, with what is written instead of the signs of other languages.
    fn sign(&self, at: Range<usize>, sign: &str) -> Wrong {
        let before = self
            .next
            .checked_sub(1)
            .and_then(|last| self.tokens.get(last));
        let help = match (before.map(|(token, _)| token), sign) {
            (Some(Token::Sign("=")), "=") => "values are compared by one `=`",
            (Some(Token::Sign("<")), ">") => "unequal is written `!=`",
            (Some(Token::Sign("|")), "|") => "alternatives are joined by `??`, conditions by `or`",
            _ => return wrong(at, format!("`{sign}` does not belong here")),
        };
        wrong(at, format!("`{sign}` does not belong here")).help(help)
    }

    fn deeper(&self, depth: usize) -> Result<usize, Wrong> {
        if depth >= limits::EXPRESSION_DEPTH {
            let text = format!("more than {} levels deep", limits::EXPRESSION_DEPTH);
            return Err(Wrong {
                code: Code::MAP_LIMIT,
                ..wrong(self.place(), text)
            });
        }
        Ok(depth + 1)
    }

    fn leaf(&mut self, depth: usize) -> Result<Leaf, Wrong> {
        let depth = self.deeper(depth)?;
        let start = self.place().start;
        let mut pipes = vec![self.pipe(depth)?];
        while self.take_sign("??") {
            pipes.push(self.pipe(depth)?);
        }
        Ok(Leaf {
            pipes,
            at: start..self.done(),
        })
    }

    fn pipe(&mut self, depth: usize) -> Result<Pipe, Wrong> {
        let head = self.term(depth)?;
        let mut stages = Vec::new();
        while self.take_sign("|") {
            let at = self.place();
            match self.peek() {
                Some(Token::Name(name)) => {
                    let name = Name {
                        text: name.clone(),
                        at: at.clone(),
                    };
                    self.next += 1;
                    stages.push(self.call(name, depth)?);
                }
                Some(Token::Sign(sign)) if *sign == "|" => return Err(self.sign(at, sign)),
                _ => return Err(wrong(at, "a function is missing after `|`")),
            }
        }
        Ok(Pipe { head, stages })
    }

    fn term(&mut self, depth: usize) -> Result<Term, Wrong> {
        let at = self.place();
        let Some(token) = self.peek().cloned() else {
            return Err(wrong(at, "an expression is missing here"));
        };
        if let Token::Sign(sign) = &token
            && *sign != "("
        {
            return Err(self.sign(at, sign));
        }
        self.next += 1;
        match token {
            Token::Text(text) => Ok(Term::Text(text, at)),
            Token::Number(text) => Ok(Term::Number(text, at)),
            Token::Name(word) if word == "true" || word == "false" => {
                Ok(Term::Bool(word == "true", at))
            }
            Token::Name(text) => {
                let name = Name { text, at };
                if self.is_sign("(") {
                    return Ok(Term::Call(self.call(name, depth)?));
                }
                Ok(Term::Path(name))
            }
            Token::Sign(_) => {
                let leaf = self.leaf(depth)?;
                self.expect(")")?;
                Ok(Term::Group(Box::new(leaf)))
            }
        }
    }

    fn call(&mut self, name: Name, depth: usize) -> Result<Call, Wrong> {
        let mut arguments = Vec::new();
        if self.take_sign("(") && !self.take_sign(")") {
            loop {
                arguments.push(self.leaf(depth)?);
                if self.take_sign(")") {
                    break;
                }
                if self.peek().is_none() {
                    return Err(wrong(self.place(), "`)` is missing here"));
                }
                self.expect(",")?;
            }
        }
        let at = name.at.start..self.done();
        Ok(Call {
            name,
            arguments,
            at,
        })
    }

    fn any(&mut self, depth: usize) -> Result<Condition, Wrong> {
        let depth = self.deeper(depth)?;
        let mut parts = vec![self.all(depth)?];
        while self.take_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Condition::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Condition, Wrong> {
        let mut parts = vec![self.test(depth)?];
        while self.take_word("and") {
            parts.push(self.test(depth)?);
        }
        Ok(one_or(parts, Condition::All))
    }

    fn test(&mut self, depth: usize) -> Result<Condition, Wrong> {
        let depth = self.deeper(depth)?;
        if self.take_word("not") {
            return Ok(Condition::Not(Box::new(self.test(depth)?)));
        }
        if self.is_word("some")
            && matches!(self.tokens.get(self.next + 1), Some((Token::Sign("("), _)))
        {
            self.next += 2;
            let inner = self.any(depth)?;
            self.expect(")")?;
            return Ok(Condition::Some(Box::new(inner)));
        }
        if self.is_sign("(") {
            // Either a group of conditions or the beginning of a value; a value in parentheses is followed
            // by a comparison, so the shorter reading is tried first.
            let start = self.next;
            self.next += 1;
            let inside = match self.any(depth) {
                Ok(condition) if self.take_sign(")") => {
                    if !self.continues_value() {
                        return Ok(condition);
                    }
                    None
                }
                Ok(_) => Some(wrong(self.place(), "`)` is missing here")),
                Err(wrong) => Some(wrong),
            };
            self.next = start;
            // Of two readings that fail, the one that came further is what was meant.
            return match (self.leaf(depth), inside) {
                (Ok(leaf), _) => self.comparison(leaf, depth),
                (Err(outside), Some(inside)) if inside.at.start > outside.at.start => Err(inside),
                (Err(outside), _) => Err(outside),
            };
        }
        let leaf = self.leaf(depth)?;
        self.comparison(leaf, depth)
    }

    fn continues_value(&self) -> bool {
        ["=", "!=", "<", "<=", ">", ">=", "|", "??"]
            .iter()
            .any(|sign| self.is_sign(sign))
            || self.is_word("is")
            || self.is_word("in")
    }

    fn comparison(&mut self, leaf: Leaf, depth: usize) -> Result<Condition, Wrong> {
        for (sign, comparison) in [
            ("=", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<", Comparison::Less),
            ("<=", Comparison::LessOrEqual),
            (">", Comparison::Greater),
            (">=", Comparison::GreaterOrEqual),
        ] {
            if self.take_sign(sign) {
                return Ok(Condition::Compare(leaf, comparison, self.leaf(depth)?));
            }
        }
        if self.take_word("is") {
            let not = self.take_word("not");
            let at = self.place();
            let present = if self.take_word("present") {
                true
            } else if self.take_word("absent") {
                false
            } else {
                let mut problem = wrong(at, "`present` or `absent` is missing after `is`");
                problem.help = Some("to compare values write `=`".to_owned());
                return Err(problem);
            };
            return Ok(Condition::Present(leaf, present != not));
        }
        let not = self.take_word("not");
        if self.take_word("in") {
            self.expect("(")?;
            let mut choices = vec![self.leaf(depth)?];
            while self.take_sign(",") {
                choices.push(self.leaf(depth)?);
            }
            self.expect(")")?;
            return Ok(Condition::In(leaf, choices, !not));
        }
        if not {
            return Err(wrong(self.place(), "`in (…)` is missing after `not`"));
        }
        Ok(Condition::True(leaf))
    }
}

fn one_or(mut parts: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Condition {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_fallbacks_and_literals() {
        let parsed =
            leaf("項目コード | table(local-jlac10, code) ?? 'x''y' ?? 6.80").expect("parses");
        assert_eq!(parsed.pipes.len(), 3);
        assert_eq!(parsed.pipes[0].stages[0].name.text, "table");
        assert_eq!(parsed.pipes[0].stages[0].arguments.len(), 2);
        assert!(matches!(&parsed.pipes[1].head, Term::Text(text, _) if text == "x'y"));
        assert!(matches!(&parsed.pipes[2].head, Term::Number(text, _) if text == "6.80"));
    }

    #[test]
    fn paths_keep_their_signs() {
        for path in [
            "PID-5[2].1",
            "a/b/@c",
            "identifier[system='http://x y'].value",
            "$patient",
            ".5.1",
            "結果値・最新",
            "検査結果（数値）",
        ] {
            let parsed = leaf(path).expect(path);
            assert!(
                matches!(&parsed.pipes[0].head, Term::Path(name) if name.text == path),
                "{path}"
            );
            assert!(is_expressible(path), "{path}");
        }
        for not in ["a b", "結果(数値)", "and", "12", "a|b", ""] {
            assert!(!is_expressible(not), "{not}");
        }
    }

    #[test]
    fn conditions_bind_not_before_and_before_or() {
        let parsed =
            condition("a is present and not (b = 'x') or c in ('1', '2')").expect("parses");
        let Condition::Any(parts) = parsed else {
            panic!("or is outermost");
        };
        assert!(matches!(&parts[0], Condition::All(both) if matches!(both[1], Condition::Not(_))));
        assert!(matches!(&parts[1], Condition::In(_, choices, true) if choices.len() == 2));
        assert!(matches!(
            condition("(a ?? b) = 'x'").expect("parses"),
            Condition::Compare(..)
        ));
    }

    #[test]
    fn what_does_not_belong_is_named() {
        for (text, at, says) in [
            ("", 0..0, "missing"),
            ("a |", 3..3, "a function is missing"),
            ("a b", 2..3, "does not belong"),
            ("a | f(", 6..6, "missing"),
            ("a | f('x", 6..8, "not closed"),
            ("a[1", 1..3, "not closed"),
            ("\"x\"", 0..1, "does not belong"),
        ] {
            let problem = leaf(text).expect_err(text);
            assert_eq!(problem.at, at, "{text}");
            assert!(problem.text.contains(says), "{text}: {}", problem.text);
        }
        assert!(condition("a is b").is_err());
        let deep = format!("{}a{}", "(".repeat(200), ")".repeat(200));
        assert_eq!(leaf(&deep).expect_err("deep").code, Code::MAP_LIMIT);
        assert!(condition(&deep).is_err());
    }
}
