//! The walk of a message in one page: stops 4 to 7, pure. The store loads a [`World`], these functions
//! decide over it message by message, the store applies the effects in one transaction.
//!
//! Every retry starts at the top: first run, crash, review, replay. Natural keys make that safe.

use std::panic::{AssertUnwindSafe, catch_unwind};

use renkei_core::{Code, Draft, Finding, MapError, Message, NoticeId, Severity};

use crate::identify::Whose;
use crate::world::{MessageOutcome, MessageState, World};
use crate::{beds, compose, identify, record, route};

/// A message with what its mapping made of it.
#[derive(Debug)]
pub struct Mapped {
    /// The message.
    pub message: Message,
    /// Its draft, or why it has none.
    pub draft: Result<Draft, MapError>,
    /// Which mapping read it.
    pub mapper: String,
    /// It is processed again on an operator's word: told to nobody by itself.
    pub replay: bool,
    /// Its control id was used before with other bytes.
    pub control_id_reused: bool,
}

/// How one message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its effects are in the world.
    Processed,
    /// It waits for a person.
    Parked(Code),
    /// It will never be processed as it is.
    Failed(Code),
}

/// Decides what one stored message does. Pure: no I/O, no clock; effects overlay `world`, so the next
/// message of the batch sees them. All effects of a batch are committed, or none.
pub fn process(world: &mut World, mapped: &Mapped) -> Outcome {
    let draft = match &mapped.draft {
        Ok(draft) => draft,
        Err(error) => {
            let finding = Finding::new(error.code, Severity::Error, error.at.clone());
            return end(
                world,
                mapped,
                Outcome::Failed(error.code),
                None,
                vec![finding],
            );
        }
    };
    let whose = identify::resolve(world, draft);
    let record = match whose {
        Whose::Known(record, _) | Whose::Ambiguous(_, record) => Some(record),
        Whose::Nobody => None,
    };
    if let Some(code) = draft.hold {
        return end(world, mapped, Outcome::Parked(code), record, Vec::new());
    }
    if let Whose::Ambiguous(code, _) = whose {
        return end(world, mapped, Outcome::Parked(code), record, Vec::new());
    }
    let mut changes = record::apply(world, &mapped.message, draft, record);
    let odd = beds::derive::note(world, &mapped.message, draft, &changes);
    changes.findings.extend(odd);
    let beds = beds::board::take(world, &mapped.message, &draft.beds);
    changes.findings.extend(beds);
    if let Whose::Known(record, person) = whose {
        compose::update(
            world,
            mapped,
            draft,
            compose::Of { record, person },
            &changes,
        );
    }
    let receipts = draft
        .receipts
        .iter()
        .cloned()
        .map(|receipt| (mapped.message.id, receipt));
    world.effects.receipts.extend(receipts);
    end(world, mapped, Outcome::Processed, record, changes.findings)
}

/// Settles one due notice: composes its content, mints a version when a reader would see a change,
/// and routes it.
pub fn settle(world: &mut World, notice: NoticeId) {
    if compose::settle(world, notice) {
        route::plan::plan(world, notice);
    }
}

/// Processes a batch. A panic in one message fails that message: the world it had touched is thrown
/// away by the caller, who loads it anew and processes the batch without it.
///
/// # Errors
/// The index of the message that panicked.
pub fn process_batch(world: &mut World, batch: &[Mapped], poisoned: &[usize]) -> Result<(), usize> {
    for (index, mapped) in batch.iter().enumerate() {
        if poisoned.contains(&index) {
            end(
                world,
                mapped,
                Outcome::Failed(Code::INB_PANIC),
                None,
                Vec::new(),
            );
            continue;
        }
        catch_unwind(AssertUnwindSafe(|| process(world, mapped))).map_err(|_| index)?;
    }
    Ok(())
}

/// Ends every message of a batch with a code and no other effect.
pub fn fail_all(world: &mut World, batch: &[Mapped], code: Code) {
    for mapped in batch {
        end(world, mapped, Outcome::Failed(code), None, Vec::new());
    }
}

fn end(
    world: &mut World,
    mapped: &Mapped,
    outcome: Outcome,
    record: Option<renkei_core::RecordId>,
    more: Vec<Finding>,
) -> Outcome {
    let (state, code) = match outcome {
        Outcome::Processed => (MessageState::Processed, None),
        Outcome::Parked(code) => (MessageState::Parked, Some(code)),
        Outcome::Failed(code) => (MessageState::Failed, Some(code)),
    };
    let (mut findings, unread) = match &mapped.draft {
        Ok(draft) => (draft.findings.clone(), draft.unread.clone()),
        Err(_) => (Vec::new(), Vec::new()),
    };
    // Files of rows are called the same day after day.
    if mapped.control_id_reused && mapped.message.meta.places.is_empty() {
        findings.push(Finding::new(
            Code::REC_CONTROL_ID_REUSED,
            Severity::Warning,
            "MSH-10",
        ));
    }
    findings.extend(more);
    world.effects.outcomes.push((
        mapped.message.id,
        MessageOutcome {
            state,
            code,
            record,
            mapper: mapped.mapper.clone(),
            findings,
            unread,
            at: world.now,
        },
    ));
    outcome
}
