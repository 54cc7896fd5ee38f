//! One message of a connection brought to its end: offered to the inbox, or refused without asking, and
//! the answers that follow. Called by `connection`, which keeps the order.

use renkei_core::{AcceptError, BoxError, Code, NewMessage, Receipt, source::Processed};
use renkei_hl7v2::Peek;

use super::answer::{Asked, Verdict};
use super::config::Ack;
use super::connection::{FIRST_PAUSE, LONGEST_PAUSE, Room};

/// A message on its way, or one that is refused without asking the inbox.
pub(super) struct Job {
    pub(super) peek: Peek,
    pub(super) asked: Asked,
    /// `None` when nobody is configured for this sender: there is no facility to store it under.
    pub(super) message: Option<NewMessage>,
    /// The answer is this whatever the inbox says.
    pub(super) rejected: Option<Code>,
    /// The sender is gone or cannot be answered.
    pub(super) silent: bool,
    /// There was no room for what came before it: it is not offered, or it would overtake.
    pub(super) put_off: bool,
}

/// What became of a job.
#[derive(Default)]
pub(super) struct Settled {
    pub(super) answers: [Option<Vec<u8>>; 2],
    /// An answer that follows when the message has been processed.
    pub(super) later: Option<(renkei_core::MessageId, Peek, Asked)>,
    pub(super) then: Then,
}

#[derive(Default)]
pub(super) enum Then {
    #[default]
    GoOn,
    Pause,
    Close,
    Broken(BoxError),
}

/// Brings one job to its end: the inbox's word, and the answers that follow from it.
pub(super) async fn settle(room: &Room, job: Job) -> Settled {
    let Job {
        peek,
        asked,
        message,
        rejected,
        silent,
        put_off,
    } = job;
    let stored = match message {
        None => Ok(None),
        Some(_) if put_off && asked.hears_of_errors() => Err(AcceptError::Full),
        Some(message) => accept(room, message, silent || !asked.hears_of_errors())
            .await
            .map(Some),
    };
    let mut settled = Settled::default();
    match stored {
        Err(AcceptError::Broken(source)) => {
            settled.then = Then::Broken(source);
            return settled;
        }
        Err(AcceptError::Full) => settled.then = Then::Pause,
        Err(AcceptError::Stopping) => settled.then = Then::Close,
        Ok(_) => {}
    }
    if silent {
        return settled;
    }
    let not_taken = match (&stored, rejected) {
        (_, Some(code)) => Some(Verdict::Rejected(code)),
        (Err(_), None) => Some(Verdict::Error(Code::INB_FULL)),
        (Ok(_), None) => None,
    };
    if let Some(verdict) = not_taken {
        settled.answers[0] = room.answers.refusal(&peek, asked, verdict);
        return settled;
    }
    settled.answers[0] = room.answers.commit(&peek, asked, Verdict::Accepted);
    let id = match stored {
        Ok(Some(Receipt::Stored(id) | Receipt::Duplicate(id))) => Some(id),
        _ => None,
    };
    match id {
        Some(id) if room.config.ack == Ack::Processed && asked.wants_application_answer() => {
            if asked.is_answered_in_two_steps() {
                settled.later = Some((id, peek, asked));
            } else {
                settled.answers[1] = answer_later(room, id, peek, asked).await;
            }
        }
        _ => settled.answers[1] = room.answers.application(&peek, asked, Verdict::Accepted),
    }
    settled
}

/// Offers a message to the inbox. A sender that would not hear of a refusal is not refused: it would
/// never send the message again, so the hub tries again itself while the sender waits.
async fn accept(room: &Room, message: NewMessage, insist: bool) -> Result<Receipt, AcceptError> {
    if !insist {
        return room.inbox.accept(message).await;
    }
    let mut pause = FIRST_PAUSE;
    loop {
        match room.inbox.accept(message.clone()).await {
            Err(AcceptError::Full) if !room.shutdown.is_fired() => {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = room.shutdown.fired() => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            settled => return settled,
        }
    }
}

/// The application answer once the message has been processed. `None` also when the hub stops
/// first: the sender repeats it and the repeat is recognised.
pub(super) async fn answer_later(
    room: &Room,
    id: renkei_core::MessageId,
    peek: Peek,
    asked: Asked,
) -> Option<Vec<u8>> {
    let processed = tokio::select! {
        processed = room.inbox.processed(id) => processed,
        () = room.shutdown.fired() => return None,
    };
    let verdict = match processed {
        Ok(Processed::Processed | Processed::Parked(_)) => Verdict::Accepted,
        Ok(Processed::Failed(code)) => Verdict::Error(code),
        Err(AcceptError::Broken(_)) => return None,
        Err(AcceptError::Full | AcceptError::Stopping) => Verdict::Error(Code::INB_FULL),
    };
    room.answers.application(&peek, asked, verdict)
}
