//! One file, several messages.

use bytes::Bytes;

use crate::{LocalId, MapError};

/// Cuts a received file into bodies about one patient each. A source calls it before the inbox: the gate asks
/// for each patient, and each part is a message that can wait alone. Made by the hub from the mapping of the
/// source; what a part means is read later, by the mapping.
pub trait Cutter: Send + Sync + 'static {
    /// Cuts a file. `file` is its name without folder.
    ///
    /// # Errors
    /// When the bytes are not this format at all, or more than can be read at once.
    fn cut(&self, file: &str, body: &Bytes) -> Result<Cut, MapError>;

    /// Whether rows of a file belong to records that must be in another file, such as results whose order went
    /// out days ago.
    fn lacks_partners(&self, _body: &Bytes) -> bool {
        false
    }

    /// A file with the records it lacks out of `others`, behind its own; `None` when they hold none of them.
    fn completed(&self, _body: &Bytes, _others: &[Bytes]) -> Option<Bytes> {
        None
    }
}

/// A file that was cut.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    /// In the order of the file. Together they hold every row once.
    pub parts: Vec<Part>,
    /// The last byte says that the writer was not done.
    pub cut_short: bool,
    /// It says no time of its own: the same bytes later may be news.
    pub timeless: bool,
}

/// One body out of a file.
#[derive(Debug, Clone)]
pub struct Part {
    /// Whose; `None` = nobody's, or rows of which that cannot be read.
    pub subject: Option<LocalId>,
    /// Header and rows as they stood.
    pub body: Bytes,
    /// See [`crate::Meta::places`].
    pub places: Vec<(u32, u32)>,
}
