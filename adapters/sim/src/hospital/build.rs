//! An event → one HL7 v2.5 message, encoded as ISO-2022-JP.

use jiff::civil::Date;
use renkei_hl7v2::Charset;
use renkei_hl7v2::build::{BuildError, Builder, Header, Part, Segment};
use renkei_hl7v2::encode::encode;

use super::event::{Event, What};
use super::orders::{Drug, LabReport, Prescription, Problem, VitalRow};
use super::people::Site;
use super::segments::{amount, day, evn, in1, minutes, orc, pid, pv1, seconds, staff};

/// A message, and where the standardized storage puts it.
#[derive(Clone, Debug)]
pub struct Built {
    /// MSH-9, for example `ADT^A03`.
    pub message_type: String,
    /// MSH-10.
    pub control_id: String,
    /// Where a hospital keeps it.
    pub place: Place,
    /// 診療日; `None` is written `-`.
    pub care_date: Option<Date>,
    /// Department of the file name; `-` where the message has none.
    pub department: String,
    /// Whether it deletes its key (flag 0).
    pub cancels: bool,
    /// The message as text.
    pub text: String,
    /// The message as sent, without MLLP framing, every segment ended by CR.
    pub bytes: Vec<u8>,
}

/// Where a message is kept besides being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Standardized storage, in the folder of this data type.
    Standardized(&'static str),
    /// Extended storage.
    Extended,
    /// Only sent.
    Nowhere,
}

