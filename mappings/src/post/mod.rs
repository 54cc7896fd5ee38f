//! What a post says: one pure renderer from a notice and an audience to the text people read.
//!
//! Called once per notice version and disclosure when a delivery is planned; the result is stored
//! and every retry sends it. Who may see what is decided elsewhere: the given [`Disclosure`] is
//! applied here, never widened. Sinks only frame, split and encode; nothing else in the hub writes
//! sentences for readers. The rules are ARCHITECTURE.md "What a post says"; [`check()`] holds a post against them.
//!
//! The way through: [`share`] cuts and cleans → [`body`], [`correction`] and [`sheet`] say it →
//! [`mod@fit`] makes room. [`pdf`] draws the sheet.

mod body;
mod check;
mod clean;
mod correction;
mod fit;
pub mod font;
mod layout;
pub mod pdf;
mod share;
mod sheet;
#[cfg(test)]
mod tests;
mod words;

use renkei_core::delivery::AttachmentRef;
use renkei_core::limits::HEADLINE_CHARS;
use renkei_core::{Change, Disclosure, NoticeContent, NoticeKind, Post};

pub use check::{AsSent, Violation, check};

use clean::clip;
use fit::{Group, Shape, fit, rank};
use share::{Share, SpeakerShare};

/// What is asked of the renderer beside the notice and its audience.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// First telling, correction or cancellation.
    pub change: Change,
    /// What the readers were told before: a correction says first what differs from it.
    pub previous: Option<&'a NoticeContent>,
    /// The event is older than [`renkei_core::limits::LATE_AFTER`]: 「遅れて届きました」.
    pub late: bool,
    /// A reply to the post really reaches the facility.
    pub reply_reaches: bool,
    /// Not the live environment: 【試験】 stands first.
    pub test_prefix: bool,
    /// The hub's stable reference of the event: `<notice>.<version>`.
    pub client_ref: String,
    /// The facility that speaks (ten digits).
    pub author_facility: String,
}

/// Writes the post for the readers described by `disclosure`.
///
/// `None` when the disclosure leaves nothing of the event itself, and when a correction changed
/// nothing that these readers may see. A wrong-patient withdrawal is always written: its readers
/// saw what they should not have seen, and it repeats none of it. The last line of the text is the
/// post's `source_note`; sinks need not add it again.
pub fn render(content: &NoticeContent, disclosure: &Disclosure, ask: &Ask<'_>) -> Option<Post> {
    if ask.change == Change::WrongPatient {
        return Some(wrong_patient(content, ask));
    }
    let share = Share::of(content, disclosure)?;
    if content.cancelled || ask.change == Change::Cancelled {
        return Some(cancelled(content, &share, ask));
    }
    let corrected = ask.change == Change::Corrected;
    let before = ask
        .previous
        .filter(|_| corrected)
        .and_then(|told| Share::of(told, disclosure));
    let corrections = match &before {
        Some(before) => {
            let lines = correction::lines(before, &share);
            if lines.is_empty() {
                return None;
            }
            lines
        }
        None if corrected => vec!["前の投稿を訂正します".to_owned()],
        None => Vec::new(),
    };
    let sheet = sheet::sheet(&share, &corrections, ask.reply_reaches);
    let mut groups = Vec::new();
    if !corrections.is_empty() {
        groups.push(Group {
            head: None,
            entries: corrections.iter().map(|line| clip(line, 80)).collect(),
            shape: Shape::Lines(""),
            floor: 1,
            counter: "件の訂正",
            attached: sheet.is_some(),
            cut_rank: rank::CORRECTION_LINES,
            ..Group::fixed(String::new())
        });
    }
    if ask.late {
        groups.push(Group::fixed("遅れて届きました".to_owned()));
    }
    groups.extend(body::middle(&share, content.urgency));
    groups.extend(body::tail(&share.speaker, ask.reply_reaches));
    let mark = if corrected { "【訂正】" } else { "" };
    let mut post = envelope(content, &share.speaker.facility, ask);
    post.change = if corrected {
        Change::Corrected
    } else {
        Change::First
    };
    post.headline = headline(&share, mark, ask.test_prefix);
    post.text = fit(groups);
    post.attachments = attachments(&share);
    post.sheet = sheet;
    Some(post)
}

