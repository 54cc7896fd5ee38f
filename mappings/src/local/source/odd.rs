//! What is odd about single rows or records of an input.

use renkei_core::{Code, Finding, Severity, limits};

/// What is odd about the rows of an input; beyond the limit it is counted.
#[derive(Debug, Default)]
pub(crate) struct Odd {
    findings: Vec<Finding>,
    dropped: usize,
}

impl Odd {
    /// Adds a finding, which is made only when it is kept.
    pub(crate) fn push(&mut self, make: impl FnOnce() -> Finding) {
        if self.findings.len() < limits::LOCAL_FINDINGS {
            self.findings.push(make());
        } else {
            self.dropped += 1;
        }
    }

    /// Hands all over, the last one counting those beyond the limit.
    pub(crate) fn into(self, findings: &mut Vec<Finding>) {
        findings.extend(self.findings);
        if self.dropped > 0 {
            let says = format!("{} more findings are not listed", self.dropped);
            findings.push(Finding::new(Code::MAP_LIMIT, Severity::Warning, "input").saying(says));
        }
    }
}
