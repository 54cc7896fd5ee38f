//! Fits the parts of a post into its lines and characters (ARCHITECTURE.md "What a post says").
//!
//! Lists give up their last entries and optional groups go as a whole, in the fixed order of
//! [`rank`]. What was cut is counted in the text and stands in the sheet.

use renkei_core::limits::{POST_CHARS, POST_LINES};

/// What goes first when room is short, on one scale for entries and whole groups. Corrections outlive
/// what the reader already knows from the first telling; allergies outlive every list.
pub(super) mod rank {
    pub(in crate::post) const DRUG_LINES: u8 = 10;
    pub(in crate::post) const LAB_LINES: u8 = 11;
    pub(in crate::post) const COMPARISON_NAMES: u8 = 12;
    pub(in crate::post) const DOCUMENT_NAMES: u8 = 13;
    pub(in crate::post) const PROBLEM_NAMES: u8 = 14;
    pub(in crate::post) const SO_WHAT: u8 = 20;
    pub(in crate::post) const PLACE: u8 = 21;
    pub(in crate::post) const COMPARISON: u8 = 22;
    pub(in crate::post) const ALLERGY_NAMES: u8 = 23;
    pub(in crate::post) const CORRECTION_LINES: u8 = 30;
    pub(in crate::post) const DOCUMENTS: u8 = 40;
    pub(in crate::post) const PROBLEMS: u8 = 41;
    pub(in crate::post) const LABS: u8 = 42;
    pub(in crate::post) const MEDICATION: u8 = 43;
    pub(in crate::post) const ALLERGIES: u8 = 44;
}

/// How a group's entries stand in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One line: `病名：A、B、ほか2件（添付）`.
    Joined,
    /// One line per entry, each behind the given mark.
    Lines(&'static str),
}

/// Lines that belong together and shrink together.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// A line that stays above the entries.
    pub(super) head: Option<String>,
    /// What the entries are, for a joined line: `病名`.
    pub(super) word: &'static str,
    /// The entries in reading order.
    pub(super) entries: Vec<String>,
    /// How the entries stand.
    pub(super) shape: Shape,
    /// How many entries must stay.
    pub(super) floor: usize,
    /// What is counted: `件`, `剤`.
    pub(super) counter: &'static str,
    /// What was cut stands in an attachment.
    pub(super) attached: bool,
    /// When its last entry goes: the lowest [`rank`] of all groups first.
    pub(super) cut_rank: u8,
    /// When it goes as a whole, on the same scale; `None` = never.
    pub(super) drop_rank: Option<u8>,
}

impl Group {
    /// A line that always stays.
    pub(super) fn fixed(line: String) -> Self {
        Self::optional(line, None)
    }
    /// A line that goes as a whole when room is short.
    pub(super) fn optional(line: String, drop_rank: Option<u8>) -> Self {
        Self {
            head: Some(line),
            word: "",
            entries: Vec::new(),
            shape: Shape::Joined,
            floor: 0,
            counter: "件",
            attached: false,
            cut_rank: u8::MAX,
            drop_rank,
        }
    }

    fn rest(&self, hidden: usize) -> String {
        let attached = if self.attached { "（添付）" } else { "" };
        format!("{hidden}{}{attached}", self.counter)
    }

    fn lines(&self, shown: usize) -> Vec<String> {
        let mut lines: Vec<String> = self.head.iter().cloned().collect();
        let hidden = self.entries.len() - shown;
        let entries = &self.entries[..shown];
        match self.shape {
            Shape::Lines(mark) => {
                lines.extend(entries.iter().map(|entry| format!("{mark}{entry}")));
                match lines.last_mut().filter(|_| hidden > 0) {
                    // Under a head that already counts them, "the rest" of everything says nothing.
                    Some(_) if shown == 0 => {}
                    Some(last) => last.push_str(&format!("、ほか{}", self.rest(hidden))),
                    None if hidden > 0 => lines.push(format!("{mark}{}", self.rest(hidden))),
                    None => {}
                }
            }
            Shape::Joined if self.entries.is_empty() => {}
            Shape::Joined if shown == 0 => {
                lines.push(format!("{}：{}", self.word, self.rest(hidden)));
            }
            Shape::Joined => {
                let mut line = format!("{}：{}", self.word, entries.join("、"));
                if hidden > 0 {
                    line.push_str("、ほか");
                    line.push_str(&self.rest(hidden));
                }
                lines.push(line);
            }
        }
        lines
    }
}

/// The lines of `groups`, cut until lines and characters are within the limits.
pub(super) fn fit(groups: Vec<Group>) -> String {
    let mut parts: Vec<(Group, usize)> = groups
        .into_iter()
        .map(|group| {
            let shown = group.entries.len();
            (group, shown)
        })
        .collect();
    loop {
        let lines: Vec<String> = parts
            .iter()
            .flat_map(|(group, shown)| group.lines(*shown))
            .collect();
        let text = lines.join("\n");
        if lines.len() <= POST_LINES && text.chars().count() <= POST_CHARS {
            return text;
        }
        let long = text.chars().count() > POST_CHARS;
        let step = parts
            .iter()
            .enumerate()
            .flat_map(|(at, (group, shown))| {
                // An entry of a joined line costs characters, never lines.
                let helps = long || group.shape != Shape::Joined;
                let cut = (*shown > group.floor && helps).then_some((group.cut_rank, at, false));
                cut.into_iter()
                    .chain(group.drop_rank.map(|rank| (rank, at, true)))
            })
            .min();
        match step {
            None => return text,
            Some((_, at, true)) => {
                parts.remove(at);
            }
            Some((_, at, false)) => parts[at].1 -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(count: usize, cut_rank: u8) -> Group {
        Group {
            word: "病名",
            entries: (0..count).map(|_| "かぜ".repeat(10)).collect(),
            cut_rank,
            attached: true,
            head: None,
            ..Group::optional(String::new(), Some(9))
        }
    }

    #[test]
    fn what_is_cut_is_counted() {
        let text = fit(vec![Group::fixed("見出し".to_owned()), list(40, 1)]);
        assert!(text.chars().count() <= POST_CHARS);
        assert!(text.starts_with("見出し\n病名：かぜ"));
        assert!(text.ends_with("件（添付）"), "{text}");
    }

    #[test]
    fn the_lowest_rank_gives_up_first_and_fixed_lines_stay() {
        let fixed: Vec<Group> = (0..11)
            .map(|at| Group::fixed(format!("{at}行目")))
            .collect();
        let mut groups = fixed;
        groups.insert(1, list(3, 2));
        groups.insert(
            2,
            Group {
                shape: Shape::Lines("・"),
                ..list(3, 1)
            },
        );
        let text = fit(groups);
        assert_eq!(text.lines().count(), POST_LINES);
        assert!(text.contains("10行目"));
    }
}
