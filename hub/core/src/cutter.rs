//! One file, several messages.

use bytes::Bytes;

use crate::{Code, LocalId, MapError};

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

    /// Cuts a file of more than [`crate::limits::LOCAL_INPUT_BYTES`] without holding it. `give` is called first
    /// with what is known of the file and no part, before it is looked through; then with the parts, some
    /// megabytes at a time. It says whether to go on.
    ///
    /// # Errors
    /// When the file is not this format, or its format cannot be read piece by piece; when it cannot be read; and
    /// when `give` wanted no more. Parts that were given before stand.
    fn cut_large(
        &self,
        file: &str,
        body: &mut dyn Pieces,
        give: &mut dyn FnMut(Cut) -> bool,
    ) -> Result<(), CutError> {
        let _not_cut = (file, body, give);
        Err(CutError::Map(MapError {
            code: Code::MAP_LIMIT,
            at: "input".to_owned(),
        }))
    }
}

/// A file that is too large to be held.
pub trait Pieces {
    /// Its length in bytes.
    fn length(&self) -> u64;

    /// Fills `into` with the bytes that begin at `at`.
    ///
    /// # Errors
    /// As the operating system says; also when there are fewer, or nobody waits for them any more.
    fn read(&mut self, at: u64, into: &mut [u8]) -> std::io::Result<()>;
}

/// A large file was not cut to its end.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// It is not what the mapping reads.
    #[error("the file cannot be cut")]
    Map(#[from] MapError),
    /// It cannot be read.
    #[error("the file cannot be read")]
    Read(#[from] std::io::Error),
    /// Whoever took the parts wanted no more.
    #[error("cutting was given up")]
    Stopped,
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
    /// It is too large to be read, and only its beginning is here.
    pub refused: Option<Code>,
}
