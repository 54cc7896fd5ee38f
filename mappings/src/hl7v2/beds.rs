//! What ADT says of single beds (HL7 v2.5 table 0116): NPU of A20, and PV1-40 for the bed in PV1-3.

use renkei_core::{BedState, BedStatus, Code};

use super::encounter::place_number;
use crate::context::Context;
use crate::reader::{Reader, Seg, trimmed};

/// A20 (HL7 v2.5 ch. 3.3.20): about beds and nobody.
pub(super) fn update<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    let mut beds = reader.all("NPU").peekable();
    if beds.peek().is_none() {
        context.warn(Code::HL7_SEGMENT_MISSING, "NPU");
    }
    for npu in beds {
        state(npu, 1, 2, context);
    }
}

/// PV1-40, where it is sent.
pub(super) fn beside<'m>(reader: Reader<'m>, context: &mut Context<'m>) {
    let pv1 = reader.first("PV1").filter(|pv1| pv1.has_value(40));
    if let Some(pv1) = pv1 {
        state(pv1, 3, 40, context);
    }
}

fn state<'m>(segment: Seg<'m>, place: usize, status: usize, context: &mut Context<'m>) {
    let sent = segment.field(place).repetition(1);
    let part = |number: usize| trimmed(sent.component(number).text());
    let (ward, room, bed) = (part(1), part(2), part(3));
    if ward.is_empty() || bed.is_empty() {
        context.note(Code::MAP_NO_CODE, segment.at(place));
        return;
    }
    let Some(status) = BedStatus::find(&segment.text(status)) else {
        context.note(Code::MAP_UNKNOWN_CODE, segment.at(status));
        return;
    };
    context.draft.bed_states.push(BedState {
        place: place_number(&ward, &room, &bed),
        ward: ward.into_owned(),
        status,
        at: context.source_time,
    });
}
