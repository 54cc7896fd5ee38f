//! `renkei init`: a first configuration with everything off, and empty CSV files.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use renkei_core::FacilityId;

use super::super::check::report;
use super::{Exit, Refusal, csv_file, say};
use crate::config::Checked;
use crate::config::check::usual_font;

const HEAD: &str = include_str!("head.toml");
const HOSPITAL_SOURCES: &str = include_str!("hospital_sources.toml");
const CLINIC_SOURCES: &str = include_str!("clinic_sources.toml");
const NETWORK_PEERS: &str = include_str!("network_peers.toml");
const WARD_PEER: &str = include_str!("ward_peer.toml");

/// Writes renkei.toml, consents.csv, channels.csv and people.csv. Everything is off.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// Where this renkei stands.
    #[arg(long)]
    role: Role,
    /// Ten-digit number of the facility that speaks.
    #[arg(long, value_name = "NUMBER")]
    facility: String,
    /// Where to write; made when it does not exist.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Where a renkei stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Inside a hospital: its systems in, the networks out.
    Edge,
    /// For a district: hospitals in; MCS, Vital Link and ward systems out.
    Hub,
    /// At a clinic: its own patients' documents in, the networks out.
    Clinic,
}

impl Init {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let facility =
            FacilityId::new(&self.facility).map_err(|error| Refusal::Usage(error.to_string()))?;
        let files = [
            (
                "renkei.toml",
                configuration(self.role, &facility, usual_font().is_some()),
            ),
            ("consents.csv", header(csv_file::CONSENTS)),
            ("channels.csv", header(csv_file::CHANNELS)),
            ("people.csv", header(csv_file::PEOPLE)),
        ];
        std::fs::create_dir_all(&self.dir).map_err(|error| cannot(&self.dir, &error))?;
        for (name, _) in &files {
            let path = self.dir.join(name);
            if path.symlink_metadata().is_ok() {
                return Err(Refusal::Usage(format!(
                    "{} exists; nothing was written",
                    path.display()
                ))
                .into());
            }
        }
        for (name, content) in &files {
            let path = self.dir.join(name);
            write_new(&path, content).map_err(|error| cannot(&path, &error))?;
            say(&path.display().to_string());
        }
        match Checked::read(&self.dir.join("renkei.toml")) {
            Ok(_) => Ok(Exit::Done),
            Err(problems) => Ok(report(&problems)),
        }
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> Refusal {
    Refusal::Usage(format!("{}: {error}", path.display()))
}

fn write_new(path: &Path, content: &str) -> std::io::Result<()> {
    std::fs::File::create_new(path)?.write_all(content.as_bytes())
}

fn header(columns: &[&str]) -> String {
    format!("{}\n", columns.join(","))
}

fn configuration(role: Role, facility: &FacilityId, font: bool) -> String {
    let (class, sources, ward) = match role {
        Role::Edge => ("hospital", HOSPITAL_SOURCES, ""),
        Role::Hub => ("hospital", HOSPITAL_SOURCES, WARD_PEER),
        Role::Clinic => ("clinic", CLINIC_SOURCES, ""),
    };
    [HEAD, sources, NETWORK_PEERS, ward]
        .concat()
        .replace("@FACILITY@", facility.as_str())
        .replace("@CLASS@", class)
        .replace("@SHEET@", if font { "true" } else { "false" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SinkMode, file::File};

    fn checked(text: &str) -> Checked {
        let file: File = toml::from_str(text).unwrap();
        Checked::check(file, Path::new("/nowhere")).unwrap()
    }

    #[test]
    fn every_role_is_right_as_written_and_with_everything_taken_in() {
        let facility = FacilityId::new("1319999999").unwrap();
        for (role, sources, peers) in [(Role::Edge, 2, 2), (Role::Hub, 2, 3), (Role::Clinic, 2, 2)]
        {
            let text = configuration(role, &facility, false);
            let off = checked(&text);
            assert_eq!((off.sources.len(), off.peers.len()), (0, 0), "{role:?}");
            assert_eq!(off.setup.facilities.len(), 1);
            let on = checked(&text.replace("#: ", ""));
            assert_eq!((on.sources.len(), on.peers.len()), (sources, peers));
            assert!(
                on.setup
                    .sinks
                    .values()
                    .all(|sink| sink.mode == SinkMode::Shadow)
            );
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("people.csv"), "mine").unwrap();
        let init = Init {
            role: Role::Hub,
            facility: "1319999999".to_owned(),
            dir: folder.path().to_owned(),
        };
        assert!(init.run().is_err());
        let mut names = std::fs::read_dir(folder.path()).unwrap();
        assert_eq!(names.next().unwrap().unwrap().file_name(), "people.csv");
        assert!(names.next().is_none());
    }
}
