//! Values while a mapping runs, and what they print as.

use std::borrow::Cow;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// Nothing was there.
    Nothing,
    /// Any kind whose JSON is a string: text, code, date.
    Text(Cow<'a, str>),
    /// A JSON number, spelled as written.
    Number(Cow<'a, str>),
    Bool(bool),
    /// An element with elements of its own.
    Tree(Box<Out<'a>>),
    /// What stands at `value[x]`, with the ending of its name (`Quantity`).
    Result(&'static str, Box<Out<'a>>),
}

/// JSON on its way out: numbers keep their spelling, members their order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Out<'a> {
    Text(Cow<'a, str>),
    /// A number, `true`, `false` or JSON that is printed as it is.
    Bare(Cow<'a, str>),
    Object(Vec<(Cow<'a, str>, Out<'a>)>),
    List(Vec<Out<'a>>),
}

impl<'a> Value<'a> {
    /// A text, or nothing when there is only white space. Blanks at both ends go.
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        let text = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        if text.is_empty() {
            Self::Nothing
        } else {
            Self::Text(text)
        }
    }

    /// An element, or nothing when it holds nothing.
    pub(crate) fn tree(out: Out<'a>) -> Self {
        if out.is_empty() {
            Self::Nothing
        } else {
            Self::Tree(Box::new(out))
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// As text: empty for nothing and for elements.
    pub(crate) fn as_text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Nothing | Self::Tree(_) | Self::Result(..) => "",
        }
    }

    /// As text with its own life.
    pub(crate) fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Nothing | Self::Tree(_) | Self::Result(..) => Cow::Borrowed(""),
        }
    }

    /// What it prints as; `None` for nothing.
    pub(crate) fn into_out(self) -> Option<Out<'a>> {
        match self {
            Self::Nothing => None,
            Self::Text(text) => Some(Out::Text(text)),
            Self::Number(text) => Some(Out::Bare(text)),
            Self::Bool(true) => Some(Out::Bare(Cow::Borrowed("true"))),
            Self::Bool(false) => Some(Out::Bare(Cow::Borrowed("false"))),
            Self::Tree(out) | Self::Result(_, out) => Some(*out),
        }
    }
}

impl<'a> Out<'a> {
    /// An object of those members that hold something.
    pub(crate) fn object(members: impl IntoIterator<Item = (&'a str, Out<'a>)>) -> Self {
        Self::Object(
            members
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (Cow::Borrowed(name), value))
                .collect(),
        )
    }

    /// A text member; an empty text holds nothing.
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// Says nothing: an empty text, list or object.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) | Self::Bare(text) => text.is_empty(),
            Self::Object(members) => members.is_empty(),
            Self::List(values) => values.is_empty(),
        }
    }

    /// The member of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Out<'a>> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a scalar.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Bare(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list; one for anything else.
    pub(crate) fn items(&self) -> &[Out<'a>] {
        match self {
            Self::List(values) => values,
            other => std::slice::from_ref(other),
        }
    }

    /// Appends it as JSON.
    pub(crate) fn write(&self, json: &mut Vec<u8>) {
        match self {
            Self::Text(text) => write_text(text, json),
            Self::Bare(text) => json.extend_from_slice(text.as_bytes()),
            Self::Object(members) => {
                json.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        json.push(b',');
                    }
                    write_text(name, json);
                    json.push(b':');
                    value.write(json);
                }
                json.push(b'}');
            }
            Self::List(values) => {
                json.push(b'[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        json.push(b',');
                    }
                    value.write(json);
                }
                json.push(b']');
            }
        }
    }

    /// As JSON text.
    pub(crate) fn to_json(&self) -> String {
        let mut json = Vec::with_capacity(2048);
        self.write(&mut json);
        String::from_utf8(json).unwrap_or_default()
    }
}

/// A JSON string with the escapes of `serde_json`, so that the same values give the same bytes as the structs
/// of `renkei-fhir`.
fn write_text(text: &str, json: &mut Vec<u8>) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    } else if let Ok(quoted) = serde_json::to_vec(text) {
        json.extend_from_slice(&quoted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_left_out_and_spelling_stays() {
        let out = Out::object([
            ("value", Out::Bare("6.80".into())),
            ("unit", Out::text("")),
            ("text", Out::text("a\"b\n\u{1}")),
        ]);
        assert_eq!(
            out.to_json(),
            "{\"value\":6.80,\"text\":\"a\\\"b\\n\\u0001\"}"
        );
        assert!(Out::object([("unit", Out::text(""))]).is_empty());
        assert!(Value::text(" \u{3000} ").is_nothing());
        assert_eq!(Value::text(" a "), Value::Text("a".into()));
    }
}
