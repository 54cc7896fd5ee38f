//! The consent import.

use jiff::civil::Date;
use renkei_core::{Code, FacilityId, Facts, ItemClass, RecordId};
use renkei_hl7v2::kana;
use serde::Serialize;

use super::{audit, reroute_unsent};
use crate::store::StoreError;
use crate::store::operator::{
    By, ConsentForm, ConsentRow, Import, OperateError, RowOutcome, RowResult,
};
use crate::store::sql::speak::{Conn, query};
use crate::store::sql::{json, micros, parsed};

/// What is stored of a form: all columns of the import.
#[derive(Serialize)]
struct Stored<'a> {
    #[serde(flatten)]
    form: ConsentForm,
    signed_on: &'a str,
    signer: &'a str,
    relation: &'a str,
    purpose: &'a str,
}

/// What the ledger knows about a row.
struct Known {
    record: Option<(RecordId, Facts)>,
    /// Stored form, kana, birth date and withdrawal.
    consent: Option<[String; 4]>,
}

/// See [`crate::store::operator::Operator::import_consents`]. `first` is the number of the first row.
pub(super) async fn import(
    tx: &mut Conn,
    rows: &[ConsentRow],
    first: usize,
    by: &By,
    how: Import,
) -> Result<Vec<RowResult>, OperateError> {
    let mut results = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let (outcome, code, why) = match one(tx, row, by, how).await? {
            Ok(outcome) => (outcome, None, ""),
            Err((code, why)) => (RowOutcome::Refused, Some(code), why),
        };
        results.push(RowResult {
            row: first + index,
            outcome,
            code,
            why: why.to_owned(),
        });
    }
    if !how.dry_run {
        let taken = results
            .iter()
            .filter(|result| result.outcome != RowOutcome::Refused)
            .count();
        audit::line(
            tx,
            by,
            "import.consents",
            &format!("{taken} of {} rows", rows.len()),
        )
        .await?;
    }
    Ok(results)
}

