//! `renkei verify`: whether the ledger is whole, and what mends what is not.

use renkei_core::Code;

use super::{ConfigFile, Exit, Opened, Printing, complain, words};
use crate::store::keeper::{Keeper as _, Thoroughness};

/// Checks the ledger beside a running hub. Exit 65 when something is not as it must be.
#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// Also every body against its fingerprint, and SQLite's own check of its pages.
    #[arg(long)]
    deep: bool,
    /// Mend what can be mended without losing anything; it is written into the audit.
    #[arg(long, requires = "by")]
    repair: bool,
    /// Who mends.
    #[arg(long, value_name = "NAME", value_parser = words)]
    by: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

impl Verify {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        let how = if self.deep {
            Thoroughness::Deep
        } else {
            Thoroughness::Rows
        };
        let by = self.by.as_deref().filter(|_| self.repair);
        let by = by.map(|by| opened.by(by, "verify --repair"));
        let findings = opened.ledger.verify(how, by.as_ref()).await?;
        if findings.is_empty() && !self.printing.json {
            complain("the ledger is whole");
            return Ok(Exit::Done);
        }
        let head = ["check", "at", "mended", "repair"];
        self.printing.list(&findings, &head, |finding| {
            vec![
                finding.check.to_owned(),
                finding.at.clone(),
                if finding.mended { "yes" } else { "no" }.to_owned(),
                finding.repair.to_owned(),
            ]
        })?;
        if findings.iter().all(|finding| finding.mended) {
            return Ok(Exit::Done);
        }
        let code = Code::LDG_NOT_WHOLE;
        complain(&format!("{code}: {}", code.title()));
        Ok(Exit::Data)
    }
}
