//! ⑧ The table and the foot line: every figure from the ledger, held against what the simulators have.

use std::collections::{BTreeMap, HashMap, HashSet};

use renkei_core::{Change, Code, clock};

use super::admission::is_told;
use crate::demo::doors::Inside;
use crate::demo::page;
use crate::demo::play::{Play, SYSTEMS};
use crate::demo::stage::{TREE, WIRE};
use crate::store::operator::{DeliveryFilter, DeliveryLine, EventRow, LedgerCounts, Operator as _};
use crate::world::DeliveryState;

/// Plays it.
///
/// # Errors
/// When the stage fails.
pub async fn play(play: &mut Play) -> anyhow::Result<()> {
    page::beat("⑧", "まとめ：台帳から数え、シミュレータと突き合わせる");
    let events = play.events().await?;
    let people = play.people().await?;
    let mut rows = vec![["出来事", "電文", "FHIR"].map(str::to_owned).to_vec()];
    if let Some(head) = rows.first_mut() {
        head.extend(SYSTEMS.map(|(_, column, _)| column.to_owned()));
        head.extend(["了解", "止めた理由"].map(str::to_owned));
    }
    let mut reasons = play.stopped.clone();
    for event in &events {
        let letter = people.get(&event.person).copied().unwrap_or("?");
        let own = reasons.iter().position(|(about, _)| *about == letter);
        let before = own.map(|at| reasons.remove(at).1);
        rows.push(row(play, event, letter, before)?);
    }
    page::table(&rows);
    page::tell("");
    let proof = Proof::of(play, &people).await?;
    proof.check(play, &events);
    let counts = play.stage.ledger.ledger_counts().await?;
    no_names_in_the_log(play)?;
    page::tell("");
    page::tell(&foot(&counts, &proof));
    Ok(())
}

fn row(
    play: &Play,
    event: &EventRow,
    letter: &str,
    before: Option<String>,
) -> anyhow::Result<Vec<String>> {
    let called = play.cast.patient(letter)?.called();
    let at = clock::in_japan(event.occurred_at);
    // Reading the storages again made every message seen twice: the messages are those of the story.
    let first_seen = play.told.iter().find(|told| told.notice == event.notice);
    let seen: u64 = event.deliveries.iter().map(|delivery| delivery.seen).sum();
    let mut row = vec![
        format!(
            "{}/{} {called} {}",
            at.month(),
            at.day(),
            event.kind.label()
        ),
        first_seen.unwrap_or(event).messages.to_string(),
        event.fhir_versions.to_string(),
    ];
    row.extend(SYSTEMS.map(|(peer, ..)| cell(event, peer)));
    row.push(seen.to_string());
    row.push(reasons(event, before).join(" "));
    Ok(row)
}

/// Posts of an event at one peer: how many, how many of them corrections, or that they are held.
fn cell(event: &EventRow, peer: &str) -> String {
    let told = |first: bool| {
        let here = event
            .deliveries
            .iter()
            .filter(|delivery| is_told(delivery, peer));
        here.filter(|delivery| (delivery.change == Change::First) == first)
            .count()
    };
    let held = event
        .deliveries
        .iter()
        .any(|delivery| delivery.sink.as_str() == peer && delivery.state == DeliveryState::Held);
    match (told(true), told(false), held) {
        (0, 0, true) => "保留".to_owned(),
        (0, 0, false) => "-".to_owned(),
        (first, 0, _) => first.to_string(),
        (first, later, _) => format!("{first}+訂正{later}"),
    }
}

/// The rules that stopped an event, each once.
fn reasons(event: &EventRow, before: Option<String>) -> Vec<String> {
    let held = event
        .deliveries
        .iter()
        .filter(|delivery| delivery.state == DeliveryState::Held)
        .filter_map(|delivery| delivery.code.as_deref());
    let decided = event.decisions.iter().filter_map(|decision| {
        let (_, code) = decision.split_once(' ')?;
        Some(code)
    });
    let mut reasons: Vec<String> = before.into_iter().collect();
    for code in decided.chain(held) {
        if !reasons.iter().any(|known| known == code) {
            reasons.push(code.to_owned());
        }
    }
    reasons
}

/// What the simulators have, held against the ledger.
struct Proof {
    /// Posts that people can read.
    readable: usize,
    /// Posts with a delivery in the ledger.
    planned: usize,
    /// Posts under another patient's header than the delivery is about.
    wrong: usize,
    /// Deliveries the ledger calls told that no peer has, or that are still under way.
    lost: usize,
    /// Keys that people could see twice.
    twice: usize,
    /// Entries that a person typed.
    typed: usize,
    /// Told deliveries in the ledger.
    told: usize,
    /// Messages the hospital sent or wrote, and those of them in the ledger.
    messages: (u64, u64),
}