/// What a trigger is and where it is kept.
struct Kind {
    message: [&'static str; 3],
    place: Place,
    care_date: Option<Date>,
    cancels: bool,
}

/// Builds the message of an event. [`What::Document`] has none: it is refused as a missing segment.
///
/// # Errors
/// [`BuildError`], for an event that needs a stay and has none or that is no message.
pub fn build(site: &Site, event: &Event, control_id: &str) -> Result<Built, BuildError> {
    let kind = kind(event)?;
    let sent_at = seconds(event.at);
    let header = Header {
        sending_application: &site.application,
        sending_facility: &site.facility,
        receiving_application: "GW",
        receiving_facility: "RCV",
        sent_at: &sent_at,
        message_type: kind.message,
        control_id,
        charset: Some(Charset::Iso2022Jp),
        ..Header::default()
    };
    let profile = [
        "SS-MIX2_1.20",
        "SS-MIX2",
        "1.2.392.200250.2.1.100.1.2.120",
        "ISO",
    ];
    let mut builder = Builder::with_header(header.segment().components(21, profile));
    for segment in segments(site, event)? {
        builder = builder.push(segment);
    }
    let text = builder.finish()?;
    let bytes = encode(&text, Charset::Iso2022Jp).bytes;
    let undated = kind.care_date.is_none();
    let department = event
        .stay
        .as_ref()
        .filter(|_| !undated)
        .map_or("-", |stay| stay.department.0.as_str())
        .to_owned();
    Ok(Built {
        message_type: format!("{}^{}", kind.message[0], kind.message[1]),
        control_id: control_id.to_owned(),
        place: kind.place,
        care_date: kind.care_date,
        department,
        cancels: kind.cancels,
        text,
        bytes,
    })
}

/// Trigger, structure, folder and care date (which field gives it: SS-MIX2 guideline).
fn kind(event: &Event) -> Result<Kind, BuildError> {
    use Place::Standardized as Std;
    let stay = || event.stay.as_ref().ok_or(BuildError::SegmentName);
    let admitted = || stay().map(|stay| Some(stay.admitted.date()));
    let discharged = || stay().map(|stay| stay.discharged.as_ref().map(|(at, _)| at.date()));
    let occurred = Some(event.occurred.unwrap_or(event.at).date());
    let plan = || stay().map(|stay| stay.expected_discharge);
    let (message, place, care_date, cancels) = match &event.what {
        What::Register => (["ADT", "A08", "ADT_A01"], Std("ADT-00"), None, false),
        What::Visit => (["ADT", "A04", "ADT_A01"], Std("ADT-12"), admitted()?, false),
        What::Admit => (["ADT", "A01", "ADT_A01"], Std("ADT-22"), admitted()?, false),
        What::CancelAdmit => (["ADT", "A11", "ADT_A09"], Std("ADT-22"), admitted()?, true),
        What::Transfer => (["ADT", "A02", "ADT_A02"], Std("ADT-42"), occurred, false),
        What::PlanDischarge => (["ADT", "A16", "ADT_A16"], Std("ADT-51"), plan()?, false),
        What::CancelPlan => (["ADT", "A25", "ADT_A21"], Std("ADT-51"), plan()?, true),
        What::Discharge => (
            ["ADT", "A03", "ADT_A03"],
            Std("ADT-52"),
            discharged()?,
            false,
        ),
        What::CancelDischarge => (
            ["ADT", "A13", "ADT_A01"],
            Std("ADT-52"),
            discharged()?,
            true,
        ),
        What::Allergies(_) => (["ADT", "A60", "ADT_A60"], Std("ADT-61"), None, false),
        What::Problems(_) => (["PPR", "ZD1", "PPR_ZD1"], Std("PPR-01"), None, false),
        What::Prescribe(order) => (
            ["RDE", "O11", "RDE_O11"],
            Std("OMP-01"),
            Some(order.ordered.date()),
            false,
        ),
        What::CancelPrescription(order) => (
            ["RDE", "O11", "RDE_O11"],
            Std("OMP-01"),
            Some(order.ordered.date()),
            true,
        ),
        What::Results(report) => (
            ["OUL", "R22", "OUL_R22"],
            Std("OML-11"),
            Some(report.collected.date()),
            false,
        ),
        What::LaboratoryResults(report) => (
            ["ORU", "R01", "ORU_R01"],
            Place::Nowhere,
            Some(report.collected.date()),
            false,
        ),
        What::Vitals(_) => (["ORU", "R30", "ORU_R30"], Place::Extended, occurred, false),
        What::Document(_) => return Err(BuildError::SegmentName),
    };
    Ok(Kind {
        message,
        place,
        care_date,
        cancels,
    })
}

fn segments(site: &Site, event: &Event) -> Result<Vec<Segment>, BuildError> {
    let mut out = Vec::new();
    match &event.what {
        What::Register => register(site, event, &mut out),
        What::Visit
        | What::Admit
        | What::CancelAdmit
        | What::Transfer
        | What::PlanDischarge
        | What::CancelPlan
        | What::Discharge
        | What::CancelDischarge => movement(site, event, &mut out)?,
        What::Allergies(list) => {
            out.push(evn(site, event, false));
            out.push(pid(&event.person));
            for (place, allergy) in list.iter().enumerate() {
                let (code, text, system) = &allergy.substance;
                out.push(
                    Segment::new("IAM")
                        .text(1, &(place + 1).to_string())
                        .components(2, [allergy.class.0.as_str(), &allergy.class.1, "HL70127"])
                        .components(3, [code.as_str(), text, system])
                        .components(
                            4,
                            [allergy.severity.0.as_str(), &allergy.severity.1, "HL70128"],
                        )
                        .text(5, &allergy.reaction)
                        .components(6, ["A", "追加", "HL70323"]),
                );
            }
        }
        What::Problems(list) => {
            out.push(pid(&event.person));
            for problem in list {
                disease(site, event, problem, &mut out);
            }
        }
        What::Prescribe(order) => prescription(site, event, order, "NW", &mut out),
        What::CancelPrescription(order) => prescription(site, event, order, "CA", &mut out),
        What::Results(report) => specimen_results(site, event, report, &mut out),
        What::LaboratoryResults(report) => order_results(site, event, report, &mut out),
        What::Vitals(rows) => vitals(site, event, rows, &mut out),
        What::Document(_) => return Err(BuildError::SegmentName),
    }
    Ok(out)
}

fn register(site: &Site, event: &Event, out: &mut Vec<Segment>) {
    out.push(evn(site, event, false));
    out.push(pid(&event.person).text(33, &seconds(event.at)));
    let outpatient = || Segment::new("PV1").text(1, "0001").text(2, "O");
    out.push(event.stay.as_ref().map_or_else(outpatient, pv1));
    out.extend(
        event
            .person
            .insurance
            .iter()
            .enumerate()
            .map(|(place, cover)| in1(place + 1, cover)),
    );
}

fn movement(site: &Site, event: &Event, out: &mut Vec<Segment>) -> Result<(), BuildError> {
    let stay = event.stay.as_ref().ok_or(BuildError::SegmentName)?;
    let what = &event.what;
    out.push(evn(
        site,
        event,
        matches!(
            what,
            What::Transfer | What::Discharge | What::CancelDischarge
        ),
    ));
    out.push(pid(&event.person));
    let mut segment = pv1(stay);
    let opens = matches!(what, What::Visit | What::Admit | What::CancelAdmit);
    if opens || stay.repeats_admission {
        segment = segment.text(44, &minutes(stay.admitted));
    }
    if matches!(what, What::Admit | What::Discharge) {
        segment = segment.components(17, staff(&stay.doctor));
    }
    if let (What::Discharge | What::CancelDischarge, Some((at, disposition))) =
        (what, &stay.discharged)
    {
        segment = segment.text(36, disposition).text(45, &minutes(*at));
    }
    out.push(segment);
    if let (What::PlanDischarge | What::CancelPlan, Some(date)) = (what, stay.expected_discharge) {
        out.push(Segment::new("PV2").text(9, &day(date)));
    }
    Ok(())
}

fn disease(site: &Site, event: &Event, problem: &Problem, out: &mut Vec<Segment>) {
    let coded = !problem.code.is_empty();
    let system = if coded { "MDCDX2" } else { "" };
    let mut segment = Segment::new("PRB")
        .text(1, "AD")
        .text(2, &day(event.at.date()))
        .components(3, [problem.code.as_str(), &problem.name, system])
        .text(4, &problem.instance)
        .text(7, &day(problem.started))
        .text(16, &day(problem.started));
    if !problem.icd10.is_empty() {
        segment = segment.components(
            10,
            [
                problem.icd10.as_str(),
                "",
                "I10",
                "H",
                "入院時",
                "JHSD0004",
                "2013",
            ],
        );
    }
    if problem.suspected {
        segment = segment.components(13, ["1", "疑いあり", "JHSD0005"]);
    }
    if let Some((date, outcome)) = &problem.ended {
        segment = segment
            .text(9, &day(*date))
            .components(14, [outcome.as_str(), "", "HL70241"])
            .text(15, &day(*date));
    }
    if problem.main {
        segment = segment.components(18, ["1", "主診断", "JHSD0007"]);
    }
    out.push(segment);
    if coded {
        out.push(
            Segment::new("ZPR").components(2, [problem.code.as_str(), &problem.name, "MDCDX2"]),
        );
    }
    out.push(orc(site, event, "NW", None, event.at).text(2, &problem.instance));
}

fn prescription(
    site: &Site,
    event: &Event,
    order: &Prescription,
    control: &str,
    out: &mut Vec<Segment>,
) {
    out.push(pid(&event.person));
    out.extend(event.stay.as_ref().map(pv1));
    let number = event.order_number();
    for (place, drug) in order.drugs.iter().enumerate() {
        let earlier = order
            .drugs
            .iter()
            .take(place)
            .filter(|other| other.rp == drug.rp)
            .count();
        let rp = format!("{number}_{:02}_{:03}", drug.rp, earlier + 1);
        out.push(orc(site, event, control, Some(&rp), order.ordered));
        out.push(rxe(
            drug,
            order.at_discharge,
            event.stay.as_ref().is_some_and(|stay| !stay.outpatient),
        ));
        out.push(tq1(drug));
        let (route, route_text) = &drug.route;
        out.push(Segment::new("RXR").components(1, [route.as_str(), route_text, "HL70162"]));
    }
}

fn rxe(drug: &Drug, at_discharge: bool, inpatient: bool) -> Segment {
    let (unit, unit_text) = (drug.unit.0.as_str(), drug.unit.1.as_str());
    let mut segment = Segment::new("RXE")
        .components(2, [drug.code.as_str(), &drug.name, &drug.system])
        .components(11, [unit, unit_text, "MR9P"])
        .text(10, &drug.total);
    segment = match &drug.dose {
        Some(dose) => segment
            .text(3, dose)
            .components(5, [unit, unit_text, "MR9P"]),
        None => segment.null(3).null(5),
    };
    if let Some(daily) = &drug.daily {
        segment = segment.components(19, amount(daily, &[unit, unit_text, "MR9P"]));
    }
    let place = if inpatient {
        ["IHP", "入院処方", "MR9P"]
    } else {
        ["OHP", "外来処方", "MR9P"]
    };
    segment = segment.components(21, place);
    if at_discharge {
        segment = segment.repetition(21, ["DCG", "退院処方", "MR9P"]);
    }
    let use_kind = if drug.days.is_some() {
        ["21", "内服", "JHSP0003"]
    } else {
        ["22", "頓用", "JHSP0003"]
    };
    segment.components(27, use_kind)
}

fn tq1(drug: &Drug) -> Segment {
    let system = if drug.usage.is_empty() {
        "99HOS"
    } else {
        "JAMISDP01"
    };
    let usage = [drug.usage.as_str(), &drug.usage_text, system];
    let segment = Segment::new("TQ1")
        .text(1, "1")
        .components(3, [Part::Subcomponents(&usage)])
        .text(7, &day(drug.start));
    match drug.days {
        Some(days) => segment.components(6, amount(&days.to_string(), &["D", "日", "ISO+"])),
        None => segment.text(11, &drug.usage_text),
    }
}

fn specimen_results(site: &Site, event: &Event, report: &LabReport, out: &mut Vec<Segment>) {
    out.push(pid(&event.person));
    out.extend(event.stay.as_ref().map(pv1));
    out.push(
        Segment::new("SPM")
            .text(1, "1")
            .text(2, &report.specimen)
            .components(4, [report.material.0.as_str(), &report.material.1, "JC10"])
            .text(17, &minutes(report.collected)),
    );
    // OUL^R22 has OBR before ORC.
    out.push(obr(event, report));
    out.push(orc(site, event, "SC", None, event.at).text(5, "CM"));
    out.extend(rows(report));
}

fn order_results(site: &Site, event: &Event, report: &LabReport, out: &mut Vec<Segment>) {
    out.push(pid(&event.person));
    out.extend(event.stay.as_ref().map(pv1));
    out.push(orc(site, event, "SC", None, event.at).text(5, "CM"));
    out.push(obr(event, report));
    out.extend(rows(report));
}

fn obr(event: &Event, report: &LabReport) -> Segment {
    Segment::new("OBR")
        .text(1, "1")
        .text(2, &event.order_number())
        .text(3, &report.specimen)
        .components(4, [report.panel.0.as_str(), &report.panel.1, "99O03"])
        .text(7, &minutes(report.collected))
        .text(22, &seconds(event.at))
}

fn rows(report: &LabReport) -> impl Iterator<Item = Segment> + '_ {
    report.rows.iter().enumerate().map(|(place, row)| {
        let system = if row.code.is_empty() { "" } else { "JC10" };
        let segment = Segment::new("OBX")
            .text(1, &(place + 1).to_string())
            .text(2, &row.value_type)
            .components(3, [row.code.as_str(), &row.name, system])
            .text(5, &row.value)
            .text(7, &row.range)
            .text(8, &row.flag)
            .text(11, &row.status)
            .text(14, &minutes(report.collected));
        if row.unit.is_empty() {
            segment
        } else {
            segment.components(6, [row.unit.as_str(), &row.unit, "ISO+"])
        }
    })
}

fn vitals(site: &Site, event: &Event, rows: &[VitalRow], out: &mut Vec<Segment>) {
    let at = event.occurred.unwrap_or(event.at);
    out.push(pid(&event.person));
    out.extend(event.stay.as_ref().map(pv1));
    out.push(orc(site, event, "SC", None, event.at));
    out.push(
        Segment::new("OBR")
            .text(1, "1")
            .text(2, &event.order_number())
            .components(4, ["VITAL", "バイタルサイン", "99ZL01"])
            .text(7, &minutes(at)),
    );
    for (place, row) in rows.iter().enumerate() {
        out.push(
            Segment::new("OBX")
                .text(1, &(place + 1).to_string())
                .text(2, "NM")
                .components(3, [row.code.as_str(), &row.name, "JC10"])
                .text(5, &row.value)
                .components(6, [row.unit.as_str(), &row.unit, "ISO+"])
                .text(11, "F")
                .text(14, &minutes(at)),
        );
    }
}
