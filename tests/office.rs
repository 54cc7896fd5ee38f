//! What operators do and see, through the same verbs as the command line, beside a running hub.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei::store::operator::{
    By, ChannelRow, ConsentRow, DeliveryFilter, DeliveryLine, Import, MessageDetail, MessageFilter,
    Operator, RowOutcome, Selection,
};
use renkei::store::sql::{Access, Database};
use renkei::world::{DeliveryState, MessageState};
use renkei_core::{Code, FacilityId, LocalId, SinkName};
use renkei_sim::hospital::Person;
use tokio::sync::Mutex;

use crate::peers::{SINKS, peer_ref};
use crate::people::{HOSPITAL, kana, sex};
use crate::stores::{Home, Line, Look};

/// An operator's desk.
pub(crate) struct Office {
    pub(crate) ledger: Database,
    /// For counting; nothing is written over it but by [`Office::forget_walks`].
    look: Mutex<Look>,
}

impl Office {
    /// Opens the ledger of a hub that may be running or not.
    pub(crate) async fn open(home: impl Into<Home>) -> Self {
        let home = home.into();
        home.prepare().await;
        let ledger = Database::open(home.place(), Access::Command).await.unwrap();
        let look = Look::into(&home).await;
        Self {
            ledger,
            look: Mutex::new(look),
        }
    }

    async fn rows(&self, sql: &str) -> Vec<Line> {
        self.look.lock().await.rows(sql).await.unwrap()
    }

    /// A number out of the ledger.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.rows(sql).await[0].number()
    }

    /// Rows of one text column.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        self.rows(sql).await.iter().map(Line::text).collect()
    }

    /// The current FHIR texts of a type.
    pub(crate) async fn bodies(&self, kind: &str) -> Vec<String> {
        // What was written by an earlier build is text in a file; bytes everywhere else.
        let cast = if matches!(*self.look.lock().await, Look::Sqlite(_)) {
            "CAST(body AS BLOB)"
        } else {
            "body"
        };
        let sql = format!(
            "SELECT {cast} FROM resource JOIN version ON resource = id AND version.version = resource.version \
             WHERE kind = '{kind}'"
        );
        let packed = self.blobs(&sql).await;
        packed
            .iter()
            .map(|body| renkei::store::unpack_text(body).unwrap())
            .collect()
    }

    /// Rows of one column of bytes.
    pub(crate) async fn blobs(&self, sql: &str) -> Vec<Vec<u8>> {
        self.rows(sql).await.iter().map(Line::bytes).collect()
    }

    /// As if the memory of what was read from storages were lost.
    pub(crate) async fn forget_walks(&self) {
        self.rows("DELETE FROM note WHERE source = 'storage'").await;
    }

    /// Every row of a ledger that has no file to look into; nothing of one that has.
    pub(crate) async fn all_rows(&self) -> Vec<(String, String)> {
        let mut look = self.look.lock().await;
        let mut all = Vec::new();
        if matches!(*look, Look::Sqlite(_)) {
            return all;
        }
        let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()";
        for table in look.rows(tables).await.unwrap() {
            let table = table.text();
            let rows = format!("SELECT t::text FROM \"{table}\" AS t");
            let rows = look.rows(&rows).await.unwrap();
            all.extend(rows.iter().map(|row| (table.clone(), row.text())));
        }
        assert!(all.len() > 100, "a ledger says a lot");
        all
    }

    /// Enrols people at the hospital.
    pub(crate) async fn enrol(&self, people: &[Person]) {
        let facility = FacilityId::new(HOSPITAL).unwrap();
        let pairs: Vec<_> = people
            .iter()
            .map(|person| (facility.clone(), LocalId::new(&person.local_id)))
            .collect();
        self.ledger.enrol(&pairs, &by()).await.unwrap();
    }

    /// Imports a consent of each of these people to every sink.
    pub(crate) async fn consent(&self, people: &[Person], change: impl Fn(&mut ConsentRow)) {
        let rows: Vec<ConsentRow> = people
            .iter()
            .map(|person| {
                let mut row = consent_row(person);
                change(&mut row);
                row
            })
            .collect();
        let done = self
            .ledger
            .import_consents(&rows, &by(), Import::default())
            .await;
        for row in done.unwrap() {
            assert_ne!(row.outcome, RowOutcome::Refused, "{row:?}");
        }
    }

    /// Links each of these people's teams at every sink, confirmed.
    pub(crate) async fn link(&self, people: &[Person]) {
        let mut rows = Vec::new();
        for person in people {
            rows.extend(SINKS.map(|sink| channel_row(sink, person)));
        }
        let done = self
            .ledger
            .import_channels(&rows, &by(), Import::default())
            .await;
        for row in done.unwrap() {
            assert_ne!(row.outcome, RowOutcome::Refused, "{row:?}");
        }
    }

    /// Everything that must be in place before people are told.
    pub(crate) async fn admit(&self, people: &[Person]) {
        self.enrol(people).await;
        self.consent(people, |_| {}).await;
        self.link(people).await;
    }

    /// Lets go what waits under a code.
    pub(crate) async fn release(&self, code: Code) -> u64 {
        let which = DeliveryFilter {
            state: Some(DeliveryState::Held),
            code: Some(code),
            limit: u32::MAX,
            ..DeliveryFilter::default()
        };
        let released = self
            .ledger
            .release(&Selection::Matching(which), &by())
            .await;
        released.unwrap()
    }

    /// Stops or lets go what goes to one sink.
    pub(crate) async fn pause(&self, sink: &str, paused: bool) {
        let sink = SinkName::new(sink);
        let done = self
            .ledger
            .sink_override(&sink, None, Some(paused), &by())
            .await;
        done.unwrap();
    }

    /// Puts every message back to waiting.
    pub(crate) async fn replay_all(&self) -> u64 {
        let all = MessageFilter {
            limit: u32::MAX,
            ..MessageFilter::default()
        };
        let replayed = self
            .ledger
            .replay(&Selection::Matching(all), false, &by())
            .await;
        replayed.unwrap()
    }

    /// Deliveries in a state.
    pub(crate) async fn deliveries(&self, state: DeliveryState) -> Vec<DeliveryLine> {
        let filter = DeliveryFilter {
            state: Some(state),
            limit: u32::MAX,
            ..DeliveryFilter::default()
        };
        self.ledger.deliveries(&filter).await.unwrap()
    }

    /// How many deliveries wait or ended under which code.
    pub(crate) async fn codes(&self, state: DeliveryState) -> BTreeMap<String, usize> {
        let mut codes = BTreeMap::new();
        for line in self.deliveries(state).await {
            *codes.entry(line.code.unwrap_or_default()).or_default() += 1;
        }
        codes
    }

    /// The message with this control id that came last, when it has ended.
    pub(crate) async fn ended(&self, control: &str) -> Option<MessageDetail> {
        let trace = self.ledger.trace(control).await.unwrap();
        let last = trace
            .messages
            .into_iter()
            .max_by_key(|detail| detail.message.id)?;
        (last.message.state != MessageState::Received).then_some(last)
    }

    /// Whether nothing is left to process, settle or send.
    pub(crate) async fn is_idle(&self) -> bool {
        self.number(
            "SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM notice WHERE due_at IS NOT NULL) \
             + (SELECT count(*) FROM reroute) + (SELECT count(*) FROM delivery WHERE state IN ('pending', 'sent'))",
        )
        .await
            == 0
    }
}

