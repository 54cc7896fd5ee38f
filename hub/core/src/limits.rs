//! Every limit of the hub in one place. Each is reported with its code when it is hit.

use std::time::Duration;

/// Largest MLLP frame, in bytes. Beyond it the first [`KEPT_OF_GIANT`] bytes are kept as a failed
/// message, the sender gets AR and the connection is closed.
pub const FRAME_BYTES: usize = 32 * 1024 * 1024;
/// How much of an over-long frame is kept, in bytes.
pub const KEPT_OF_GIANT: usize = 64 * 1024;
/// Largest document taken from a folder or a storage, in bytes.
pub const DOCUMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Bodies up to this size, compressed, stay in the database; larger ones go to the blob store.
pub const INLINE_BODY_BYTES: usize = 256 * 1024;
/// Messages in one accept transaction at most.
pub const ACCEPT_GROUP: usize = 512;
/// Bytes of bodies in one accept transaction at most (the message that passes it is still taken).
pub const ACCEPT_GROUP_BYTES: usize = 4 * 1024 * 1024;
/// Messages that may wait for the writer before senders are slowed.
pub const ACCEPT_QUEUE: usize = 4096;
/// Messages processed in one batch at most.
pub const PROCESS_BATCH: usize = 128;
/// Deliveries taken at once per sink.
pub const DELIVER_BATCH: usize = 64;
/// Attempts at a message after unclean starts before it is failed as poison.
pub const POISON_ATTEMPTS: u32 = 3;
/// A delivery still not accepted by its peer after this time is dead (longer than a long weekend).
pub const DELIVERY_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// An event older than this at sending is marked as late.
pub const LATE_AFTER: Duration = Duration::from_secs(24 * 3600);
/// An event older than this is listed for an operator, not sent by itself.
pub const STALE_AFTER: Duration = Duration::from_secs(72 * 3600);
/// A source's time more than this ahead of ours is replaced by the time of receipt, with a finding.
pub const FUTURE_SLACK: Duration = Duration::from_secs(24 * 3600);
/// A row of a bed feed whose time is more than this ahead of its receipt is refused: taken, it would make
/// every good row look old until then. Clocks differ by minutes.
pub const BED_FUTURE_SLACK: Duration = Duration::from_secs(5 * 60);
/// Counts of beds are believed for this long at most, whatever their sender says: twice a daily report.
pub const BED_VALID_AT_MOST: Duration = Duration::from_secs(48 * 3600);
/// A notice settles this long after its last part.
pub const SETTLE_AFTER: Duration = Duration::from_secs(10 * 60);
/// A notice settles at the latest this long after its first part.
pub const SETTLE_AT_MOST: Duration = Duration::from_secs(60 * 60);
/// Posts to one group on one day before the rest is folded into a summary; urgency u0 is exempt.
pub const POSTS_PER_GROUP_AND_DAY: u32 = 10;
/// Accepting stops when free space falls under this many bytes or [`FREE_SPACE_SHARE`], whichever is
/// more, so that processing can finish.
pub const FREE_SPACE_BYTES: u64 = 1024 * 1024 * 1024;
/// The share of the disk, in percent, below which accepting stops.
pub const FREE_SPACE_SHARE: u64 = 5;
/// Time to drain at SIGTERM.
pub const DRAIN: Duration = Duration::from_secs(10);
/// Largest answer read from a peer, in bytes.
pub const PEER_ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Length of a post's headline, in characters.
pub const HEADLINE_CHARS: usize = 60;
/// Lines of a post's text at most.
pub const POST_LINES: usize = 12;
/// Characters of a post's text at most; the rest goes into the PDF.
pub const POST_CHARS: usize = 400;

/// Largest mapping file, in bytes.
pub const MAPPING_BYTES: usize = 512 * 1024;
/// Levels of maps and lists inside a mapping file.
pub const MAPPING_DEPTH: usize = 32;
/// Values in a mapping file.
pub const MAPPING_NODES: usize = 50_000;
/// Mappings that may extend one another in a row.
pub const MAPPING_EXTENDS: usize = 8;
/// Problems of one mapping that are listed; more help nobody.
pub const MAPPING_PROBLEMS: usize = 100;
/// Longest expression in a mapping, in bytes.
pub const EXPRESSION_BYTES: usize = 4096;
/// Levels of parentheses and calls inside an expression.
pub const EXPRESSION_DEPTH: usize = 16;
/// Largest code table, in bytes.
pub const TABLE_BYTES: usize = 16 * 1024 * 1024;
/// Largest input a local mapping reads in one piece, in bytes; larger files are split by their source.
pub const LOCAL_INPUT_BYTES: usize = 64 * 1024 * 1024;
/// Earlier files of a drop folder, the newest ones, that are looked through for records a file lacks; together
/// they are read up to [`LOCAL_INPUT_BYTES`].
pub const PARTNER_FILES: usize = 1_000;
/// Cells of an input of rows that is read in one piece.
pub const LOCAL_CELLS: usize = 32_000_000;
/// How much of a larger file is looked at at once, in bytes; also its longest row.
pub const LARGE_WINDOW_BYTES: usize = 1024 * 1024;
/// How much of a larger file is cut at once into the parts of patients, in bytes.
pub const LARGE_ROUND_BYTES: usize = 16 * 1024 * 1024;
/// What may be remembered of a larger file: whose each row is and where it stands, in bytes (about seven for
/// each place where the rows of another patient begin).
pub const LARGE_INDEX_BYTES: usize = 128 * 1024 * 1024;
/// Unreadable rows of a larger file that are kept, in bytes; of what is beyond, the file says more.
pub const LARGE_REST_BYTES: usize = 4 * 1024 * 1024;
/// A larger file without one readable row in its first bytes, so many, is not what its mapping reads.
pub const LARGE_GARBAGE_BYTES: u64 = 16 * 1024 * 1024;
/// Columns of one row, and repetitions inside one record.
pub const LOCAL_COLUMNS: usize = 1024;
/// Levels of an XML or JSON document.
pub const LOCAL_DEPTH: usize = 64;
/// Values (elements, attributes, members) of an XML or JSON document.
pub const LOCAL_NODES: usize = 4_000_000;
/// Longest text one expression may give, in bytes.
pub const LOCAL_VALUE_BYTES: usize = 1024 * 1024;
/// Values one draft of a local mapping may hold.
pub const LOCAL_OUTPUT_NODES: usize = 500_000;
/// Findings one draft of a local mapping may hold; the rest is counted in the last one.
pub const LOCAL_FINDINGS: usize = 1_000;
