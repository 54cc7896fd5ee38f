//! Fits the parts of a post into its lines and characters (rules.md §8.1).
//!
//! Lists give up their last entries first, in a fixed order of lists; then whole optional groups
//! go. What was cut is counted in the text and stands in the sheet.

use renkei_core::limits::{POST_CHARS, POST_LINES};

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
    /// Who gives up entries first: the lowest.
    pub(super) cut_rank: u8,
    /// Who goes as a whole first: the lowest; `None` = never.
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
                // Under a head that already counts them, "the rest" of everything says nothing.
                if hidden > 0 && (shown > 0 || self.head.is_none()) {
                    let other = if shown > 0 { "ほか" } else { "" };
                    lines.push(format!("{mark}{other}{}", self.rest(hidden)));
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
        let shrinks = parts
            .iter_mut()
            .filter(|(group, shown)| *shown > group.floor)
            .min_by_key(|(group, _)| group.cut_rank);
        if let Some((_, shown)) = shrinks {
            *shown -= 1;
            continue;
        }
        let goes = parts
            .iter()
            .enumerate()
            .filter_map(|(at, (group, _))| group.drop_rank.map(|rank| (rank, at)))
            .min();
        let Some((_, at)) = goes else {
            return text;
        };
        parts.remove(at);
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
            ..Group::optional(String::new(), Some(1))
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
