//! What must have arrived, from the sender's own log, by rules of its own: nothing of the hub decides
//! here.
//!
//! - Each admission and each discharge is told once at each sink, in the words of what was said last,
//!   or as it was said first and then corrected, step by step, each step once and in order.
//! - What was taken back is not told, or the last word about it is its cancellation.
//! - To one person's team everything is told in the order in which it was said.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime, Weekday};
use renkei_sim::hospital::{Person, Sex};

use crate::peers::Post;
use crate::people::HOSPITAL_NAME;
use crate::story::{Fact, Step};

/// One state of an event, as readers must see it.
#[derive(Clone, Debug)]
struct State {
    /// Place of the message in the patient's log.
    said: usize,
    /// The headline without its marks.
    headline: String,
    /// Lines that stand in the text.
    lines: Vec<String>,
    cancelled: bool,
}

/// An event of one person: `【入院】` or `【退院】`, and when.
type Key = (usize, &'static str, String);

/// Everything that must be told.
pub(crate) struct Expected<'a> {
    people: &'a [Person],
    events: BTreeMap<Key, Vec<State>>,
}

/// What one sink was told, held against what it must have been told.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) events: usize,
    pub(crate) corrections: usize,
    pub(crate) cancellations: usize,
    /// Never told, or not to the end.
    pub(crate) lost: Vec<String>,
    /// Told twice.
    pub(crate) twice: Vec<String>,
    /// Told after something that was said later.
    pub(crate) inversions: Vec<String>,
    /// Told in other words, or never said.
    pub(crate) wrong: Vec<String>,
}

impl<'a> Expected<'a> {
    /// Reads the log: each patient's messages in the order they were said.
    pub(crate) fn of(people: &'a [Person], log: &[Vec<Step>]) -> Self {
        let mut expected = Self {
            people,
            events: BTreeMap::new(),
        };
        for (patient, steps) in log.iter().enumerate() {
            let mut chart = Chart::default();
            for (said, step) in steps.iter().enumerate() {
                expected.take(patient, said, &step.fact, &mut chart);
            }
        }
        expected
    }

    fn take(&mut self, patient: usize, said: usize, fact: &Fact, chart: &mut Chart) {
        let (kind, at, headline, closing, cancelled) = match fact {
            Fact::Known | Fact::Result { .. } | Fact::Prescribed => return,
            Fact::Allergic(substance) => {
                chart.allergy = Some(substance);
                return;
            }
            Fact::Admitted { at, ward } => {
                chart.ward.clone_from(ward);
                let closing = "入院中の訪問・サービスの予定をご確認ください";
                ("【入院】", at, String::new(), closing, false)
            }
            Fact::NotAdmitted { at } => ("【入院】", at, String::new(), "", true),
            Fact::Discharged { at, to } => {
                let to = format!(" → {}", place(to));
                (
                    "【退院】",
                    at,
                    to,
                    "退院日の訪問予定をご確認ください",
                    false,
                )
            }
            Fact::NotDischarged { at } => ("【退院】", at, String::new(), "", true),
        };
        let person = &self.people[patient];
        let mut lines = vec![who(person, at.date())];
        if cancelled {
            lines.push(format!(
                "{}の{}の連絡は取り消されました",
                moment(*at),
                &kind["【".len()..kind.len() - "】".len()]
            ));
        } else {
            lines.push(format!(
                "病棟：{}病棟 301号室 ベッド1 診療科：内科",
                chart.ward
            ));
            lines.push(chart.allergy.map_or_else(
                || "アレルギー：情報なし".to_owned(),
                |substance| format!("アレルギー：{substance}"),
            ));
            lines.push(closing.to_owned());
        }
        lines.push("問合せ：医療連携室 03-0000-0000（平日9–17時）".to_owned());
        lines.push("この投稿への返信は病院に届きません".to_owned());
        lines.push(format!(
            "{HOSPITAL_NAME}の電子カルテから自動転送・診療録ではありません"
        ));
        let headline = format!("{kind}{} {HOSPITAL_NAME}{headline}", moment(*at));
        let states = self.events.entry((patient, kind, moment(*at))).or_default();
        states.push(State {
            said,
            headline,
            lines,
            cancelled,
        });
    }

    /// Holds what one sink was told, in the order it was accepted, against what it must be.
    pub(crate) fn judge(&self, sink: &str, posts: &[Post]) -> Judgement {
        let mut judgement = Judgement::default();
        let patients: BTreeMap<&str, usize> = self
            .people
            .iter()
            .enumerate()
            .map(|(place, person)| (person.local_id.as_str(), place))
            .collect();
        let mut told: BTreeMap<&Key, Vec<(usize, &Post)>> = BTreeMap::new();
        let mut last_said: BTreeMap<usize, usize> = BTreeMap::new();
        for post in posts {
            let found = patients
                .get(post.local_id.as_str())
                .and_then(|patient| self.find(*patient, post));
            let Some((key, at)) = found else {
                judgement
                    .wrong
                    .push(format!("{sink}: nobody said this: {post:?}"));
                continue;
            };
            let said = self.events[key][at].said;
            let before = last_said.insert(key.0, said);
            if before.is_some_and(|before| before > said) {
                judgement
                    .inversions
                    .push(format!("{sink}: {key:?}: {}", post.headline));
            }
            told.entry(key).or_default().push((at, post));
        }
        for (key, states) in &self.events {
            let told = told.get(key).map_or(&[][..], Vec::as_slice);
            judgement.event(sink, key, states, told);
        }
        judgement
    }