/// The parts of a post that are the same for every change.
fn envelope(content: &NoticeContent, facility: &str, ask: &Ask<'_>) -> Post {
    Post {
        client_ref: ask.client_ref.clone(),
        kind: content.kind,
        change: ask.change,
        headline: String::new(),
        text: String::new(),
        urgency: content.urgency,
        occurred_at: words::rfc3339(&content.occurred),
        author: facility.to_owned(),
        author_facility: ask.author_facility.clone(),
        source_note: body::source_note(facility),
        attachments: Vec::new(),
        sheet: None,
    }
}

/// 【退院】1/31(金)11:00 架空総合病院 → 自宅（訪問看護あり）
fn headline(share: &Share, mark: &str, test: bool) -> String {
    let test = if test { "【試験】" } else { "" };
    let mut line = format!("{test}{mark}【{}】", share.kind.label());
    match share.headline_moment() {
        Some(moment) => line.push_str(&format!("{moment} ")),
        None if share.kind == NoticeKind::DischargePlan => line.push_str("日程の情報なし "),
        None => {}
    }
    line.push_str(&share.speaker.facility);
    if share.death {
        line.push_str("（死亡による退院）");
        return clip(&line, HEADLINE_CHARS);
    }
    let to_place = share
        .place
        .as_ref()
        .filter(|_| share.kind == NoticeKind::Transfer);
    if let Some(to) = share.destination.as_ref().or(to_place) {
        line.push_str(&format!(" → {to}"));
    }
    if share.kind == NoticeKind::Document
        && let Some(first) = share.documents.first()
    {
        line.push_str(&format!(" {}", first.class.label()));
        if share.documents.len() > 1 {
            line.push_str(&format!("ほか{}件", share.documents.len() - 1));
        }
    }
    clip(&line, HEADLINE_CHARS)
}

/// Takes back what was told, without telling more.
fn cancelled(content: &NoticeContent, share: &Share, ask: &Ask<'_>) -> Post {
    let moment = share
        .headline_moment()
        .map(|moment| format!("{moment}の"))
        .unwrap_or_default();
    let mut groups = vec![Group::fixed(format!(
        "{moment}{}の連絡は取り消されました",
        share.kind.label()
    ))];
    groups.extend(share.patient.clone().map(Group::fixed));
    groups.push(Group::fixed(
        "この連絡で予定を変えた場合はご確認ください".to_owned(),
    ));
    groups.extend(body::tail(&share.speaker, ask.reply_reaches));
    let mut post = envelope(content, &share.speaker.facility, ask);
    post.change = Change::Cancelled;
    post.headline = headline(share, "【取消】", ask.test_prefix);
    post.text = fit(groups);
    post
}

/// Withdraws a post that reached the wrong team: nothing of the person or the event is repeated.
fn wrong_patient(content: &NoticeContent, ask: &Ask<'_>) -> Post {
    let speaker = SpeakerShare::of(&content.speaker);
    let lines = [
        "先の投稿は別の方の情報を誤って送ったものです",
        "内容は使わず、写しや印刷があれば破棄してください",
    ];
    let mut groups: Vec<Group> = lines
        .into_iter()
        .map(|line| Group::fixed(line.to_owned()))
        .collect();
    groups.extend(body::tail(&speaker, ask.reply_reaches));
    let test = if ask.test_prefix { "【試験】" } else { "" };
    let mut post = envelope(content, &speaker.facility, ask);
    post.headline = clip(
        &format!("{test}【取消】誤送信 {}", speaker.facility),
        HEADLINE_CHARS,
    );
    post.text = fit(groups);
    post
}

/// The originals that these readers may get, under names that hold no patient data.
fn attachments(share: &Share) -> Vec<AttachmentRef> {
    let attached = share.documents.iter().filter(|document| document.attached);
    attached
        .enumerate()
        .map(|(at, document)| AttachmentRef {
            sha256: document.sha256.clone(),
            media_type: document.media_type.clone(),
            file_name: format!(
                "{}_{}.{}",
                document.class.label(),
                at + 1,
                extension(&document.media_type)
            ),
            size: document.size,
        })
        .collect()
}

fn extension(media_type: &str) -> &'static str {
    match media_type {
        "application/pdf" => "pdf",
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/tiff" => "tif",
        "text/plain" => "txt",
        "text/html" => "html",
        "text/csv" => "csv",
        "application/xml" | "text/xml" => "xml",
        _ => "bin",
    }
}
