//! A TrueType font as the sheet needs it: which glyph a character has and how wide it is.
//!
//! krilla embeds the subset but keeps widths and the character map to itself, so the three tables
//! needed for line breaking (`cmap`, `hhea`, `hmtx`; OpenType 1.9) are read here. No font file is
//! opened here: the caller gives the bytes.

use std::collections::HashMap;

/// A font could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FontError {
    /// Not a TrueType or OpenType font, or no font of this index in the collection.
    #[error("the bytes are no TrueType font, or the collection has no font of this index")]
    Unreadable,
    /// A table that line breaking needs is missing or cut short.
    #[error("the font lacks a usable `{0}` table")]
    Table(&'static str),
    /// The font cannot write Japanese.
    #[error("the font has no glyphs for Japanese text")]
    NotJapanese,
}

/// A loaded font. Cloning is cheap enough for once per process; load it once and lend it.
#[derive(Clone)]
pub struct Font {
    pub(super) krilla: krilla::text::Font,
    glyphs: HashMap<char, u16>,
    advances: Vec<u16>,
    units_per_em: f32,
}

impl std::fmt::Debug for Font {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Font({} characters)", self.glyphs.len())
    }
}

impl Font {
    /// Reads a font; `index` chooses within a `.ttc` collection and is 0 for a single font.
    ///
    /// # Errors
    /// When the bytes are no font, a needed table is missing, or it has no Japanese characters.
    pub fn load(bytes: Vec<u8>, index: u32) -> Result<Self, FontError> {
        let tables = Tables::find(&bytes, index).ok_or(FontError::Unreadable)?;
        let units_per_em = tables.u16("head", 18).filter(|units| *units > 0);
        let units_per_em = units_per_em.ok_or(FontError::Table("head"))?;
        let advances = tables.advances().ok_or(FontError::Table("hmtx"))?;
        let glyphs = tables.characters().ok_or(FontError::Table("cmap"))?;
        if !['退', '院', 'ア', 'あ']
            .iter()
            .all(|sample| glyphs.contains_key(sample))
        {
            return Err(FontError::NotJapanese);
        }
        let krilla = krilla::text::Font::new(bytes.into(), index).ok_or(FontError::Unreadable)?;
        Ok(Self {
            krilla,
            glyphs,
            advances,
            units_per_em: f32::from(units_per_em),
        })
    }

    /// The glyph of a character; for one the font lacks that of `〓`, which says so.
    pub(super) fn glyph(&self, character: char) -> u16 {
        [character, '〓', '?']
            .iter()
            .find_map(|c| self.glyphs.get(c))
            .copied()
            .unwrap_or(0)
    }

    /// Width of a glyph in em.
    pub(super) fn advance(&self, glyph: u16) -> f32 {
        // Fixed-pitch fonts list one width for all glyphs behind the last.
        let width = self
            .advances
            .get(usize::from(glyph))
            .or(self.advances.last());
        f32::from(width.copied().unwrap_or(0)) / self.units_per_em
    }

    /// Width of a text in em.
    pub(super) fn width(&self, text: &str) -> f32 {
        text.chars()
            .map(|character| self.advance(self.glyph(character)))
            .sum()
    }
}

/// The tables of one font within a file.
struct Tables<'a> {
    file: &'a [u8],
    directory: usize,
    count: usize,
}

impl<'a> Tables<'a> {
    fn find(file: &'a [u8], index: u32) -> Option<Self> {
        let directory = match file.get(..4)? {
            b"ttcf" => {
                let count = u32_at(file, 8)?;
                let slot = usize::try_from(index).ok().filter(|_| index < count)?;
                usize::try_from(u32_at(file, 12 + slot * 4)?).ok()?
            }
            _ if index > 0 => return None,
            _ => 0,
        };
        let count = usize::from(u16_at(file, directory.checked_add(4)?)?);
        Some(Self {
            file,
            directory,
            count,
        })
    }

