//! A sheet as PDF: A4, the used part of one Japanese font embedded, text selectable.
//!
//! The same sheet and font give the same bytes: no clock, no random id, so that a retry sends what
//! was stored and a test can compare. The metadata name the form, never the patient.

use krilla::color::luma;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;
use krilla::text::{GlyphId, KrillaGlyph};
use krilla::{Document, SerializeSettings};
use renkei_core::delivery::Sheet;

use super::font::Font;
use super::layout::{self, Bar, Line};

/// A sheet could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// The page size was refused; cannot happen with A4.
    #[error("the page size was refused")]
    Page,
    /// The font could not be embedded, or a limit of the format was passed.
    #[error("the document could not be written")]
    Write(#[source] krilla::error::KrillaError),
}

/// Draws `sheet`. A table of three or more columns shows its first row as header.
///
/// # Errors
/// When the font cannot be embedded.
pub fn pdf(sheet: &Sheet, font: &Font) -> Result<Vec<u8>, PdfError> {
    let mut document = Document::new_with(SerializeSettings::default());
    let metadata = Metadata::new()
        .title(sheet.title.clone())
        .language("ja".to_owned())
        .creator("renkei".to_owned());
    document.set_metadata(metadata);
    for page in layout::pages(sheet, font) {
        let settings =
            PageSettings::from_wh(layout::PAGE.0, layout::PAGE.1).ok_or(PdfError::Page)?;
        let mut sheet_page = document.start_page_with(settings);
        let mut surface = sheet_page.surface();
        for bar in &page.bars {
            draw_bar(&mut surface, bar);
        }
        surface.set_fill(Some(grey(0)));
        for line in &page.lines {
            draw_line(&mut surface, line, font);
        }
        surface.finish();
        sheet_page.finish();
    }
    document.finish().map_err(PdfError::Write)
}

fn grey(lightness: u8) -> Fill {
    Fill {
        paint: luma::Color::new(lightness).into(),
        opacity: NormalizedF32::ONE,
        rule: krilla::paint::FillRule::default(),
    }
}

fn draw_bar(surface: &mut Surface<'_>, bar: &Bar) {
    let mut path = PathBuilder::new();
    let Some(area) = Rect::from_xywh(bar.x, bar.y, bar.width, bar.height) else {
        return;
    };
    path.push_rect(area);
    if let Some(path) = path.finish() {
        surface.set_fill(Some(grey(bar.grey)));
        surface.draw_path(&path);
    }
}

fn draw_line(surface: &mut Surface<'_>, line: &Line, font: &Font) {
    let glyphs: Vec<KrillaGlyph> = line
        .text
        .char_indices()
        .map(|(at, character)| {
            let glyph = font.glyph(character);
            KrillaGlyph::new(
                GlyphId::new(u32::from(glyph)),
                font.advance(glyph),
                0.0,
                0.0,
                0.0,
                at..at + character.len_utf8(),
                None,
            )
        })
        .collect();
    let start = Point::from_xy(line.x, line.y);
    surface.draw_glyphs(
        start,
        &glyphs,
        font.krilla.clone(),
        &line.text,
        line.size,
        false,
    );
}
