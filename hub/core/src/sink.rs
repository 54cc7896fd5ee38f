//! The door out.

use async_trait::async_trait;

use crate::{BoxError, Channel, ChannelView, Code, Delivery, Payload, Post, SendOutcome};

/// Hands deliveries to one outside system.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Post → the peer's form: frame, split, encode. Pure; the result is stored and every retry sends
    /// those bytes. `channel` is where it will go.
    ///
    /// # Errors
    /// [`FrameError`] when the peer's form cannot carry it; the delivery is dead with its code.
    fn frame(&self, post: &Post, channel: &Channel) -> Result<Payload, FrameError>;
    /// What the peer says now about a channel: patient header, members, state.
    async fn look(&self, channel: &Channel) -> Result<ChannelView, SendError>;
    /// The peer's own list of channels, for proposing links. Empty where it has none.
    async fn channels(&self) -> Result<Vec<ChannelView>, SendError>;
    /// Sends each delivery once, its id as the idempotency key wherever the peer has a place for it.
    /// Returns one outcome per delivery, in order.
    async fn send(&self, deliveries: &[Delivery]) -> Vec<SendOutcome>;
    /// Checks the connection without writing anything a person would see.
    async fn probe(&self) -> Result<(), SendError>;
    /// Whether the peer recognises a repeated delivery by its id.
    fn is_idempotent(&self) -> bool;
}

/// The peer could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No answer, or an answer that says "later".
    #[error("the peer is unavailable")]
    Unavailable(#[source] BoxError),
    /// An answer that a person must act on.
    #[error("the peer refused: {code}")]
    Refused {
        /// The reason.
        code: Code,
    },
    /// An answer we do not understand.
    #[error("the peer's answer is not in its contract")]
    Protocol(#[source] BoxError),
}

/// The post cannot be put into the peer's form.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct FrameError {
    /// The reason.
    pub code: Code,
    /// In words, without patient data.
    pub reason: String,
}
