//! What a look at a channel found, compared with whom it should be about.

use renkei_core::{ChannelKind, ChannelView, Code, Member, PatientHeader};
use renkei_hl7v2::kana;

use crate::world::Due;

/// One look, ready to be compared.
#[derive(Debug)]
pub struct Seen {
    header: Option<PatientHeader>,
    archived: bool,
    closed_kind: bool,
    /// Who can read it now, sorted; `None` = the peer cannot tell and the declared members count.
    pub members: Option<Vec<Member>>,
}

impl Seen {
    /// Takes a peer's view of `channel`.
    pub fn of(view: ChannelView) -> Self {
        let members = view.members.map(|mut members| {
            members.sort();
            members
        });
        Self {
            header: view.header,
            archived: view.archived,
            closed_kind: matches!(view.kind, ChannelKind::Family | ChannelKind::Free),
            members,
        }
    }

    /// Why the channel may not be used for this delivery: another patient's header, archived, turned
    /// into a family or free group, or linked to two persons.
    pub fn broken(&self, due: &Due) -> Option<Code> {
        if self.archived {
            return Some(Code::DLV_CHANNEL_ARCHIVED);
        }
        if self.closed_kind {
            return Some(Code::RTE_FAMILY_CHANNEL);
        }
        if due.channel_shared {
            return Some(Code::DLV_CHANNEL_SHARED);
        }
        let facts = &due.record.facts;
        let differs = self.header.as_ref().is_some_and(|header| {
            let other_kana = kana::search_key(&header.kana) != facts.kana;
            let other_sex =
                !header.sex.is_empty() && !facts.sex.is_empty() && header.sex != facts.sex;
            other_kana || header.birth_date != facts.birth_date || other_sex
        });
        differs.then_some(Code::DLV_HEADER_DIFFERS)
    }
}
