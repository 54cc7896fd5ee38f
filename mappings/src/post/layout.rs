//! Where everything of a sheet stands on its A4 pages: line breaking, tables, page breaks.
//!
//! Pure geometry in points from the top left corner; [`super::pdf`] only draws the result.

use renkei_core::delivery::{Sheet, SheetSection};

use super::font::Font;

/// A4.
pub(super) const PAGE: (f32, f32) = (595.28, 841.89);
const MARGIN: f32 = 48.0;
const WIDTH: f32 = PAGE.0 - 2.0 * MARGIN;
const TITLE: f32 = 17.0;
const HEADING: f32 = 11.5;
const TEXT: f32 = 9.5;
const FOOT: f32 = 8.0;
/// Line height in ems: Japanese text without ruby reads well at one and a half.
const LEADING: f32 = 1.5;
const CELL_PADDING: f32 = 4.0;

/// A line of text; `y` is its baseline.
pub(super) struct Line {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) size: f32,
    pub(super) text: String,
}

/// A filled rectangle: a rule, or the ground of a header row.
pub(super) struct Bar {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) height: f32,
    /// 0 black to 255 white.
    pub(super) grey: u8,
}

/// One page.
#[derive(Default)]
pub(super) struct Page {
    pub(super) lines: Vec<Line>,
    pub(super) bars: Vec<Bar>,
}

/// Lays the sheet out. There is always at least one page.
pub(super) fn pages(sheet: &Sheet, font: &Font) -> Vec<Page> {
    let foot: Vec<String> = sheet
        .foot
        .iter()
        .flat_map(|line| wrap(line, WIDTH, FOOT, font))
        .take(6)
        .collect();
    let lines = u8::try_from(foot.len()).unwrap_or(u8::MAX);
    let bottom = PAGE.1 - MARGIN - (f32::from(lines) + 1.0) * FOOT * LEADING;
    let mut flow = Flow {
        pages: vec![Page::default()],
        y: MARGIN,
        bottom,
        font,
    };
    flow.paragraph(&sheet.title, TITLE);
    flow.paragraph(&sheet.subtitle, TEXT);
    for section in &sheet.sections {
        flow.section(section);
    }
    let mut pages = flow.pages;
    let count = pages.len();
    for (at, page) in pages.iter_mut().enumerate() {
        page.bars.push(Bar {
            x: MARGIN,
            y: bottom + 4.0,
            width: WIDTH,
            height: 0.5,
            grey: 120,
        });
        let mut y = bottom + 4.0;
        for text in &foot {
            y += FOOT * LEADING;
            page.lines.push(Line {
                x: MARGIN,
                y,
                size: FOOT,
                text: text.clone(),
            });
        }
        let text = format!("{}/{count}", at + 1);
        let x = PAGE.0 - MARGIN - font.width(&text) * FOOT;
        page.lines.push(Line {
            x,
            y: y + FOOT * LEADING,
            size: FOOT,
            text,
        });
    }
    pages
}

struct Flow<'a> {
    pages: Vec<Page>,
    /// Where the next line begins.
    y: f32,
    /// Where the foot begins.
    bottom: f32,
    font: &'a Font,
}

impl Flow<'_> {
    fn page(&mut self) -> &mut Page {
        if self.pages.is_empty() {
            self.pages.push(Page::default());
        }
        let last = self.pages.len() - 1;
        &mut self.pages[last]
    }

    /// Starts a page when less than `height` is left; true when it did.
    fn make_room(&mut self, height: f32) -> bool {
        let breaks = self.y + height > self.bottom && self.y > MARGIN;
        if breaks {
            self.pages.push(Page::default());
            self.y = MARGIN;
        }
        breaks
    }

    fn paragraph(&mut self, text: &str, size: f32) {
        for line in wrap(text, WIDTH, size, self.font) {
            self.make_room(size * LEADING);
            let y = self.y + size * 1.1;
            self.page().lines.push(Line {
                x: MARGIN,
                y,
                size,
                text: line,
            });
            self.y += size * LEADING;
        }
    }

    fn section(&mut self, section: &SheetSection) {
        self.y += TEXT;
        // A heading is not left alone at the foot of a page.
        self.make_room(HEADING * LEADING + 3.0 * TEXT * LEADING);
        self.paragraph(&section.heading, HEADING);
        let y = self.y;
        self.page().bars.push(Bar {
            x: MARGIN,
            y,
            width: WIDTH,
            height: 0.8,
            grey: 60,
        });
        self.y += 4.0;
        let mut rows = section.rows.as_slice();
        while let Some(first) = rows.first() {
            let columns = first.len();
            if columns <= 1 {
                self.paragraph(first.first().map_or("", String::as_str), TEXT);
                rows = &rows[1..];
                continue;
            }
            let end = rows
                .iter()
                .position(|row| row.len() != columns)
                .unwrap_or(rows.len());
            self.table(&rows[..end], columns);
            rows = &rows[end..];
        }
    }

    /// A table; with three columns or more its first row is the header, repeated on every page.
    fn table(&mut self, rows: &[Vec<String>], columns: usize) {
        let widths = column_widths(rows, columns, self.font);
        let header = if columns > 2 { rows.first() } else { None };
        for (at, row) in rows.iter().enumerate() {
            let cells: Vec<Vec<String>> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| wrap(cell, width - 2.0 * CELL_PADDING, TEXT, self.font))
                .collect();
            let height: f32 = cells
                .iter()
                .map(|lines| lines.iter().map(|_| TEXT * LEADING).sum())
                .fold(TEXT * LEADING, f32::max);
            let broke = self.make_room(height.min(self.bottom - MARGIN));
            if let Some(header) = header.filter(|_| broke && at > 0) {
                let cells: Vec<Vec<String>> =
                    header.iter().map(|cell| vec![cell.clone()]).collect();
                self.row(&cells, &widths, true);
            }
            self.row(&cells, &widths, header.is_some() && at == 0);
        }
    }

    fn row(&mut self, cells: &[Vec<String>], widths: &[f32], header: bool) {
        let lines = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
        for at in 0..lines {
            self.make_room(TEXT * LEADING);
            let y = self.y;
            if header {
                let height = TEXT * LEADING;
                self.page().bars.push(Bar {
                    x: MARGIN,
                    y,
                    width: WIDTH,
                    height,
                    grey: 232,
                });
            }
            let mut x = MARGIN;
            for (cell, width) in cells.iter().zip(widths) {
                if let Some(text) = cell.get(at) {
                    let line = Line {
                        x: x + CELL_PADDING,
                        y: y + TEXT * 1.1,
                        size: TEXT,
                        text: text.clone(),
                    };
                    self.page().lines.push(line);
                }
                x += width;
            }
            self.y += TEXT * LEADING;
        }
        let y = self.y;
        self.page().bars.push(Bar {
            x: MARGIN,
            y,
            width: WIDTH,
            height: 0.3,
            grey: 170,
        });
    }
}

