//! Subjects: what may stand in one, and the template a sink fills in.

/// Whether a stream or consumer can bear this name.
pub(super) fn is_name(text: &str) -> bool {
    let bad =
        |letter: char| letter.is_whitespace() || letter.is_control() || ".*>/\\".contains(letter);
    !text.is_empty() && !text.contains(bad)
}

/// Whether it is a subject that can be published to.
pub(super) fn is_subject(text: &str) -> bool {
    text.split('.').all(is_name)
}

/// Whether it is a subject that can be asked for: `*` for one token, `>` for all that follow.
pub(super) fn is_filter(text: &str) -> bool {
    let mut tokens = text.split('.').peekable();
    while let Some(token) = tokens.next() {
        let is_last = tokens.peek().is_none();
        if !(is_name(token) || token == "*" || (token == ">" && is_last)) {
            return false;
        }
    }
    true
}

/// A subject with places to fill in.
#[derive(Debug, Clone)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Channel,
    Kind,
    Urgency,
}

/// What is filled in.
pub(super) struct Places<'a> {
    pub(super) channel: &'a str,
    pub(super) kind: &'a str,
    pub(super) urgency: &'a str,
}

impl Template {
    /// Reads a template.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, later) = after.split_once('}').ok_or("has a `{` without its `}`")?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(match name {
                "channel" => Piece::Channel,
                "kind" => Piece::Kind,
                "urgency" => Piece::Urgency,
                _ => return Err("knows only the places `{channel}`, `{kind}` and `{urgency}`"),
            });
            rest = later;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let template = Self(pieces);
        let sample = template.fill(&Places {
            channel: "c",
            kind: "k",
            urgency: "u",
        });
        match sample {
            Some(sample) if !sample.contains('}') => Ok(template),
            _ => Err("does not become a subject without wildcards"),
        }
    }

    /// The subject, or `None` when what is filled in cannot stand in one token.
    pub(super) fn fill(&self, places: &Places<'_>) -> Option<String> {
        let mut subject = String::new();
        for piece in &self.0 {
            let (text, is_filled_in) = match piece {
                Piece::Text(text) => (text.as_str(), false),
                Piece::Channel => (places.channel, true),
                Piece::Kind => (places.kind, true),
                Piece::Urgency => (places.urgency, true),
            };
            if is_filled_in && !is_name(text) {
                return None;
            }
            subject.push_str(text);
        }
        is_subject(&subject).then_some(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_subjects_and_filters_are_told_apart() {
        assert!(is_name("HIS") && is_name("renkei-1"));
        for bad in ["", "a.b", "a b", "*", ">", "a/b", "a\n"] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert!(is_subject("a.b.c") && !is_subject("a..c") && !is_subject("a.*"));
        assert!(is_filter("a.*.c") && is_filter("a.>") && is_filter(">"));
        assert!(!is_filter("a.>.c") && !is_filter("a..c") && !is_filter(""));
    }

    #[test]
    fn a_template_is_filled_and_never_split_by_what_is_filled_in() {
        let places = |channel| Places {
            channel,
            kind: "discharge",
            urgency: "u1",
        };
        let template = Template::parse("renkei.{kind}.room-{channel}").unwrap();
        assert_eq!(
            template.fill(&places("g1")).as_deref(),
            Some("renkei.discharge.room-g1")
        );
        for bad in ["a.b", "a b", "*", ">", ""] {
            assert_eq!(template.fill(&places(bad)), None, "{bad:?}");
        }
        for bad in ["", "a.{who}", "a.{channel", "a.*", "a..b", "a}", "a b"] {
            assert!(Template::parse(bad).is_err(), "{bad:?}");
        }
    }
}