impl Proof {
    async fn of(
        play: &Play,
        people: &HashMap<renkei_core::PersonId, &'static str>,
    ) -> anyhow::Result<Self> {
        let filter = DeliveryFilter {
            limit: 10_000,
            ..DeliveryFilter::default()
        };
        let deliveries = play.stage.ledger.deliveries(&filter).await?;
        let by_ref: HashMap<(&str, &str), &DeliveryLine> = deliveries
            .iter()
            .filter_map(|line| Some(((line.sink.as_str(), line.peer_ref.as_ref()?.as_str()), line)))
            .collect();
        let counts = play.stage.ledger.ledger_counts().await?;
        let kept: u64 = [WIRE, TREE]
            .iter()
            .filter_map(|source| counts.sources.get(*source))
            .sum();
        let mut proof = Self {
            readable: 0,
            planned: 0,
            wrong: 0,
            lost: 0,
            twice: 0,
            typed: 0,
            told: 0,
            messages: (play.stage.emr.sent() + play.stage.emr.written(), kept),
        };
        let mut there: HashSet<(&str, String)> = HashSet::new();
        for (peer, ..) in SYSTEMS {
            let inside = play.inside(peer).await?;
            proof.twice += inside.keys.iter().filter(|key| key.effects > 1).count();
            proof.posts(play, people, peer, &inside, &by_ref);
            there.extend(
                inside
                    .readable()
                    .map(|entry| (peer, entry.entry_id.clone())),
            );
        }
        for line in &deliveries {
            proof.told += usize::from(is_told_line(line));
            proof.lost += usize::from(is_lost(line, &there));
        }
        Ok(proof)
    }

    fn posts(
        &mut self,
        play: &Play,
        people: &HashMap<renkei_core::PersonId, &'static str>,
        peer: &str,
        inside: &Inside,
        by_ref: &HashMap<(&str, &str), &DeliveryLine>,
    ) {
        for entry in inside.readable() {
            self.readable += 1;
            self.typed += usize::from(entry.origin == "person");
            let Some(line) = by_ref.get(&(peer, entry.entry_id.as_str())) else {
                continue;
            };
            self.planned += 1;
            let meant = people
                .get(&line.person)
                .and_then(|letter| play.cast.patient(letter).ok());
            let right = meant
                .zip(entry.patient.as_ref())
                .is_some_and(|(patient, shown)| {
                    let header = patient.header();
                    (&shown.kana, &shown.birth_date, &shown.sex)
                        == (&header.kana, &header.birth_date, &header.sex)
                });
            self.wrong += usize::from(!right);
        }
    }

    fn check(&self, play: &mut Play, events: &[EventRow]) {
        let in_table = events.iter().flat_map(|event| &event.deliveries);
        let shown =
            in_table.filter(|delivery| SYSTEMS.iter().any(|(peer, ..)| is_told(delivery, peer)));
        let checks = &mut play.checks;
        checks.equal("投稿の数（シミュレータと台帳）", self.readable, self.told);
        checks.equal("表の投稿の数（台帳）", shown.count(), self.told);
        checks.equal("台帳に元のある投稿", self.planned, self.readable);
        checks.equal("別の患者の欄の下にある投稿", self.wrong, 0);
        checks.equal("2回見えた投稿", self.twice, 0);
        checks.equal("消えた投稿", self.lost, 0);
        checks.equal(
            "病院が出した電文と台帳の電文",
            self.messages.1,
            self.messages.0,
        );
        checks.equal("人が打ち込んだ投稿", self.typed, 0);
    }

    fn lost(&self) -> u64 {
        self.lost as u64 + self.messages.0.saturating_sub(self.messages.1)
    }
}

fn is_told_line(line: &DeliveryLine) -> bool {
    matches!(line.state, DeliveryState::Delivered | DeliveryState::Sent)
}

fn is_lost(line: &DeliveryLine, there: &HashSet<(&str, String)>) -> bool {
    match line.state {
        DeliveryState::Delivered | DeliveryState::Sent => {
            let place = line
                .peer_ref
                .as_ref()
                .map(|at| (line.sink.as_str(), at.as_str().to_owned()));
            place.is_none_or(|place| !there.contains(&place))
        }
        DeliveryState::Pending => true,
        DeliveryState::Dead => line.code.as_deref() != Some(Code::DLV_SUPERSEDED.as_str()),
        DeliveryState::Held => false,
    }
}

/// No name, kana or number of a patient stands in the hub's log.
fn no_names_in_the_log(play: &mut Play) -> anyhow::Result<()> {
    let log = play.stage.hub.logged()?;
    let names = play.cast.0.iter().flat_map(|patient| {
        let person = &patient.person;
        [&person.kana_family, &person.family, &person.local_id]
    });
    let found = names.filter(|name| log.contains(name.as_str())).count();
    play.checks
        .equal("ハブのログに出た患者の名前や番号", found, 0);
    Ok(())
}

fn foot(counts: &LedgerCounts, proof: &Proof) -> String {
    let human: BTreeMap<&str, u64> = counts
        .counters
        .iter()
        .filter_map(|(name, count)| Some((name.strip_prefix("human.")?, *count)))
        .collect();
    let confirmed: u64 = human.values().sum();
    let what: Vec<String> = human
        .iter()
        .map(|(what, count)| format!("{} {count}", act_in_words(what)))
        .collect();
    let notices: u64 = counts.notices.values().sum();
    format!(
        "手入力 {}　人の確認 {confirmed}（{}）　電文 {} → 通知 {notices}　誤配信 {}　消失 {}　相手はすべてシミュレータ",
        proof.typed,
        what.join("、"),
        proof.messages.1,
        proof.wrong,
        proof.lost(),
    )
}

/// What people did, by the name of its counter.
fn act_in_words(counter: &str) -> &str {
    match counter {
        "confirm" => "連絡先の確認",
        "decide" => "本人の確認",
        "release" => "保留の解除",
        "desk" => "手渡し",
        other => other,
    }
}
