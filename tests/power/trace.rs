//! What the shim has recorded, entry by entry. The layout is `struct entry` of `record.c`.

use std::collections::HashSet;
use std::path::PathBuf;

/// One thing the hub did.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// Opened something that was there.
    Named { path: PathBuf, inode: u64 },
    /// Made a new file.
    Created { path: PathBuf, inode: u64 },
    /// Made a new folder.
    Folder { path: PathBuf, inode: u64 },
    /// Gave a file another name.
    Renamed { old: PathBuf, new: PathBuf },
    /// Took a name away.
    Removed { path: PathBuf },
    /// Wrote bytes at an offset.
    Wrote {
        inode: u64,
        offset: u64,
        bytes: &'a [u8],
    },
    /// Cut a file to a length, or made it longer.
    Cut { inode: u64, length: u64 },
    /// Asked that everything written so far be kept.
    SyncBegins { number: u64 },
    /// Was told that it is.
    SyncDone { inode: u64, number: u64 },
    /// Is about to say this over a socket.
    Said { bytes: &'a [u8] },
}

const HEAD: usize = 24;
/// Characters of a delivery's id.
const ID_LENGTH: usize = 26;

/// Takes a record apart. What the end of the process cut off is left away.
pub(crate) fn events(record: &[u8]) -> Vec<Event<'_>> {
    let mut events = Vec::new();
    let mut rest = record;
    while let Some((head, after)) = rest.split_at_checked(HEAD) {
        let number = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().unwrap());
        let word = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().unwrap());
        let Some((bytes, after)) = after.split_at_checked(word(16) as usize) else {
            break;
        };
        rest = after;
        let path = |bytes: &[u8]| PathBuf::from(std::str::from_utf8(bytes).unwrap());
        let (inode, number) = (number(0), number(8));
        events.push(match u8::try_from(word(20)).unwrap() {
            b'F' => Event::Named {
                path: path(bytes),
                inode,
            },
            b'N' => Event::Created {
                path: path(bytes),
                inode,
            },
            b'M' => Event::Folder {
                path: path(bytes),
                inode,
            },
            b'R' => {
                let middle = bytes.iter().position(|byte| *byte == 0).unwrap();
                Event::Renamed {
                    old: path(&bytes[..middle]),
                    new: path(&bytes[middle + 1..]),
                }
            }
            b'U' => Event::Removed { path: path(bytes) },
            b'W' => Event::Wrote {
                inode,
                offset: number,
                bytes,
            },
            b'T' => Event::Cut {
                inode,
                length: number,
            },
            b'B' => Event::SyncBegins { number },
            b'E' => Event::SyncDone { inode, number },
            b'S' => Event::Said { bytes },
            kind => panic!("the record holds a {kind}"),
        });
    }
    events
}

/// The control ids that an answer on the wire accepts.
pub(crate) fn accepted(said: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(said);
    let mut accepted = Vec::new();
    for line in text.split('\r') {
        if let Some(rest) = line.strip_prefix("MSA|AA|") {
            accepted.push(rest.split('|').next().unwrap_or_default().to_owned());
        }
    }
    accepted
}

/// Which of these ids stand in what is said.
pub(crate) fn named<'a>(said: &[u8], ids: &'a HashSet<String>) -> Vec<&'a String> {
    let words = said.split(|byte| !byte.is_ascii_lowercase() && !byte.is_ascii_digit());
    words
        .filter(|word| word.len() == ID_LENGTH)
        .filter_map(|word| ids.get(std::str::from_utf8(word).ok()?))
        .collect()
}
