//! One reader's share of a notice: what the disclosure leaves, with every text already clean.
//!
//! Headline, body, corrections and sheet are written from the [`Share`] alone; none of them sees
//! the [`NoticeContent`], so none of them can say more than the disclosure allows.

use renkei_core::notice::{Allergies, Comparison, Document, Drug, LabRow, Medication, Speaker};
use renkei_core::{Disclosure, Form, ItemClass, NoticeContent, NoticeKind};

use super::clean::{clean, clean_to, clean_value, clip};
use super::words;

/// Diagnoses at most (ARCHITECTURE.md "What a post says").
const PROBLEMS_AT_MOST: usize = 5;

/// What a reader may know of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part<T> {
    /// Nothing, not even whether something was sent.
    Hidden,
    /// That nothing was sent.
    NotSent,
    /// How many.
    Count(usize),
    /// Which.
    List(Vec<T>),
}

impl<T> Part<T> {
    /// The part of `rows` that `form` leaves.
    fn of(form: Form, rows: Vec<T>) -> Self {
        match form {
            Form::None => Self::Hidden,
            _ if rows.is_empty() => Self::NotSent,
            Form::Summary => Self::Count(rows.len()),
            Form::Full => Self::List(rows),
        }
    }
    /// The rows, when they may be shown.
    pub(super) fn rows(&self) -> &[T] {
        match self {
            Self::List(rows) => rows,
            Self::Hidden | Self::NotSent | Self::Count(_) => &[],
        }
    }
    /// How many, when that may be known.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::List(rows) => rows.len(),
            Self::Count(count) => *count,
            Self::Hidden | Self::NotSent => 0,
        }
    }
}

/// One drug: name, then what was sent of dose, usage and duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DrugShare {
    pub(super) name: String,
    pub(super) dose: Option<String>,
    pub(super) usage: Option<String>,
    pub(super) duration: Option<String>,
}

/// One laboratory row, its flag in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LabShare {
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) flag: &'static str,
    pub(super) range: Option<String>,
    pub(super) day: Option<String>,
    pub(super) previous: Option<String>,
}

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DocumentShare {
    pub(super) class: ItemClass,
    pub(super) title: String,
    pub(super) day: Option<String>,
    /// The original goes with the post.
    pub(super) attached: bool,
    pub(super) media_type: String,
    pub(super) sha256: String,
    pub(super) size: u64,
}

/// New, stopped and changed drugs against the list before, each with its word.
pub(super) type ComparisonShare = [(&'static str, Part<String>); 3];

/// Who speaks and whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpeakerShare {
    pub(super) facility: String,
    /// `医療連携室 03-0000-0000（平日9–17時）`; the facility itself when no desk is known.
    pub(super) contact: String,
}

/// What one audience may read of one notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) kind: NoticeKind,
    /// The audience sees the whole event, not only that it happened.
    pub(super) wide: bool,
    /// The stay ended by death: nothing but the event is told.
    pub(super) death: bool,
    pub(super) speaker: SpeakerShare,
    pub(super) patient: Option<String>,
    pub(super) occurred: Option<String>,
    pub(super) planned: Option<String>,
    pub(super) place: Option<String>,
    pub(super) department: Option<String>,
    pub(super) destination: Option<String>,
    pub(super) alarm: Option<String>,
    pub(super) medication_label: &'static str,
    pub(super) medication: Part<DrugShare>,
    /// `None` when there is nothing to compare or nothing of it may be seen.
    pub(super) comparison: Option<ComparisonShare>,
    /// The source itself says that there are none.
    pub(super) no_allergies: bool,
    pub(super) allergies: Part<String>,
    pub(super) problems: Part<String>,
    pub(super) labs: Part<LabShare>,
    pub(super) documents: Vec<DocumentShare>,
}