    fn table(&self, tag: &str) -> Option<&'a [u8]> {
        for entry in 0..self.count {
            let at = self.directory + 12 + entry * 16;
            if self.file.get(at..at + 4)? == tag.as_bytes() {
                let start = usize::try_from(u32_at(self.file, at + 8)?).ok()?;
                let length = usize::try_from(u32_at(self.file, at + 12)?).ok()?;
                return self.file.get(start..start.checked_add(length)?);
            }
        }
        None
    }

    fn u16(&self, tag: &str, at: usize) -> Option<u16> {
        u16_at(self.table(tag)?, at)
    }

    fn advances(&self) -> Option<Vec<u16>> {
        let count = usize::from(self.u16("hhea", 34)?);
        let widths = self.table("hmtx")?;
        (0..count).map(|glyph| u16_at(widths, glyph * 4)).collect()
    }

    /// Every character of the widest Unicode subtable (formats 12 and 4).
    fn characters(&self) -> Option<HashMap<char, u16>> {
        let cmap = self.table("cmap")?;
        let mut best: Option<(u16, &[u8])> = None;
        for entry in 0..usize::from(u16_at(cmap, 2)?) {
            let at = 4 + entry * 8;
            let unicode = matches!(
                (u16_at(cmap, at)?, u16_at(cmap, at + 2)?),
                (0, _) | (3, 1 | 10)
            );
            let start = usize::try_from(u32_at(cmap, at + 4)?).ok()?;
            let Some(subtable) = cmap.get(start..) else {
                continue;
            };
            let format = u16_at(subtable, 0)?;
            if unicode && matches!(format, 4 | 12) && best.is_none_or(|(other, _)| other < format) {
                best = Some((format, subtable));
            }
        }
        match best? {
            (12, subtable) => format_12(subtable),
            (_, subtable) => format_4(subtable),
        }
    }
}

fn format_12(table: &[u8]) -> Option<HashMap<char, u16>> {
    let mut glyphs = HashMap::new();
    let groups = usize::try_from(u32_at(table, 12)?).ok()?;
    // A damaged table may repeat ranges without end; a font has no more characters than Unicode.
    let mut budget = 0x11_0000_u32;
    for group in 0..groups {
        let at = 16 + group.checked_mul(12)?;
        let (first, last) = (u32_at(table, at)?, u32_at(table, at + 4)?);
        let glyph = u32_at(table, at + 8)?;
        // A glyph number has 16 bits, so a longer group is a damaged one.
        for offset in 0..=last.saturating_sub(first).min(0xFFFF) {
            budget = budget.checked_sub(1)?;
            let (Some(character), Ok(glyph)) = (
                char::from_u32(first.wrapping_add(offset)),
                u16::try_from(glyph.wrapping_add(offset)),
            ) else {
                continue;
            };
            glyphs.insert(character, glyph);
        }
    }
    Some(glyphs)
}

fn format_4(table: &[u8]) -> Option<HashMap<char, u16>> {
    let mut glyphs = HashMap::new();
    let double = usize::from(u16_at(table, 6)?);
    let mut budget = 0x2_0000_u32;
    for segment in (0..double).step_by(2) {
        let last = u16_at(table, 14 + segment)?;
        let first = u16_at(table, 16 + double + segment)?;
        let delta = u16_at(table, 16 + double * 2 + segment)?;
        let range_at = 16 + double * 3 + segment;
        let range = usize::from(u16_at(table, range_at)?);
        for code in first..=last {
            budget = budget.checked_sub(1)?;
            let glyph = match range {
                0 => code.wrapping_add(delta),
                _ => match u16_at(table, range_at + range + usize::from(code - first) * 2) {
                    None | Some(0) => continue,
                    Some(glyph) => glyph.wrapping_add(delta),
                },
            };
            if let Some(character) = char::from_u32(u32::from(code)).filter(|_| glyph > 0) {
                glyphs.insert(character, glyph);
            }
        }
    }
    Some(glyphs)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}
