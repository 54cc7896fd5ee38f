//! Several messages in one file: cut at every `MSH`, and unwrap FHS/BHS/BTS/FTS batches
//! (HL7 v2.5 ch. 2.10.3).
//!
//! Batches are rare; most files with several messages are plain concatenations.

/// The messages of one text, with what the wrapping segments say about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Each message without the wrapping segments, ready for [`crate::Message::parse`].
    pub messages: Vec<&'a str>,
    /// FHS and BHS lines, as sent.
    pub headers: Vec<&'a str>,
    /// BTS and FTS lines, as sent.
    pub trailers: Vec<&'a str>,
    /// Where wrapping and content disagree.
    pub findings: Vec<Finding>,
}

/// A disagreement between the wrapping and the content of a file. Numbers only, no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// BTS-1 announces another number of messages than the batch holds.
    MessageCount {
        /// BTS-1.
        announced: u64,
        /// Messages since the BHS.
        found: u64,
    },
    /// FTS-1 announces another number of batches than the file holds.
    BatchCount {
        /// FTS-1.
        announced: u64,
        /// BHS segments since the FHS.
        found: u64,
    },
    /// A BHS without BTS or an FHS without FTS: the file may be cut short.
    MissingTrailer,
    /// Lines that belong to no message (before the first MSH or after a trailer).
    StrayLines {
        /// How many.
        count: u64,
    },
}

/// The messages of a text, in order: [`Batch::parse`] without the wrapping.
#[must_use]
pub fn split_messages(text: &str) -> Vec<&str> {
    Batch::parse(text).messages
}

impl<'a> Batch<'a> {
    /// Cuts a decoded text into messages. Never fails; no MSH, no messages.
    ///
    /// Control characters between messages (MLLP frames written to a file) are ignored.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let mut cutter = Cutter {
            text,
            batch: Self::default(),
            ..Cutter::default()
        };
        let mut start = 0;
        for end in memchr::memchr2_iter(b'\r', b'\n', text.as_bytes()).chain([text.len()]) {
            cutter.line(start, end);
            start = end + 1;
        }
        cutter.finish()
    }
}

#[derive(Default)]
struct Cutter<'a> {
    text: &'a str,
    batch: Batch<'a>,
    /// Start and end so far of the message being read.
    open: Option<(usize, usize)>,
    messages_in_batch: Option<u64>,
    batches_in_file: Option<u64>,
    stray: u64,
}

impl<'a> Cutter<'a> {
    fn line(&mut self, start: usize, end: usize) {
        let line =
            self.text[start..end].trim_matches(|c: char| c.is_ascii_control() || c == '\u{FEFF}');
        if line.is_empty() {
            return;
        }
        match wrapper_name(line) {
            Some("MSH") => {
                self.close();
                let offset = self.text[start..end].find("MSH").unwrap_or(0);
                self.open = Some((start + offset, end));
                self.messages_in_batch = self.messages_in_batch.map(|count| count + 1);
            }
            Some(name) => {
                self.close();
                self.wrapper(name, line);
            }
            None => match &mut self.open {
                Some((_, message_end)) => *message_end = end,
                None => self.stray += 1,
            },
        }
    }

    fn wrapper(&mut self, name: &str, line: &'a str) {
        let announced = || {
            let separator = line[3..].chars().next()?;
            line[3 + separator.len_utf8()..]
                .split(separator)
                .next()?
                .trim()
                .parse::<u64>()
                .ok()
        };
        match name {
            "FHS" => {
                self.batch.headers.push(line);
                self.batches_in_file = Some(0);
            }
            "BHS" => {
                self.batch.headers.push(line);
                if self.messages_in_batch.replace(0).is_some() {
                    self.batch.findings.push(Finding::MissingTrailer);
                }
                self.batches_in_file = self.batches_in_file.map(|count| count + 1);
            }
            "BTS" => {
                self.batch.trailers.push(line);
                if let (Some(announced), Some(found)) = (announced(), self.messages_in_batch.take())
                    && announced != found
                {
                    self.batch
                        .findings
                        .push(Finding::MessageCount { announced, found });
                }
            }
            _ => {
                self.batch.trailers.push(line);
                if let (Some(announced), Some(found)) = (announced(), self.batches_in_file.take())
                    && announced != found
                {
                    self.batch
                        .findings
                        .push(Finding::BatchCount { announced, found });
                }
            }
        }
    }

    fn close(&mut self) {
        if let Some((start, end)) = self.open.take() {
            self.batch.messages.push(&self.text[start..end]);
        }
    }

    fn finish(mut self) -> Batch<'a> {
        self.close();
        if self.messages_in_batch.is_some() || self.batches_in_file.is_some() {
            self.batch.findings.push(Finding::MissingTrailer);
        }
        if self.stray > 0 {
            self.batch
                .findings
                .push(Finding::StrayLines { count: self.stray });
        }
        self.batch
    }
}

/// `MSH` or a wrapping segment at the start of a line, when a separator follows it.
fn wrapper_name(line: &str) -> Option<&'static str> {
    let name = ["MSH", "FHS", "BHS", "BTS", "FTS"]
        .into_iter()
        .find(|name| line.starts_with(name))?;
    let next = line.as_bytes().get(3);
    let trailer = matches!(name, "BTS" | "FTS");
    let separated = next.map_or(trailer, u8::is_ascii_punctuation);
    separated.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "MSH|^~\\&|A\rPID|1";
    const B: &str = "MSH|^~\\&|B\rPID|2\r\rPV1|1";

    #[test]
    fn messages_are_cut_at_every_header() {
        assert_eq!(split_messages(&format!("{A}\r{B}\r")), [A, B]);
        assert_eq!(
            split_messages(&format!("{A}\r\u{1c}\r\u{b}{B}\r\u{1c}\r")),
            [A, B]
        );
        assert_eq!(split_messages(&format!("\u{feff}{A}\n\n")), [A]);
        assert_eq!(split_messages(""), [""; 0]);
        assert_eq!(split_messages("MSHX\rMSH"), [""; 0]);
    }

    #[test]
    fn a_batch_is_unwrapped_and_counted() {
        let text = format!("FHS|^~\\&\rBHS|^~\\&\r{A}\r{B}\rBTS|2\rFTS|1\r");
        let batch = Batch::parse(&text);
        assert_eq!(batch.messages, [A, B]);
        assert_eq!((batch.headers.len(), batch.trailers.len()), (2, 2));
        assert_eq!(batch.findings, []);
    }

    #[test]
    fn wrong_counts_missing_trailers_and_stray_lines_are_found() {
        let text = format!("hello\rFHS|^~\\&\rBHS|^~\\&\r{A}\rBTS|3|c\rFTS|2\rmore\r");
        let found = Batch::parse(&text).findings;
        assert_eq!(
            found,
            [
                Finding::MessageCount {
                    announced: 3,
                    found: 1
                },
                Finding::BatchCount {
                    announced: 2,
                    found: 1
                },
                Finding::StrayLines { count: 2 },
            ]
        );
        let cut = format!("BHS|^~\\&\r{A}\r");
        assert_eq!(Batch::parse(&cut).findings, [Finding::MissingTrailer]);
        let bare = format!("BHS|^~\\&\r{A}\rBTS\rBHS|^~\\&\rBHS|^~\\&\rBTS|\r");
        assert_eq!(Batch::parse(&bare).findings, [Finding::MissingTrailer]);
    }
}