impl Share {
    /// Cuts `content` down to `disclosure`; `None` when nothing of the event itself is left.
    pub(super) fn of(content: &NoticeContent, disclosure: &Disclosure) -> Option<Self> {
        let documents = documents(&content.documents, disclosure);
        let event = match content.kind {
            // The documents are the event; each has its own class.
            NoticeKind::Document => documents
                .iter()
                .map(|document| disclosure.of(document.class))
                .max()
                .unwrap_or(Form::None),
            kind => disclosure.of(kind.class()),
        };
        if event == Form::None {
            return None;
        }
        let wide = event == Form::Full;
        let destination = content
            .destination
            .as_deref()
            .and_then(|to| clean_to(to, 24));
        let death = content.kind == NoticeKind::Discharge
            && content
                .destination
                .as_deref()
                .is_some_and(|to| to.contains("死亡"));
        // After a death the lists serve nobody; what is told is the event and whom to ask.
        let none = Disclosure::default();
        let lists = if death { &none } else { disclosure };
        let medication = medication(content.medication.as_ref(), lists.of(ItemClass::Medication));
        let in_full =
            |text: Option<&str>| text.filter(|_| wide).and_then(|text| clean_to(text, 24));
        Some(Self {
            kind: content.kind,
            wide,
            death,
            speaker: SpeakerShare::of(&content.speaker),
            patient: patient(content),
            occurred: words::moment(&content.occurred),
            planned: content.planned.as_deref().and_then(words::moment),
            place: in_full(content.place.as_deref()),
            department: in_full(content.department.as_deref()),
            destination,
            alarm: content
                .alarm
                .as_deref()
                .filter(|_| wide)
                .and_then(|text| clean_to(text, 80)),
            medication_label: medication.0,
            medication: medication.1,
            comparison: medication.2,
            no_allergies: content.allergies == Allergies::StatedNone
                && lists.of(ItemClass::Allergy) != Form::None,
            allergies: Part::of(lists.of(ItemClass::Allergy), allergens(&content.allergies)),
            problems: Part::of(lists.of(ItemClass::ProblemList), problems(content)),
            labs: Part::of(lists.of(ItemClass::Lab), labs(&content.labs)),
            documents: if death { Vec::new() } else { documents },
        })
    }

    /// Whether some list may be shown row by row: then there is a sheet.
    pub(super) fn has_rows(&self) -> bool {
        !self.medication.rows().is_empty()
            || !self.allergies.rows().is_empty()
            || !self.problems.rows().is_empty()
            || !self.labs.rows().is_empty()
    }

    /// The moment the headline names: for a plan the planned one.
    pub(super) fn headline_moment(&self) -> Option<&str> {
        match self.kind {
            NoticeKind::DischargePlan => self.planned.as_deref(),
            _ => self.occurred.as_deref(),
        }
    }
}

impl SpeakerShare {
    /// The speaker in clean words; every reader of a channel may know it.
    pub(super) fn of(speaker: &Speaker) -> Self {
        let facility = clean_to(&speaker.facility, 24).unwrap_or_else(|| "発信元の施設".to_owned());
        let desk = clean_to(&speaker.desk, 20);
        let phone = clean_value(&speaker.phone).map(|phone| clip(&phone, 24));
        let reach: Vec<String> = desk.into_iter().chain(phone).collect();
        let hours = clean_value(&speaker.hours).map(|hours| format!("（{}）", clip(&hours, 20)));
        let contact = match reach.is_empty() {
            true => facility.clone(),
            false => reach.join(" ") + &hours.unwrap_or_default(),
        };
        Self { facility, contact }
    }
}

impl DrugShare {
    /// Dose, usage and duration as one text.
    pub(super) fn directions(&self) -> String {
        [&self.dose, &self.usage, &self.duration]
            .into_iter()
            .filter_map(|part| part.as_deref())
            .collect::<Vec<_>>()
            .join(" ")
    }
    /// Name and directions as one text.
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.name, self.directions())
            .trim_end()
            .to_owned()
    }
}

