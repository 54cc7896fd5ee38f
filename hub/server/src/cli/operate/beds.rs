//! `renkei beds`: what is free, always with freshness. No patient data.

use clap::{Subcommand, ValueEnum};
use jiff::SignedDuration;
use renkei_core::BedSex;

use super::{ConfigFile, Exit, Opened, Printing, Refusal, say, when};
use crate::beds::view::{self, Line, PastRow, State, Wanted};
use crate::beds::{Kept, fhir};
use crate::store::beds::{Beds as _, HistoryOf};

/// Free beds by area, kind, sex and conditions of acceptance. Wards whose report is too old are listed last
/// and show no counts.
#[derive(Debug, clap::Args)]
pub(crate) struct Beds {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    looked_for: LookedFor,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, clap::Args)]
struct LookedFor {
    /// Only this hospital.
    #[arg(long, global = true, value_name = "NUMBER")]
    hospital: Option<String>,
    /// Municipality as the hospitals write it, the district of the configuration, or a medical area (区西部 …); several by comma.
    #[arg(long, global = true, value_name = "AREA")]
    area: Option<String>,
    /// Function of the ward (急性期 …) or kind of bed (一般 …); several by comma.
    #[arg(long, global = true, value_name = "KIND")]
    kind: Option<String>,
    /// For whom.
    #[arg(long, global = true)]
    sex: Option<Sex>,
    /// Conditions the ward must all accept, by comma: dementia,tpn.
    #[arg(long, global = true, value_name = "CONDITIONS")]
    accepts: Option<String>,
    /// Single rooms only.
    #[arg(long, global = true)]
    private: bool,
    /// Only wards that are fresh and have at least this many free.
    #[arg(long, global = true, value_name = "COUNT")]
    free: Option<i64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sex {
    Male,
    Female,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The same in Japanese words, to put on a bulletin.
    Bulletin,
    /// The same as FHIR: a Location per ward, a MeasureReport with the counts of each fresh one.
    Fhir,
    /// What was said about a hospital's wards, newest first.
    History {
        /// The hospital's facility number.
        number: String,
        /// One of its wards.
        #[arg(long, value_name = "CODE")]
        ward: Option<String>,
        /// Days back.
        #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
        /// Rows at most.
        #[arg(long, value_name = "COUNT")]
        limit: Option<u32>,
    },
}

impl LookedFor {
    fn wanted(self) -> Result<Wanted, Refusal> {
        let wanted = Wanted {
            hospital: self.hospital,
            area: self.area,
            kind: self.kind,
            sex: self.sex.map(|sex| match sex {
                Sex::Male => BedSex::Male,
                Sex::Female => BedSex::Female,
            }),
            accepts: self.accepts,
            private: self.private,
            free: self.free,
        };
        let checked = wanted.check();
        checked.map_err(|wrong| Refusal::Usage(wrong.to_string()))?;
        Ok(wanted)
    }
}

impl Beds {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let wanted = self.looked_for.wanted()?;
        let opened = Opened::of(&self.config).await?;
        let (setup, now) = (&opened.checked.setup, opened.clock.now());
        let verb = match self.verb {
            Some(Verb::History {
                number,
                ward,
                days,
                limit,
            }) => {
                let of = HistoryOf {
                    hospital: number,
                    ward,
                    since: now - SignedDuration::from_hours(24 * i64::from(days)),
                    limit: limit.unwrap_or(super::USUAL_LIMIT),
                };
                let rows = opened.ledger.ward_history(&of).await?;
                self.printing.cut_at(rows.len(), Some(of.limit));
                history(rows, self.printing)?;
                return Ok(Exit::Done);
            }
            verb => verb,
        };
        let board = opened.ledger.wards().await?;
        let lines = view::lines(&board, setup, &wanted, now);
        match verb {
            Some(Verb::Bulletin) => say(&view::bulletin(&lines, now, setup.staging)),
            Some(Verb::Fhir) => say(&fhir::bundle(&view::rows_of(&board, &lines), now)),
            _ => self.printing.list(&lines, &HEAD, cells)?,
        }
        Ok(Exit::Done)
    }
}

const HEAD: [&str; 11] = [
    "area", "hospital", "ward", "kind", "free", "male", "female", "single", "accepts", "state",
    "as of",
];

fn count(count: Option<i64>) -> String {
    count.map_or_else(|| "-".to_owned(), |count| count.to_string())
}

fn dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

fn cells(line: &Line) -> Vec<String> {
    let kind = [&*line.function, &line.bed_type].into_iter();
    let kind: Vec<&str> = kind.filter(|word| !word.is_empty()).collect();
    let state = match (line.state, line.free) {
        (State::Stale, _) => "stale",
        (State::Fresh, None) => "not said",
        (State::Fresh, Some(_)) => "fresh",
    };
    vec![
        dash(&line.area),
        line.hospital_name.clone(),
        line.ward_name.clone(),
        dash(&kind.join(" ")),
        count(line.free),
        count(line.free_male),
        count(line.free_female),
        count(line.free_private),
        dash(&line.acceptance.join(" ")),
        state.to_owned(),
        when(line.updated_at),
    ]
}

fn history(rows: Vec<Kept>, printing: Printing) -> anyhow::Result<()> {
    let rows: Vec<PastRow> = rows.into_iter().map(PastRow::from).collect();
    let head = [
        "as of", "ward", "free", "occupied", "staffed", "received", "source", "note",
    ];
    printing.list(&rows, &head, |row| {
        vec![
            when(row.bed.updated_at),
            row.bed.ward_code.clone(),
            count(row.bed.free(None)),
            count(row.bed.occupied),
            count(row.bed.staffed),
            when(row.received_at),
            row.source.clone(),
            if row.late { "late" } else { "" }.to_owned(),
        ]
    })
}
