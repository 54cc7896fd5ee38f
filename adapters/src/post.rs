//! What every sink does to a post before its own words begin: mark the headline, split the text, read
//! the time, check the documents. Content is never altered; what does not fit is refused.

use renkei_core::{Attachment, Change, Code, Delivery, FrameError, Post, delivery::AttachmentRef};

/// Characters of a headline in every contract.
const HEADLINE: usize = renkei_core::limits::HEADLINE_CHARS;
/// Posts one text may be split into; more belongs on the sheet.
const PARTS: usize = 3;
/// Characters of `(1/3)` and its line break.
const MARK: usize = 6;
/// Documents with one post in every contract.
const DOCUMENTS: usize = 10;
/// Largest document in every contract, in bytes.
const DOCUMENT_BYTES: u64 = 20 * 1024 * 1024;

/// A refusal with [`Code::DLV_FRAME`].
pub(crate) fn refuse(reason: impl Into<String>) -> FrameError {
    FrameError {
        code: Code::DLV_FRAME,
        reason: reason.into(),
    }
}

/// The mark of a correction or cancellation.
fn mark(change: Change) -> &'static str {
    match change {
        Change::First => "",
        Change::Corrected => "【訂正】",
        Change::Cancelled | Change::WrongPatient => "【取消】",
    }
}

/// The contracts' word for a change; `None` for a first telling.
pub(crate) fn change_word(change: Change) -> Option<&'static str> {
    match change {
        Change::First => None,
        Change::Corrected => Some("corrected"),
        Change::Cancelled => Some("cancelled"),
        Change::WrongPatient => Some("wrong_patient"),
    }
}

/// Headline and text as sent: the headline bears its mark, once.
pub(crate) fn marked(post: &Post) -> Result<(String, String), FrameError> {
    let mark = mark(post.change);
    let full = if post.headline.contains(mark) {
        post.headline.clone()
    } else {
        format!("{mark}{}", post.headline)
    };
    if post.headline.trim().is_empty() || full.contains(['\r', '\n']) {
        return Err(refuse("the headline is empty or has more than one line"));
    }
    if post.headline.chars().count() > HEADLINE {
        return Err(refuse(format!(
            "the headline is longer than {HEADLINE} characters"
        )));
    }
    let text = if post.text.is_empty() {
        full.clone()
    } else {
        post.text.clone()
    };
    Ok(fit(full, text))
}

/// A headline that became too long ends in `…` and stands in full as the first line of the text.
pub(crate) fn fit(full: String, text: String) -> (String, String) {
    if full.chars().count() <= HEADLINE {
        return (full, text);
    }
    let cut = full.chars().take(HEADLINE - 1).chain(['…']).collect();
    (cut, format!("{full}\n{text}"))
}

/// The text in parts of at most `limit` characters, cut at line ends where there are any; several
/// parts begin with `(1/3)` and a line break, without which they join to the text again.
pub(crate) fn parts(text: &str, limit: usize) -> Result<Vec<String>, FrameError> {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= limit {
        return Ok(vec![text.to_owned()]);
    }
    let room = limit.saturating_sub(MARK).max(1);
    let mut pieces: Vec<String> = Vec::new();
    let mut rest = letters.as_slice();
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(cut(rest, room));
        pieces.push(piece.iter().collect());
        rest = later;
        if pieces.len() > PARTS {
            return Err(refuse(format!(
                "the text needs more than {PARTS} posts of {limit} characters; the rest belongs on the sheet"
            )));
        }
    }
    let count = pieces.len();
    Ok(pieces
        .iter()
        .enumerate()
        .map(|(at, piece)| format!("({}/{count})\n{piece}", at + 1))
        .collect())
}

/// Where the first part of `letters` ends: after the last line break of its second half, else at
/// `room`, but never between a letter and its sound mark or variant selector.
fn cut(letters: &[char], room: usize) -> usize {
    if letters.len() <= room {
        return letters.len();
    }
    let window = letters.get(..room).unwrap_or(letters);
    if let Some(at) = window.iter().rposition(|letter| *letter == '\n')
        && at >= room / 2
    {
        return at + 1;
    }
    let belongs_to_previous = |at: usize| {
        letters.get(at).is_some_and(|letter| {
            matches!(letter, '\u{3099}' | '\u{309a}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{200d}')
        })
    };
    (room / 2 + 1..=room)
        .rev()
        .find(|at| !belongs_to_previous(*at))
        .unwrap_or(room)
}

