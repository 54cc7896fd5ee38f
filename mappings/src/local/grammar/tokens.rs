//! Expressions cut into names, texts, numbers and signs.

use std::ops::Range;

use renkei_core::{Code, limits};

use super::Wrong;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Number(String),
    Text(String),
    Sign(&'static str),
}

const SIGNS: &[&str] = &["??", "!=", "<=", ">=", "|", "(", ")", ",", "=", "<", ">"];

pub(super) fn wrong(at: Range<usize>, text: impl Into<String>) -> Wrong {
    Wrong {
        code: Code::MAP_SYNTAX,
        at,
        text: text.into(),
        help: None,
    }
}

fn is_name(character: char) -> bool {
    !character.is_whitespace() && !"|(),'\"?=<>!`".contains(character)
}

/// Whether a field of this name can be written in an expression.
pub(crate) fn is_expressible(name: &str) -> bool {
    matches!(tokens(name).as_deref(), Ok([(Token::Name(_), _)])) && !is_keyword(name)
}

fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "and" | "or" | "not" | "is" | "in" | "present" | "absent" | "some" | "true" | "false"
    )
}

pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Wrong> {
    if text.len() > limits::EXPRESSION_BYTES {
        let says = format!(
            "an expression has at most {} bytes",
            limits::EXPRESSION_BYTES
        );
        return Err(Wrong {
            code: Code::MAP_LIMIT,
            ..wrong(0..text.len(), says)
        });
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        if character.is_whitespace() {
            at += character.len_utf8();
            continue;
        }
        let start = at;
        let token = if character == '\'' {
            let (token, end) = quoted(text, at)?;
            at = end;
            token
        } else if let Some(sign) = SIGNS.iter().find(|sign| text[at..].starts_with(**sign)) {
            at += sign.len();
            Token::Sign(sign)
        } else if is_name(character) {
            at = name_end(text, at)?;
            let word = &text[start..at];
            let digits = word.strip_prefix('-').unwrap_or(word);
            let is_number = digits.starts_with(|digit: char| digit.is_ascii_digit())
                && digits
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'.')
                && digits.bytes().filter(|byte| *byte == b'.').count() <= 1
                && !digits.ends_with('.');
            if is_number {
                Token::Number(word.to_owned())
            } else {
                Token::Name(word.to_owned())
            }
        } else {
            let mut problem = wrong(
                start..start + character.len_utf8(),
                format!("`{character}` does not belong here"),
            );
            problem.help = match character {
                '"' => Some("a fixed text stands in single quotes: 'text'".to_owned()),
                '!' => Some("write `not (…)`, or `!=` between two values".to_owned()),
                '?' => Some("write `??` between alternatives".to_owned()),
                _ => None,
            };
            return Err(problem);
        };
        tokens.push((token, start..at));
    }
    Ok(tokens)
}

/// `'text'`, a quote inside doubled.
fn quoted(text: &str, start: usize) -> Result<(Token, usize), Wrong> {
    let mut value = String::new();
    let mut rest = text[start + 1..].char_indices();
    while let Some((offset, character)) = rest.next() {
        if character != '\'' {
            value.push(character);
            continue;
        }
        let after = start + 1 + offset + 1;
        if text[after..].starts_with('\'') {
            value.push('\'');
            rest.next();
        } else {
            return Ok((Token::Text(value), after));
        }
    }
    Err(wrong(
        start..text.len(),
        "this text is not closed by a single quote",
    ))
}

/// Names end at blanks and signs; what stands in brackets (`[system='x']`) belongs to the name.
fn name_end(text: &str, start: usize) -> Result<usize, Wrong> {
    let mut at = start;
    while let Some(character) = text[at..].chars().next() {
        if character == '[' {
            match text[at..].find(']') {
                Some(close) => at += close + 1,
                None => return Err(wrong(at..text.len(), "this bracket is not closed by `]`")),
            }
        } else if is_name(character) {
            at += character.len_utf8();
        } else {
            break;
        }
    }
    Ok(at)
}
