//! Stop 7, route: permit, deny or hold, per channel, each with the rule that decided. Default deny.
//!
//! One function, [`permit`], answers at planning and again when a delivery is sent (and later for FHIR
//! reads and console views). It judges; it does not render: the post is made by
//! `renkei_mappings::post` from the disclosure decided here.

pub mod consent;
pub mod plan;
pub mod relevance;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use renkei_core::{
    Channel, ChannelKind, ChannelStatus, Code, Disclosure, Form, ItemClass, NoticeContent,
    NoticeKind, SourceName, Urgency, limits,
};

use crate::config::{Setup, SinkMode};
use crate::world::{Consent, Record};
use consent::Disclosing;

/// Everything the policy looks at for one notice version and one channel.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The configuration.
    pub setup: &'a Setup,
    /// The record that speaks.
    pub record: &'a Record,
    /// Its consents.
    pub consents: &'a [Consent],
    /// Where to; its members are those last read.
    pub channel: &'a Channel,
    /// What would be told.
    pub content: &'a NoticeContent,
    /// When the event happened.
    pub occurred_at: Timestamp,
    /// The source its first part came from.
    pub source: &'a SourceName,
    /// Never told without a named person's release.
    pub never_automatic: Option<Code>,
    /// From a first walk, a replay or an import.
    pub backfill: bool,
    /// A named operator released it: only what protects the patient still stops it.
    pub released: bool,
    /// Posts in this channel today, u0 aside.
    pub posts_today: u32,
    /// Now.
    pub now: Timestamp,
}

/// The policy's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// May go, showing this much.
    Permit {
        /// What the readers may see.
        disclosure: Disclosure,
        /// The ground, in words.
        ground: String,
    },
    /// Rendered and kept, waits for a named person.
    Hold {
        /// The rule.
        code: Code,
        /// What the readers may see once it is released.
        disclosure: Disclosure,
    },
    /// Does not go.
    Deny {
        /// The rule.
        code: Code,
    },
}

/// Judges one notice version for one channel. Gates in order; the first that fails ends it.
pub fn permit(question: &Question<'_>) -> Answer {
    if let Some(code) = closed_channel(question.channel) {
        return Answer::Deny { code };
    }
    let asked = Disclosing {
        setup: question.setup,
        record: question.record,
        channel: question.channel,
        now: question.now,
    };
    let named: Vec<&Consent> = question
        .consents
        .iter()
        .filter(|consent| consent.names(question.record))
        .collect();
    if named.is_empty() && !question.consents.is_empty() {
        return Answer::Deny {
            code: Code::RTE_CONSENT_MISMATCH,
        };
    }
    let event = question.content.kind.class();
    let classes = classes_of(question.content);
    let Some(form) = named
        .iter()
        .find(|consent| classes.iter().any(|class| consent.covers(asked, *class)))
    else {
        return Answer::Deny {
            code: Code::RTE_NO_CONSENT,
        };
    };
    let mut disclosure = question
        .setup
        .relevance
        .of_audience(&question.channel.members);
    for (class, allowed) in &mut disclosure.0 {
        // A form that nothing in this notice fills must not make two deliveries differ.
        if !classes.contains(class) || !named.iter().any(|consent| consent.covers(asked, *class)) {
            *allowed = Form::None;
        }
    }
    let core = if question.content.kind == NoticeKind::Document {
        classes.clone()
    } else {
        vec![event]
    };
    if core.iter().all(|class| disclosure.of(*class) == Form::None) {
        let by_consent = !core
            .iter()
            .any(|class| named.iter().any(|consent| consent.covers(asked, *class)));
        return Answer::Deny {
            code: if by_consent {
                Code::RTE_NO_CONSENT
            } else {
                Code::RTE_NOTHING_ALLOWED
            },
        };
    }
    match waits(question) {
        Some(code) => Answer::Hold { code, disclosure },
        None => Answer::Permit {
            disclosure,
            ground: format!("consent {}", form.form_id),
        },
    }
}

/// The classes a notice touches.
pub fn classes_of(content: &NoticeContent) -> Vec<ItemClass> {
    let mut classes = match content.kind {
        NoticeKind::Document => Vec::new(),
        NoticeKind::Alert => vec![ItemClass::Alert],
        // "Nothing was sent" is itself told only to those who may know of allergies.
        NoticeKind::Admission
        | NoticeKind::DischargePlan
        | NoticeKind::Discharge
        | NoticeKind::Transfer => {
            vec![content.kind.class(), ItemClass::Allergy]
        }
    };
    if content.medication.is_some() {
        classes.push(ItemClass::Medication);
    }
    if !content.problems.is_empty() {
        classes.push(ItemClass::ProblemList);
    }
    if !content.labs.is_empty() {
        classes.push(ItemClass::Lab);
    }
    for document in &content.documents {
        if !classes.contains(&document.class) {
            classes.push(document.class);
        }
    }
    classes
}

fn closed_channel(channel: &Channel) -> Option<Code> {
    match (channel.kind, channel.status) {
        (ChannelKind::Family | ChannelKind::Free, _) => Some(Code::RTE_FAMILY_CHANNEL),
        (_, ChannelStatus::Proposed) => Some(Code::RTE_CHANNEL_NOT_CONFIRMED),
        (_, ChannelStatus::Broken) => Some(Code::DLV_HEADER_DIFFERS),
        (ChannelKind::Professional | ChannelKind::Direct, ChannelStatus::Confirmed) => None,
    }
}

/// Rules that keep a permitted delivery waiting for a person.
fn waits(question: &Question<'_>) -> Option<Code> {
    let Some(sink) = question.setup.sinks.get(&question.channel.sink) else {
        return Some(Code::RTE_NO_CHANNEL);
    };
    let test_patient = question
        .setup
        .facilities
        .get(&question.record.facility)
        .is_some_and(|facility| {
            facility
                .test_patients
                .iter()
                .any(|id| id == question.record.local_id.expose())
        });
    if test_patient && sink.mode == SinkMode::Live && !question.setup.staging {
        return Some(Code::RTE_TEST_PATIENT);
    }
    match sink.mode {
        SinkMode::Shadow => return Some(Code::RTE_SHADOW),
        SinkMode::Assisted => return Some(Code::RTE_ASSISTED),
        SinkMode::Live if sink.agreement_ref.is_none() => return Some(Code::RTE_NO_AGREEMENT),
        SinkMode::Live => {}
    }
    if question.released {
        return None;
    }
    if let Some(code) = question.never_automatic {
        return Some(code);
    }
    if question.backfill {
        return Some(Code::RTE_BACKFILL);
    }
    let live_from = question
        .setup
        .live_from
        .get(&(question.source.clone(), question.channel.sink.clone()));
    if live_from.is_some_and(|live_from| question.occurred_at < *live_from) {
        return Some(Code::RTE_NOT_LIVE);
    }
    if age(question) > SignedDuration::try_from(limits::STALE_AFTER).unwrap_or(SignedDuration::MAX)
    {
        return Some(Code::RTE_STALE);
    }
    if question.content.urgency != Urgency::U0
        && question.posts_today >= limits::POSTS_PER_GROUP_AND_DAY
    {
        return Some(Code::RTE_BUDGET);
    }
    None
}

/// Whether the post must say 「遅れて届きました」.
pub fn is_late(question: &Question<'_>) -> bool {
    age(question) > SignedDuration::try_from(limits::LATE_AFTER).unwrap_or(SignedDuration::MAX)
}

fn age(question: &Question<'_>) -> SignedDuration {
    question.now.duration_since(question.occurred_at)
}
