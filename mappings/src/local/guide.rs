//! The list of functions as `LANGUAGE.md` prints it; a test holds both together.

use std::fmt::Write as _;

use super::compile::usage;
use super::function::areas;
use super::kind::Kinds;

/// Every function with its kinds, its sentence and its examples, in Markdown.
pub fn functions_as_markdown() -> String {
    let mut text = String::new();
    for (area, functions) in areas() {
        let _ = writeln!(text, "### {area}\n");
        for function in functions {
            let takes = match function.takes {
                Kinds::NONE => "begins an expression".to_owned(),
                kinds => format!("takes {kinds}"),
            };
            let gives = match function.gives {
                Kinds::ANY => "the same".to_owned(),
                kinds => kinds.to_string(),
            };
            let _ = writeln!(
                text,
                "**`{}`** — {takes}; gives {gives}. {}\n",
                usage(function),
                function.about
            );
            for (expression, field, prints) in function.examples {
                let shown = |text: &str| {
                    if text.is_empty() {
                        "nothing".to_owned()
                    } else {
                        format!("`{}`", text.escape_debug_lite())
                    }
                };
                let _ = writeln!(
                    text,
                    "- `{expression}` with x = {}: {}",
                    shown(field),
                    shown(prints)
                );
            }
            if !function.examples.is_empty() {
                text.push('\n');
            }
        }
    }
    text
}

trait Shown {
    fn escape_debug_lite(&self) -> String;
}

impl Shown for str {
    fn escape_debug_lite(&self) -> String {
        self.replace('\r', "\\r").replace('\n', "\\n")
    }
}
