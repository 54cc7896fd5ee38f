//! Writing JSON text. Called by the elements of [`super`] only.
//!
//! Printing is the largest part of a conversion, and what is printed is always the same: objects whose member
//! names are known when the program is compiled, short texts without anything to escape, numbers spelled already.
//! So there is no serializer in between: names are quoted at compile time, and a text is looked at in blocks before
//! it is copied whole. The bytes are those `serde_json` would write.

/// JSON text on its way.
#[derive(Debug)]
pub struct Json(String);

impl Json {
    /// Nothing yet, with room for `bytes`.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// What was written.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Begins an object; its members follow.
    pub fn open_object(&mut self) {
        self.0.push('{');
    }

    /// Ends an object.
    pub fn close_object(&mut self) {
        self.0.push('}');
    }

    /// Begins an array; its elements follow, each after [`Self::next`].
    pub fn open_array(&mut self) {
        self.0.push('[');
    }

    /// Ends an array.
    pub fn close_array(&mut self) {
        self.0.push(']');
    }

    /// Separates an element of an array from the one before.
    pub fn next(&mut self) {
        // No value ends with an opening bracket, so the last byte tells whether this is the first.
        if self.0.as_bytes().last() != Some(&b'[') {
            self.0.push(',');
        }
    }

    /// Begins a member; its value follows. `quoted` is its name with quotation marks and colon.
    pub fn name(&mut self, quoted: &'static str) {
        if self.0.as_bytes().last() != Some(&b'{') {
            self.0.push(',');
        }
        self.0.push_str(quoted);
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, json: &str) {
        self.0.push_str(json);
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.0.push('"');
        if needs_no_escape(text.as_bytes()) {
            self.0.push_str(text);
        } else {
            self.escaped(text);
        }
        self.0.push('"');
    }

    #[cold]
    fn escaped(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        for character in text.chars() {
            match character {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\u{8}' => self.0.push_str("\\b"),
                '\t' => self.0.push_str("\\t"),
                '\n' => self.0.push_str("\\n"),
                '\u{c}' => self.0.push_str("\\f"),
                '\r' => self.0.push_str("\\r"),
                '\0'..='\u{1f}' => {
                    let code = character as usize;
                    self.0.push_str("\\u00");
                    self.0.push(char::from(HEX[code >> 4]));
                    self.0.push(char::from(HEX[code & 15]));
                }
                other => self.0.push(other),
            }
        }
    }
}

/// Whether a text stands in JSON as it is. In blocks of fixed size, which the compiler turns into vector
/// instructions; what does not fill a block is covered by one more that overlaps the last.
fn needs_no_escape(text: &[u8]) -> bool {
    let (blocks, rest) = text.as_chunks::<16>();
    if !blocks.iter().all(is_plain) {
        return false;
    }
    match rest {
        [] => true,
        _ => match (text.last_chunk(), rest.first_chunk(), rest.first_chunk()) {
            (Some(last), _, _) => is_plain::<16>(last),
            (None, Some(first), _) => {
                is_plain::<8>(first) && rest.last_chunk().is_none_or(is_plain::<8>)
            }
            (None, None, Some(first)) => {
                is_plain::<4>(first) && rest.last_chunk().is_none_or(is_plain::<4>)
            }
            (None, None, None) => rest.iter().all(|&byte| is_plain(&[byte])),
        },
    }
}

#[inline]
fn is_plain<const N: usize>(block: &[u8; N]) -> bool {
    // Without a branch inside, so that it becomes one comparison over all bytes.
    !block.iter().fold(false, |odd, &byte| {
        odd | (byte < 0x20) | (byte == b'"') | (byte == b'\\')
    })
}

/// Defines the quoted name of the member a field is printed as: `birth_date` → `"birthDate":`.
macro_rules! member_name {
    ($field:ident) => {{
        const BYTES: [u8; crate::emit::json::name_length(stringify!($field))] =
            crate::emit::json::name_bytes(stringify!($field));
        const NAME: &str = crate::emit::json::name_text(&BYTES);
        NAME
    }};
    ($field:ident $json:literal) => {
        concat!("\"", $json, "\":")
    };
}
pub(crate) use member_name;

/// How long the quoted name of a field is.
pub(super) const fn name_length(field: &str) -> usize {
    let (field, mut length, mut at) = (bare(field), 3, 0);
    while at < field.len() {
        length += (field[at] != b'_') as usize;
        at += 1;
    }
    length
}

/// The quoted name of a field in `N` bytes.
pub(super) const fn name_bytes<const N: usize>(field: &str) -> [u8; N] {
    let field = bare(field);
    let mut name = [b'"'; N];
    let (mut at, mut end) = (0, 1);
    while at < field.len() {
        if field[at] != b'_' {
            let begins_word = at > 0 && field[at - 1] == b'_';
            name[end] = if begins_word {
                field[at].to_ascii_uppercase()
            } else {
                field[at]
            };
            end += 1;
        }
        at += 1;
    }
    name[N - 1] = b':';
    name
}

/// The name as text; a field name is ASCII.
pub(super) const fn name_text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(name) => name,
        Err(_) => "",
    }
}

/// A field name without `r#`.
const fn bare(field: &str) -> &[u8] {
    match field.as_bytes() {
        [b'r', b'#', rest @ ..] => rest,
        field => field,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut json = Json::with_room(0);
        json.text(text);
        json.into_text()
    }

    #[test]
    fn names_are_those_of_fhir() {
        assert_eq!(member_name!(birth_date), "\"birthDate\":");
        assert_eq!(member_name!(r#type), "\"type\":");
        assert_eq!(member_name!(id), "\"id\":");
        assert_eq!(member_name!(on_behalf_of), "\"onBehalfOf\":");
        assert_eq!(member_name!(authored "_authoredOn"), "\"_authoredOn\":");
    }

    #[test]
    fn every_byte_at_every_place_is_escaped_as_serde_json_does() {
        for length in 0..40 {
            for place in 0..length {
                for odd in 0..0x80_u8 {
                    let mut bytes = vec![b'x'; length];
                    bytes[place] = odd;
                    let text = String::from_utf8(bytes).unwrap();
                    assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_written_as_serde_json_does(text in "\\PC{0,80}|[\\x00-\\x7fあ\"\\\\]{0,80}") {
            prop_assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
        }
    }
}