type Refusal = (Code, &'static str);

async fn one(
    tx: &mut Conn,
    row: &ConsentRow,
    by: &By,
    how: Import,
) -> Result<Result<RowOutcome, Refusal>, StoreError> {
    let form = match checked(row) {
        Ok(form) => form,
        Err(why) => return Ok(Err((Code::CFG_CSV_ROW, why))),
    };
    let known = known(tx, row).await?;
    let key = kana::search_key(&row.kana);
    if let Some((_, facts)) = &known.record
        && (kana::search_key(&facts.kana) != key || facts.birth_date != row.birth_date)
    {
        return Ok(Err((
            Code::RTE_CONSENT_MISMATCH,
            "kana or birth date differ from the record's",
        )));
    }
    let stored = json(&Stored {
        form,
        signed_on: &row.signed_on,
        signer: &row.signer,
        relation: &row.relation,
        purpose: &row.purpose,
    })?;
    // A withdrawal is never undone, nor put off.
    let withdrawn_on = match &known.consent {
        Some([_, _, _, before])
            if !before.is_empty()
                && (row.withdrawn_on.is_empty() || *before < row.withdrawn_on) =>
        {
            before.clone()
        }
        _ => row.withdrawn_on.clone(),
    };
    let now = [stored, key, row.birth_date.clone(), withdrawn_on];
    let outcome = match &known.consent {
        Some(before) if *before == now => RowOutcome::Unchanged,
        Some(before) if before[3].is_empty() && !now[3].is_empty() => RowOutcome::Withdrawn,
        Some(_) => RowOutcome::Updated,
        None if known.record.is_none() => RowOutcome::WaitingForPatient,
        None => RowOutcome::Added,
    };
    if !how.dry_run {
        write(tx, row, &now, by).await?;
        if let Some((record, _)) = known.record {
            if matches!(outcome, RowOutcome::Updated | RowOutcome::Withdrawn) {
                reroute_unsent(tx, record, by.at).await?;
            }
            if how.back_deliver {
                reroute_denied(tx, record, by).await?;
            }
        }
    }
    Ok(Ok(outcome))
}

async fn known(tx: &mut Conn, row: &ConsentRow) -> Result<Known, StoreError> {
    let record = query("SELECT id, facts FROM record WHERE facility = ?1 AND local_id = ?2")
        .bind(row.facility.clone())
        .bind(row.local_id.clone())
        .fetch_optional(&mut *tx)
        .await?;
    let record = match record {
        Some(found) => Some((RecordId(found.get(0)), parsed(found.get(1))?)),
        None => None,
    };
    let consent = query(
        "SELECT form, kana, birth_date, withdrawn_on FROM consent WHERE facility = ?1 AND local_id = ?2 AND form_id = ?3 AND form_version = ?4",
    )
    .bind(row.facility.clone())
    .bind(row.local_id.clone())
    .bind(row.form_id.clone())
    .bind(row.form_version.clone())
    .fetch_optional(tx)
    .await?;
    Ok(Known {
        record,
        consent: consent.map(|found| [found.get(0), found.get(1), found.get(2), found.get(3)]),
    })
}

async fn write(
    tx: &mut Conn,
    row: &ConsentRow,
    now: &[String; 4],
    by: &By,
) -> Result<(), StoreError> {
    let [form, kana, birth_date, withdrawn_on] = now;
    query(
        "INSERT INTO consent (facility, local_id, form_id, form_version, kana, birth_date, form, withdrawn_on, imported_at, actor) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT (facility, local_id, form_id, form_version) DO UPDATE SET kana = excluded.kana, birth_date = excluded.birth_date, \
         form = excluded.form, withdrawn_on = excluded.withdrawn_on, imported_at = excluded.imported_at, actor = excluded.actor",
    )
    .bind(row.facility.clone())
    .bind(row.local_id.clone())
    .bind(row.form_id.clone())
    .bind(row.form_version.clone())
    .bind(kana.clone())
    .bind(birth_date.clone())
    .bind(form.clone())
    .bind(withdrawn_on.clone())
    .bind(micros(by.at))
    .bind(by.actor.clone())
    .execute(&mut *tx)
    .await?;
    if withdrawn_on.is_empty() {
        query("INSERT INTO enrolment (facility, local_id, at, actor) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")
            .bind(row.facility.clone())
            .bind(row.local_id.clone())
            .bind(micros(by.at))
            .bind(by.actor.clone())
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// Asked for by name only: what was denied for want of consent in the last 30 days is judged again.
async fn reroute_denied(tx: &mut Conn, record: RecordId, by: &By) -> Result<(), StoreError> {
    let since = by
        .at
        .checked_sub(crate::compose::FOLLOWED)
        .map_or(0, micros);
    query(
        "INSERT INTO reroute (notice) SELECT DISTINCT n.id FROM notice AS n JOIN decision AS d ON d.notice = n.id AND d.version = n.version \
         WHERE n.record = ?1 AND n.occurred_at >= ?2 AND d.verdict = 'deny' AND d.code IN (?3, ?4, ?5)",
    )
    .bind(record.0)
    .bind(since)
    .bind(Code::RTE_NO_CONSENT.as_str())
    .bind(Code::RTE_CONSENT_MISMATCH.as_str())
    .bind(Code::RTE_NOTHING_ALLOWED.as_str())
    .execute(tx)
    .await?;
    Ok(())
}

/// A day as `YYYY-MM-DD`, nothing shorter or longer.
pub(super) fn is_day(text: &str) -> bool {
    text.len() == 10 && text.parse::<Date>().is_ok()
}

/// The entries of a list column.
pub(super) fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split('|')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

fn checked(row: &ConsentRow) -> Result<ConsentForm, &'static str> {
    FacilityId::new(&row.facility).map_err(|_| "facility is not a facility number")?;
    if row.local_id.is_empty() || row.form_id.is_empty() || row.form_version.is_empty() {
        return Err("local_id, form_id and form_version are needed");
    }
    if kana::search_key(&row.kana).is_empty() || !is_day(&row.birth_date) {
        return Err("kana and birth_date (YYYY-MM-DD) are needed");
    }
    let days = [
        &row.signed_on,
        &row.valid_from,
        &row.valid_until,
        &row.withdrawn_on,
    ];
    if days.into_iter().any(|day| !day.is_empty() && !is_day(day)) {
        return Err("a date is not of the form YYYY-MM-DD");
    }
    if !row.valid_until.is_empty() && row.valid_until < row.valid_from {
        return Err("valid_until is before valid_from");
    }
    if !matches!(row.signer.as_str(), "本人" | "代理人") {
        return Err("signer is neither 本人 nor 代理人");
    }
    let owned = |text| entries(text).map(str::to_owned).collect::<Vec<_>>();
    let form = ConsentForm {
        disclosers: owned(&row.disclosers),
        recipients: owned(&row.recipients),
        items: owned(&row.items),
        valid_from: row.valid_from.clone(),
        valid_until: row.valid_until.clone(),
    };
    if form
        .disclosers
        .iter()
        .any(|facility| FacilityId::new(facility.trim_start_matches("facility:")).is_err())
    {
        return Err("a discloser is not a facility number");
    }
    if form.recipients.is_empty()
        || !form
            .recipients
            .iter()
            .all(|recipient| is_recipient(recipient))
    {
        return Err("a recipient is not sink:, facility:, class: or district:");
    }
    if form.items.is_empty()
        || !form
            .items
            .iter()
            .all(|item| item == "*" || ItemClass::find(item).is_some())
    {
        return Err("an item is neither an item class nor *");
    }
    Ok(form)
}

fn is_recipient(text: &str) -> bool {
    match text.split_once(':') {
        Some(("sink" | "class" | "district", name)) => !name.is_empty(),
        Some(("facility", number)) => FacilityId::new(number).is_ok(),
        _ => false,
    }
}