/// Who acts in tests.
pub(crate) fn by() -> By {
    By {
        actor: "tester".to_owned(),
        reason: "end to end".to_owned(),
        at: Timestamp::now(),
    }
}

/// A consent to every sink.
pub(crate) fn consent_row(person: &Person) -> ConsentRow {
    let own = str::to_owned;
    ConsentRow {
        facility: own(HOSPITAL),
        local_id: person.local_id.clone(),
        kana: kana(person),
        birth_date: person.birth.to_string(),
        form_id: own("doui"),
        form_version: own("1"),
        signed_on: own("2024-04-01"),
        signer: own("本人"),
        recipients: SINKS.map(|sink| format!("sink:{sink}")).join("|"),
        items: own("*"),
        purpose: own("在宅療養の連携"),
        valid_from: own("2024-04-01"),
        ..ConsentRow::default()
    }
}

/// A confirmed channel.
pub(crate) fn channel_row(sink: &str, person: &Person) -> ChannelRow {
    let own = str::to_owned;
    ChannelRow {
        facility: own(HOSPITAL),
        local_id: person.local_id.clone(),
        sink: own(sink),
        peer_ref: peer_ref(sink, person),
        kind: own("professional"),
        host_facility: own(HOSPITAL),
        kana: kana(person),
        birth_date: person.birth.to_string(),
        sex: own(sex(person)),
        // Only a file drop needs them declared; the others are asked.
        professions: own("doctor|nurse"),
        status: own("confirmed"),
        confirmed_by: own("tester"),
    }
}