impl LabShare {
    /// `アルブミン 3.1 g/dL 低値（1/11、基準3.8–5.2、前回3.5）`.
    pub(super) fn line(&self) -> String {
        let mut line = self.name.clone();
        for part in self.value.as_deref().into_iter().chain([self.flag]) {
            line.push(' ');
            line.push_str(part);
        }
        let details: Vec<String> = [
            self.day.clone(),
            self.range.as_ref().map(|range| format!("基準{range}")),
            self.previous
                .as_ref()
                .map(|previous| format!("前回{previous}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !details.is_empty() {
            line.push_str(&format!("（{}）", details.join("、")));
        }
        line
    }
}

/// `ヤマモト様 85歳 女性`: the first word of the reading only, so that a full name sent in that
/// place stays untold.
fn patient(content: &NoticeContent) -> Option<String> {
    let person = &content.patient;
    let family = clean(&person.family_kana)
        .and_then(|kana| kana.split(' ').next().map(|word| clip(word, 16)));
    let age = person
        .age
        .filter(|age| *age < 150)
        .map(|age| format!("{age}歳"));
    let sex = ["男性", "女性"]
        .into_iter()
        .find(|word| *word == person.sex);
    let parts: Vec<String> = [
        family.map(|family| format!("{family}様")),
        age,
        sex.map(str::to_owned),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

type MedicationShare = (&'static str, Part<DrugShare>, Option<ComparisonShare>);

fn medication(medication: Option<&Medication>, form: Form) -> MedicationShare {
    const LABELS: [&str; 3] = ["退院処方", "入院処方", "処方"];
    let Some(medication) = medication else {
        return ("処方", Part::of(form, Vec::new()), None);
    };
    let label = LABELS
        .into_iter()
        .find(|label| *label == medication.label)
        .unwrap_or("処方");
    let drugs = medication.drugs.iter().map(drug).collect();
    let comparison = match &medication.comparison {
        Comparison::With {
            added,
            stopped,
            changed,
        } if form != Form::None => Some([
            ("新規", Part::of(form, drug_names(added))),
            ("中止", Part::of(form, drug_names(stopped))),
            ("変更", Part::of(form, drug_names(changed))),
        ]),
        _ => None,
    };
    (label, Part::of(form, drugs), comparison)
}

fn drug(drug: &Drug) -> DrugShare {
    DrugShare {
        name: drug_name(&drug.name),
        dose: clean_value(&drug.dose).map(|dose| clip(&dose, 20)),
        usage: clean_to(&drug.usage, 60),
        duration: clean_value(&drug.duration).map(|duration| clip(&duration, 20)),
    }
}

/// A drug without a readable name is still a drug that the person takes.
fn drug_name(name: &str) -> String {
    clean_to(name, 60).unwrap_or_else(|| "薬剤名の情報なし".to_owned())
}

fn drug_names(names: &[String]) -> Vec<String> {
    names.iter().map(|name| drug_name(name)).collect()
}

fn allergens(allergies: &Allergies) -> Vec<String> {
    match allergies {
        Allergies::Unknown | Allergies::StatedNone => Vec::new(),
        Allergies::Known(allergens) => allergens
            .iter()
            .map(|name| clean_to(name, 60).unwrap_or_else(|| "原因物質の情報なし".to_owned()))
            .collect(),
    }
}

/// The main diagnosis first, five at most.
fn problems(content: &NoticeContent) -> Vec<String> {
    let (main, other): (Vec<_>, Vec<_>) = content.problems.iter().partition(|problem| problem.main);
    main.into_iter()
        .chain(other)
        .filter_map(|problem| {
            let name = clean_to(&problem.name, 60)?;
            Some(if problem.main {
                format!("{name}（主病名）")
            } else {
                name
            })
        })
        .take(PROBLEMS_AT_MOST)
        .collect()
}

/// Only rows that the laboratory itself flagged.
fn labs(rows: &[LabRow]) -> Vec<LabShare> {
    let shown = |row: &LabRow| {
        let flag = words::flag(&row.flag)?;
        let unit = clean_value(&row.unit);
        let value = value(&row.value).map(|value| match unit {
            Some(unit) => format!("{value} {}", clip(&unit, 16)),
            None => value,
        });
        Some(LabShare {
            name: clean_to(&row.name, 40).unwrap_or_else(|| "項目名の情報なし".to_owned()),
            value,
            flag,
            range: clean_value(&row.range).map(|range| clip(&range, 24)),
            day: words::day(&row.date),
            previous: row.previous.as_deref().and_then(value_of_before),
        })
    };
    rows.iter().filter_map(shown).collect()
}

fn value(text: &str) -> Option<String> {
    clean_value(text).map(|value| clip(&value, 24))
}

/// The value before carries its date (`3.5（2024-12-20）`, `3.5 2024-12-20`): shown as `3.5（12/20）`.
fn value_of_before(text: &str) -> Option<String> {
    let text = clean_value(text)?;
    let date = text.char_indices().map(|(at, _)| at).find_map(|at| {
        let date = text.get(at..at + 10)?;
        words::day(date).map(|day| (at, day))
    });
    let Some((at, day)) = date else {
        return Some(clip(&text, 32));
    };
    let rest = format!("{} {}", &text[..at], &text[at + 10..]);
    clean_value(&rest.replace(['（', '）', '(', ')'], " "))
        .map(|value| format!("{}（{day}）", clip(&value, 24)))
}

/// Whether people can open it; what only a program reads (CDA) stays with the record.
fn opens(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/pdf" | "image/jpeg" | "image/png" | "image/tiff" | "text/plain"
    )
}

fn documents(documents: &[Document], disclosure: &Disclosure) -> Vec<DocumentShare> {
    let shown = |document: &Document| {
        let form = disclosure.of(document.class);
        if form == Form::None {
            return None;
        }
        let is_hash = document.sha256.len() == 64
            && document
                .sha256
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        // In summary form the class says what arrived; the title is the author's own words.
        let title = match form {
            Form::Full => clean_to(&document.title, 40),
            Form::None | Form::Summary => None,
        };
        Some(DocumentShare {
            class: document.class,
            title: title.unwrap_or_else(|| document.class.label().to_owned()),
            day: words::day(&document.date),
            attached: form == Form::Full && is_hash && opens(&document.media_type),
            media_type: document.media_type.clone(),
            sha256: document.sha256.clone(),
            size: document.size,
        })
    };
    documents.iter().filter_map(shown).collect()
}
