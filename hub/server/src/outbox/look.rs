//! What a look at a channel found, compared with whom it should be about.

use renkei_core::{ChannelKind, ChannelView, Code, Facts, Member, PatientHeader};
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
        self.differs_from(&due.record.facts, due.channel_shared)
    }

    fn differs_from(&self, facts: &Facts, shared: bool) -> Option<Code> {
        if self.archived {
            return Some(Code::DLV_CHANNEL_ARCHIVED);
        }
        if self.closed_kind {
            return Some(Code::RTE_FAMILY_CHANNEL);
        }
        if shared {
            return Some(Code::DLV_CHANNEL_SHARED);
        }
        let differs = self.header.as_ref().is_some_and(|header| {
            let other_kana = kana::search_key(&header.kana) != facts.kana;
            let other_sex =
                !header.sex.is_empty() && !facts.sex.is_empty() && header.sex != facts.sex;
            other_kana || header.birth_date != facts.birth_date || other_sex
        });
        differs.then_some(Code::DLV_HEADER_DIFFERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(header: Option<PatientHeader>) -> ChannelView {
        ChannelView {
            peer_ref: "g1".into(),
            kind: ChannelKind::Professional,
            archived: false,
            header,
            members: None,
            host_facility: None,
        }
    }

    fn facts() -> Facts {
        Facts {
            kana: kana::search_key("ヤマモト キョウコ"),
            birth_date: "1939-02-15".into(),
            sex: "female".into(),
            ..Facts::default()
        }
    }

    fn header(kana: &str, birth_date: &str, sex: &str) -> Option<PatientHeader> {
        Some(PatientHeader {
            kana: kana.into(),
            birth_date: birth_date.into(),
            sex: sex.into(),
            local_id: String::new(),
        })
    }

    #[test]
    fn the_same_person_in_another_spelling_is_the_same() {
        for same in [
            header("ﾔﾏﾓﾄ ｷｮｳｺ", "1939-02-15", "female"),
            header("やまもと　きょうこ", "1939-02-15", ""),
            None,
        ] {
            assert_eq!(Seen::of(view(same)).differs_from(&facts(), false), None);
        }
    }

    #[test]
    fn another_persons_header_stops_the_post() {
        for other in [
            header("ヤマモト キョウカ", "1939-02-15", "female"),
            header("ヤマモト キョウコ", "1939-02-16", "female"),
            header("ヤマモト キョウコ", "1939-02-15", "male"),
            header("", "", ""),
        ] {
            assert_eq!(
                Seen::of(view(other)).differs_from(&facts(), false),
                Some(Code::DLV_HEADER_DIFFERS)
            );
        }
    }

    #[test]
    fn archived_shared_and_family_groups_are_not_used() {
        let right = || view(header("ヤマモト キョウコ", "1939-02-15", "female"));
        let archived = ChannelView {
            archived: true,
            ..right()
        };
        let family = ChannelView {
            kind: ChannelKind::Family,
            ..right()
        };
        assert_eq!(
            Seen::of(archived).differs_from(&facts(), false),
            Some(Code::DLV_CHANNEL_ARCHIVED)
        );
        assert_eq!(
            Seen::of(family).differs_from(&facts(), false),
            Some(Code::RTE_FAMILY_CHANNEL)
        );
        assert_eq!(
            Seen::of(right()).differs_from(&facts(), true),
            Some(Code::DLV_CHANNEL_SHARED)
        );
    }
}