/// Every column gets its natural width; when that is too much, the wide ones share what the narrow
/// ones leave.
fn column_widths(rows: &[Vec<String>], columns: usize, font: &Font) -> Vec<f32> {
    let natural: Vec<f32> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| font.width(cell) * TEXT)
                .fold(TEXT * 2.0, f32::max)
                + 2.0 * CELL_PADDING
        })
        .collect();
    let mut widths = vec![0.0_f32; columns];
    let mut open: Vec<usize> = (0..columns).collect();
    let mut left = WIDTH;
    loop {
        let share = left / open.iter().map(|_| 1.0_f32).sum::<f32>().max(1.0);
        let (narrow, wide): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|column| natural[**column] <= share);
        for column in &narrow {
            widths[*column] = natural[*column];
            left -= natural[*column];
        }
        if narrow.is_empty() || wide.is_empty() {
            for column in wide {
                widths[column] = share;
            }
            return widths;
        }
        open = wide;
    }
}

/// Breaks a text into lines of at most `width` points, by the simple rules of JIS X 4051: no line
/// begins with a closing mark or a small kana, none ends with an opening mark, and a word of
/// letters and digits stays whole when it fits into a line.
pub(super) fn wrap(text: &str, width: f32, size: f32, font: &Font) -> Vec<String> {
    let units = units(text, width, size, font);
    let mut lines = Vec::new();
    let mut start = 0;
    while start < units.len() {
        let mut used = 0.0;
        let mut end = start;
        while end < units.len() && (end == start || used + units[end].1 <= width) {
            used += units[end].1;
            end += 1;
        }
        if end < units.len() {
            let mut better = end;
            while better > start + 1
                && (begins_no_line(units[better].0) || ends_no_line(units[better - 1].0))
            {
                better -= 1;
            }
            let fits = !begins_no_line(units[better].0) && !ends_no_line(units[better - 1].0);
            end = if fits { better } else { end };
        }
        let line: String = units[start..end].iter().map(|(unit, _)| *unit).collect();
        lines.push(line.trim_end().to_owned());
        start = end;
        while units
            .get(start)
            .is_some_and(|(unit, _)| unit.trim().is_empty())
        {
            start += 1;
        }
    }
    lines
}

/// The pieces that a line break may not part, each with its width.
fn units<'a>(text: &'a str, width: f32, size: f32, font: &Font) -> Vec<(&'a str, f32)> {
    let mut units = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest
            .find(|c: char| !c.is_ascii_graphic())
            .unwrap_or(rest.len());
        let fits = word > 0 && font.width(&rest[..word]) * size <= width;
        let (piece, after) = rest.split_at(word.max(first.len_utf8()));
        if fits || word == 0 {
            units.push((piece, font.width(piece) * size));
        } else {
            // Longer than a line: it may break anywhere.
            let letters = (0..piece.len()).map(|at| &piece[at..=at]);
            units.extend(letters.map(|letter| (letter, font.width(letter) * size)));
        }
        rest = after;
    }
    units
}

fn begins_no_line(unit: &str) -> bool {
    unit.starts_with(|c| {
        "、。，．・：；？！ー…）」』】〕｝〉》〟’”ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ々ゝゞヽヾ,.:;?!)]}%％℃".contains(c)
    })
}

fn ends_no_line(unit: &str) -> bool {
    unit.ends_with(|c| "（「『【〔｛〈《〝‘“([{".contains(c))
}
