//! `renkei enrol`, `unenrol`, `people`: who is admitted, and who is who.

use std::path::PathBuf;

use clap::Subcommand;
use renkei_core::{FacilityId, LocalId, PersonId, RecordId};

use super::{
    ConfigFile, Exit, MaybeNamed, Opened, Printing, Reasoned, Refusal, import, or_dash, say,
};
use crate::store::operator::{Operator as _, PersonFilter, PersonLine, RecordLine};

/// Admits patients.
#[derive(Debug, clap::Args)]
pub(crate) struct Enrol {
    /// A CSV file with the columns facility,local_id.
    #[arg(conflicts_with_all = ["facility", "local_id"], required_unless_present = "facility")]
    file: Option<PathBuf>,
    #[command(flatten)]
    patient: MaybePatient,
    #[command(flatten)]
    named: MaybeNamed,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

/// Admits a patient no more.
#[derive(Debug, clap::Args)]
pub(crate) struct Unenrol {
    /// Ten-digit number of the facility.
    #[arg(long, value_name = "NUMBER", value_parser = facility)]
    facility: FacilityId,
    /// The patient's number there.
    #[arg(long, value_name = "ID")]
    local_id: String,
    #[command(flatten)]
    named: MaybeNamed,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, clap::Args)]
struct MaybePatient {
    /// Ten-digit number of the facility.
    #[arg(long, value_name = "NUMBER", value_parser = facility, requires = "local_id")]
    facility: Option<FacilityId>,
    /// The patient's number there.
    #[arg(long, value_name = "ID", requires = "facility")]
    local_id: Option<String>,
}

fn facility(text: &str) -> Result<FacilityId, String> {
    FacilityId::new(text).map_err(|error| error.to_string())
}

impl Enrol {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        let (facility, local_id) = match (self.file, self.patient) {
            (Some(file), _) => {
                return import::enrol_file(&opened, &file, &self.named, self.printing).await;
            }
            (
                None,
                MaybePatient {
                    facility: Some(facility),
                    local_id: Some(local_id),
                },
            ) => (facility, local_id),
            _ => return Err(usage().into()),
        };
        let by = opened.by(&self.named.actor(), "");
        let patients = [(facility, patient_number(&local_id)?)];
        let new = opened.ledger.enrol(&patients, &by).await?;
        self.printing.count(new, "enrolled")?;
        Ok(Exit::Done)
    }
}

fn usage() -> Refusal {
    Refusal::Usage("give a CSV file, or --facility and --local-id".to_owned())
}

fn patient_number(text: &str) -> Result<LocalId, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Err(usage());
    }
    Ok(LocalId::new(text))
}

impl Unenrol {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        let by = opened.by(&self.named.actor(), "");
        let patients = [(self.facility, patient_number(&self.local_id)?)];
        let gone = opened.ledger.unenrol(&patients, &by).await?;
        self.printing.count(gone, "no longer enrolled")?;
        Ok(Exit::Done)
    }
}

/// Persons and their records.
#[derive(Debug, clap::Args)]
pub(crate) struct People {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Persons with their records. Prints patient data.
    List {
        /// Only records of this facility.
        #[arg(long, value_name = "NUMBER", value_parser = facility)]
        facility: Option<FacilityId>,
        /// Only this patient number.
        #[arg(long, value_name = "ID")]
        local_id: Option<String>,
        /// Only names that begin so, in kana.
        #[arg(long)]
        kana: Option<String>,
        /// At most so many records.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Moves a record to another person, or to a new one: undoes a wrong link or a rejection.
    Relink {
        /// The record's number, from `people list`.
        record: i64,
        /// The person it belongs to.
        #[arg(
            long,
            value_name = "PERSON",
            required_unless_present = "new",
            conflicts_with = "new",
            allow_hyphen_values = true
        )]
        to: Option<i64>,
        /// A person of its own.
        #[arg(long)]
        new: bool,
        #[command(flatten)]
        by: Reasoned,
    },
}

impl People {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        match self.verb {
            Verb::List {
                facility,
                local_id,
                kana,
                limit,
            } => {
                let filter = PersonFilter {
                    facility,
                    local_id: local_id.map(LocalId::new),
                    kana,
                    limit,
                };
                let people = opened.ledger.people(&filter).await?;
                list(&people, self.printing)?;
            }
            Verb::Relink { record, to, by, .. } => {
                let act = opened.by(&by.by, &by.reason);
                let person = opened
                    .ledger
                    .relink(RecordId(record), to.map(PersonId), &act)
                    .await?;
                if self.printing.json {
                    super::json_line(&serde_json::json!({ "record": record, "person": person }))?;
                } else {
                    say(&format!("record {record} is person {person} now"));
                }
            }
        }
        Ok(Exit::Done)
    }
}

/// The headings of [`cells`].
pub(super) const HEAD: [&str; 11] = [
    "person", "record", "facility", "local id", "kana", "born", "sex", "enrolled", "consents",
    "channels", "note",
];

/// One record as table cells.
pub(super) fn cells(record: &RecordLine) -> Vec<String> {
    let note = match (record.rejected, record.person) {
        (true, _) => "rejected",
        (false, None) => "waits for review",
        (false, Some(_)) => "",
    };
    vec![
        or_dash(record.person),
        record.record.to_string(),
        record.facility.to_string(),
        record.local_id.expose().to_owned(),
        record.facts.kana.clone(),
        record.facts.birth_date.clone(),
        record.facts.sex.clone(),
        if record.enrolled { "yes" } else { "no" }.to_owned(),
        record.consents.to_string(),
        record.channels.to_string(),
        note.to_owned(),
    ]
}

fn list(people: &[PersonLine], printing: Printing) -> anyhow::Result<()> {
    if printing.json {
        return people.iter().try_for_each(super::json_line);
    }
    let records: Vec<&RecordLine> = people.iter().flat_map(|person| &person.records).collect();
    printing.list(&records, &HEAD, |record| cells(record))
}