/// `occurred_at` as the contracts want it, RFC 3339. A post that knows only the day says its midnight
/// in Japan.
pub(crate) fn occurred_at(post: &Post) -> Result<String, FrameError> {
    if post.occurred_at.parse::<jiff::Timestamp>().is_ok() {
        return Ok(post.occurred_at.clone());
    }
    if let Ok(time) = post.occurred_at.parse::<jiff::civil::DateTime>() {
        return Ok(format!("{}+09:00", time.strftime("%Y-%m-%dT%H:%M:%S")));
    }
    Err(refuse(
        "the time of the event is neither a date nor RFC 3339",
    ))
}

/// Refuses documents that no contract carries.
pub(crate) fn check_documents(
    documents: &[AttachmentRef],
    types: &[&str],
) -> Result<(), FrameError> {
    if documents.len() > DOCUMENTS {
        return Err(refuse(format!("more than {DOCUMENTS} documents")));
    }
    for (at, document) in documents.iter().enumerate() {
        if !types.contains(&document.media_type.as_str()) {
            return Err(refuse(format!(
                "document {} is of a type the peer does not take",
                at + 1
            )));
        }
        if document.size > DOCUMENT_BYTES {
            return Err(refuse(format!("document {} is larger than 20 MiB", at + 1)));
        }
    }
    Ok(())
}

/// Whether the delivery carries the documents its payload names, in that order.
pub(crate) fn has_its_documents(delivery: &Delivery) -> bool {
    let same = |(attachment, reference): (&Attachment, &AttachmentRef)| {
        attachment.reference.sha256 == reference.sha256
    };
    delivery.attachments.len() == delivery.payload.attachments.len()
        && delivery
            .attachments
            .iter()
            .zip(&delivery.payload.attachments)
            .all(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::a_post;

    #[test]
    fn a_long_text_is_split_and_nothing_is_lost() {
        let line = "ア".repeat(100) + "\n";
        let text = line.repeat(45);
        let parts = parts(&text, 2000).unwrap();
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.chars().count() <= 2000));
        assert!(parts[1].starts_with("(2/3)\n"));
        let joined: String = parts.iter().map(|part| &part[MARK..]).collect();
        assert_eq!(joined, text);
        assert!(super::parts(&line.repeat(90), 2000).is_err());
        assert_eq!(super::parts("短い", 2000).unwrap(), ["短い"]);
    }

    #[test]
    fn a_cut_does_not_part_a_letter_from_its_mark() {
        let text = "か\u{3099}".repeat(1100);
        for part in parts(&text, 2000).unwrap() {
            assert!(!part[MARK..].starts_with('\u{3099}'));
        }
    }

    #[test]
    fn a_correction_is_marked_once_and_never_loses_its_headline() {
        let mut post = a_post();
        post.change = Change::Corrected;
        assert!(marked(&post).unwrap().0.starts_with("【訂正】【退院】"));
        post.headline = format!("【訂正】{}", post.headline);
        assert_eq!(marked(&post).unwrap().0, post.headline);
        post.change = Change::Cancelled;
        post.headline = "あ".repeat(60);
        let (line, text) = marked(&post).unwrap();
        assert_eq!(line.chars().count(), 60);
        assert!(text.starts_with(&format!("【取消】{}\n", post.headline)));
    }

    #[test]
    fn a_day_is_told_as_its_midnight() {
        let mut post = a_post();
        for (given, said) in [
            ("2025-01-31T11:00:00+09:00", "2025-01-31T11:00:00+09:00"),
            ("2025-01-31", "2025-01-31T00:00:00+09:00"),
            ("2025-01-31T11:00", "2025-01-31T11:00:00+09:00"),
        ] {
            post.occurred_at = given.to_owned();
            assert_eq!(occurred_at(&post).unwrap(), said);
        }
        post.occurred_at = "昨日".to_owned();
        assert!(occurred_at(&post).is_err());
    }
}