    /// The state of an event that a post tells.
    fn find(&self, patient: usize, post: &Post) -> Option<(&Key, usize)> {
        let bare = bare(&post.headline);
        let of_patient = self.events.range((patient, "", String::new())..);
        let mut of_patient = of_patient.take_while(|(key, _)| key.0 == patient);
        of_patient.find_map(|(key, states)| {
            let cancels = post.headline.contains("【取消】");
            let at = states.iter().rposition(|state| {
                let told = state
                    .lines
                    .iter()
                    .all(|line| post.text.lines().any(|own| own == line));
                state.headline == bare && state.cancelled == cancels && told
            })?;
            Some((key, at))
        })
    }
}

#[derive(Default)]
struct Chart {
    ward: String,
    allergy: Option<&'static str>,
}

impl Judgement {
    fn event(&mut self, sink: &str, key: &Key, states: &[State], told: &[(usize, &Post)]) {
        let Some(last) = states.last() else { return };
        let Some((first, _)) = told.first() else {
            // What was taken back before anybody heard of it is nobody's news.
            if !last.cancelled {
                self.lost.push(format!("{sink}: {key:?} was never told"));
            }
            return;
        };
        self.events += 1;
        if states[*first].cancelled {
            self.wrong
                .push(format!("{sink}: {key:?} was taken back and never told"));
        }
        for pair in told.windows(2) {
            if pair[0].0 >= pair[1].0 {
                self.twice
                    .push(format!("{sink}: {key:?}: {}", pair[1].1.headline));
            }
        }
        for (place, (at, post)) in told.iter().enumerate() {
            let mark = match (place, states[*at].cancelled) {
                (_, true) => "【取消】",
                (0, false) => "",
                (_, false) => "【訂正】",
            };
            if post.headline != format!("{mark}{}", states[*at].headline) {
                self.wrong
                    .push(format!("{sink}: {key:?}: headline {}", post.headline));
            }
            self.corrections += usize::from(mark == "【訂正】");
            self.cancellations += usize::from(mark == "【取消】");
            let answers = post.before.is_some();
            if answers != (place > 0) {
                self.wrong.push(format!(
                    "{sink}: {key:?}: it {} an earlier post",
                    if answers { "names" } else { "does not name" }
                ));
            }
            let corrects = post.text.lines().any(|line| line.starts_with("訂正："));
            if corrects != (mark == "【訂正】") {
                self.wrong.push(format!(
                    "{sink}: {key:?}: lines of correction: {}",
                    post.text
                ));
            }
        }
        if told.last().is_some_and(|(at, _)| at + 1 != states.len()) {
            self.lost
                .push(format!("{sink}: {key:?}: the last state was not told"));
        }
    }
}

/// A headline without 【訂正】 and 【取消】.
fn bare(headline: &str) -> &str {
    let bare = headline.strip_prefix("【訂正】").unwrap_or(headline);
    bare.strip_prefix("【取消】").unwrap_or(bare)
}

/// HL7 table 0112, the rows the story uses.
fn place(code: &str) -> &'static str {
    match code {
        "01" => "自宅",
        "02" => "他院",
        "04" => "介護施設",
        _ => "自宅（訪問看護あり）",
    }
}

/// `1/31(金)11:00`
fn moment(at: DateTime) -> String {
    let day = match at.weekday() {
        Weekday::Monday => '月',
        Weekday::Tuesday => '火',
        Weekday::Wednesday => '水',
        Weekday::Thursday => '木',
        Weekday::Friday => '金',
        Weekday::Saturday => '土',
        Weekday::Sunday => '日',
    };
    format!(
        "{}/{}({day}){:02}:{:02}",
        at.month(),
        at.day(),
        at.hour(),
        at.minute()
    )
}

/// `ヤマモト様 85歳 女性`
fn who(person: &Person, on: Date) -> String {
    let birth = person.birth;
    let had_birthday = (on.month(), on.day()) >= (birth.month(), birth.day());
    let age = on.year() - birth.year() - i16::from(!had_birthday);
    let sex = match person.sex {
        Sex::Male => " 男性",
        Sex::Female => " 女性",
        Sex::Other | Sex::Unknown => "",
    };
    format!("{}様 {age}歳{sex}", person.kana_family)
}
