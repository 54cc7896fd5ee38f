//! Where the crash test cuts the process off: just before or just after something is promised.
//!
//! Armed only by the environment: with `RENKEI_KILL_AT=<point>:<file>` the process ends as if the power
//! had gone (SIGKILL, nothing is cleaned up) when it passes the point and the file exists. Otherwise a
//! call reads one word of memory.

use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::process::{Signal, getpid, kill_process};

/// A side of one of the four commit points of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A group of messages is written, not committed.
    AcceptBefore,
    /// It is committed, nobody is acknowledged.
    AcceptAfter,
    /// The effects of a batch are written, not committed.
    ApplyBefore,
    /// They are committed.
    ApplyAfter,
    /// A group of deliveries is about to leave.
    SendBefore,
    /// The peer has them, the ledger does not know.
    SendAfter,
    /// The outcomes are written, not committed.
    FinishBefore,
    /// They are committed.
    FinishAfter,
}

const POINTS: [(&str, Point); 8] = [
    ("accept-before", Point::AcceptBefore),
    ("accept-after", Point::AcceptAfter),
    ("apply-before", Point::ApplyBefore),
    ("apply-after", Point::ApplyAfter),
    ("send-before", Point::SendBefore),
    ("send-after", Point::SendAfter),
    ("finish-before", Point::FinishBefore),
    ("finish-after", Point::FinishAfter),
];

static ARMED: OnceLock<Option<(Point, PathBuf)>> = OnceLock::new();

/// Passes a point.
pub fn reached(point: Point) {
    let armed = ARMED.get_or_init(|| read(&std::env::var("RENKEI_KILL_AT").ok()?));
    if let Some((at, file)) = armed
        && *at == point
        && file.exists()
    {
        let _killed = kill_process(getpid(), Signal::KILL);
    }
}

fn read(text: &str) -> Option<(Point, PathBuf)> {
    let (name, file) = text.split_once(':')?;
    let (_, point) = POINTS.iter().find(|(known, _)| *known == name)?;
    Some((*point, PathBuf::from(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_point_with_a_file_is_armed() {
        assert_eq!(
            read("send-after:/run/now"),
            Some((Point::SendAfter, PathBuf::from("/run/now")))
        );
        assert_eq!(read("send-after"), None);
        assert_eq!(read("sometime:/run/now"), None);
    }
}
