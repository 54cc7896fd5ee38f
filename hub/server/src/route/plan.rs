//! From a notice version to deliveries: asks [`permit`] for every channel of the
//! person, renders what each audience may read, and keeps one decision row per channel, or one summary
//! row when it goes nowhere.

use std::sync::Arc;

use renkei_core::{
    Change, Channel, ChannelId, Code, DeliveryId, Disclosure, NoticeContent, NoticeId, Post,
    Urgency,
};
use renkei_mappings::post;

use super::{Answer, Question, is_late, permit};
use crate::world::{
    Decision, DeliveryState, EarlierDelivery, Notice, PlannedDelivery, Record, Verdict, World,
};

/// Plans the current version of a notice. Effects: decisions, deliveries, superseded deliveries.
pub fn plan(world: &mut World, id: NoticeId) {
    let Some(notice) = world.notices.get(&id).cloned() else {
        return;
    };
    let (Some(content), Some(record)) = (
        notice.content.clone(),
        world.records.get(&notice.record).cloned(),
    ) else {
        return;
    };
    let channels = world
        .channels
        .get(&notice.person)
        .cloned()
        .unwrap_or_default();
    let mut denied = Vec::new();
    let mut went_somewhere = false;
    for channel in &channels {
        let earlier = earlier_in(world, id, channel.id);
        let released_by = released(&earlier, notice.version);
        let mut asked = question(world, &notice, &record, &content, channel);
        asked.released = released_by.is_some();
        let answer = permit(&asked);
        let (disclosure, verdict, code, reason) = match answer {
            Answer::Deny { code } => {
                supersede_unsent(world, &earlier, None, code);
                denied.push((channel.id, code));
                continue;
            }
            Answer::Permit { disclosure, ground } => (disclosure, Verdict::Permit, None, ground),
            Answer::Hold { code, disclosure } => (
                disclosure,
                Verdict::Hold,
                Some(code),
                code.title().to_owned(),
            ),
        };
        went_somewhere = true;
        let planned = deliver(
            world,
            &notice,
            &record,
            &content,
            channel,
            disclosure,
            code,
            &earlier,
            released_by,
        );
        let reason = if planned {
            reason
        } else {
            format!("{reason}; nothing new for these readers")
        };
        decide(world, &notice, Some(channel.id), verdict, code, reason);
    }
    if went_somewhere {
        for (channel, code) in denied {
            decide(
                world,
                &notice,
                Some(channel),
                Verdict::Deny,
                Some(code),
                code.title().to_owned(),
            );
        }
    } else {
        let code = denied
            .first()
            .map_or(Code::RTE_NO_CHANNEL, |(_, code)| *code);
        decide(
            world,
            &notice,
            None,
            Verdict::Deny,
            Some(code),
            format!("{} ({} channels)", code.title(), channels.len()),
        );
    }
}

/// Plans one delivery unless these readers have already been told the same. Returns whether it did.
#[expect(
    clippy::too_many_arguments,
    reason = "one step of `plan`, split off for reading; called once"
)]
fn deliver(
    world: &mut World,
    notice: &Notice,
    record: &Record,
    content: &Arc<NoticeContent>,
    channel: &Channel,
    disclosure: Disclosure,
    held: Option<Code>,
    earlier: &[EarlierDelivery],
    released_by: Option<String>,
) -> bool {
    let told = earlier
        .iter()
        .filter(|delivery| may_have_been_read(delivery))
        .max_by_key(|delivery| delivery.version);
    if told.is_some_and(|told| told.version == notice.version)
        || (told.is_none() && content.cancelled)
    {
        supersede_unsent(world, earlier, None, Code::DLV_SUPERSEDED);
        return false;
    }
    let late = is_late(&question(world, notice, record, content, channel));
    let change = match told {
        None => Change::First,
        Some(_) if content.cancelled => Change::Cancelled,
        Some(_) => Change::Corrected,
    };
    let render = |content: &NoticeContent, change, previous: Option<&NoticeContent>| {
        let sink = world.setup.sinks.get(&channel.sink);
        post::render(
            content,
            &disclosure,
            &post::Ask {
                change,
                previous,
                late,
                reply_reaches: sink.is_some_and(|sink| sink.reply_reaches),
                test_prefix: world.setup.staging,
                client_ref: format!("{}.{}", notice.id, notice.version),
                author_facility: record.facility.to_string(),
            },
        )
    };
    if let Some(told) = told
        && !content.cancelled
        && !told.content.cancelled
        && reads_alike(
            render(content, Change::First, None),
            render(&told.content, Change::First, None),
        )
    {
        return false;
    }
    let Some(post) = render(content, change, told.map(|told| told.content.as_ref())) else {
        return false;
    };
    let id = DeliveryId::derive(
        channel.id,
        notice.id,
        notice.version,
        &format!("{}{}", disclosure.key(), if late { "!" } else { "" }),
    );
    supersede_unsent(world, earlier, Some(&id), Code::DLV_SUPERSEDED);
    if let Some(same) = earlier.iter().find(|delivery| delivery.id == id) {
        // Its readers changed and changed back before it left.
        let revives = same.state == DeliveryState::Dead && same.code == Some(Code::DLV_SUPERSEDED);
        if revives {
            world.effects.revived.push((id, held));
        }
        return revives;
    }
    if held.is_none() && content.urgency != Urgency::U0 {
        *world.posts_today.entry(channel.id).or_default() += 1;
    }
    world.effects.deliveries.push(PlannedDelivery {
        id,
        notice: notice.id,
        version: notice.version,
        channel: channel.clone(),
        change,
        disclosure,
        late,
        post,
        state: if held.is_some() {
            DeliveryState::Held
        } else {
            DeliveryState::Pending
        },
        code: held,
        replaces: told.map(|told| told.replaces.clone().unwrap_or_else(|| told.id.clone())),
        released_by,
    });
    true
}

/// Who released this version for this channel: what is planned again because its readers changed
/// does not ask a second time.
fn released(earlier: &[EarlierDelivery], version: u32) -> Option<String> {
    earlier
        .iter()
        .filter(|delivery| delivery.version == version)
        .find_map(|delivery| delivery.released_by.clone())
}

/// The policy question for a notice and a channel at planning.
fn question<'a>(
    world: &'a World,
    notice: &'a Notice,
    record: &'a Record,
    content: &'a NoticeContent,
    channel: &'a Channel,
) -> Question<'a> {
    Question {
        setup: &world.setup,
        record,
        consents: world.consents.get(&record.id).map_or(&[], Vec::as_slice),
        channel,
        content,
        occurred_at: notice.occurred_at,
        source: &notice.source,
        never_automatic: notice.never_automatic,
        backfill: notice.backfill,
        released: false,
        posts_today: world.posts_today.get(&channel.id).copied().unwrap_or(0),
        now: world.now,
    }
}

fn earlier_in(world: &World, notice: NoticeId, channel: ChannelId) -> Vec<EarlierDelivery> {
    let all = world.deliveries.get(&notice).map_or(&[][..], Vec::as_slice);
    all.iter()
        .filter(|delivery| delivery.channel == channel)
        .cloned()
        .collect()
}

/// Delivered, handed over, or tried at least once, by this hub or by one that was lost: someone may have
/// read it. What the peer refused, or what never left, was not told.
fn may_have_been_read(delivery: &EarlierDelivery) -> bool {
    match delivery.state {
        DeliveryState::Delivered | DeliveryState::Sent => true,
        DeliveryState::Pending => delivery.attempts > 0,
        DeliveryState::Held => matches!(
            delivery.code,
            Some(Code::DLV_UNKNOWN_OUTCOME | Code::DLV_RESTORED)
        ),
        DeliveryState::Dead => false,
    }
}

/// Ends what was planned before and has not left: a newer version says it better.
fn supersede_unsent(
    world: &mut World,
    earlier: &[EarlierDelivery],
    keep: Option<&DeliveryId>,
    code: Code,
) {
    let unsent = earlier.iter().filter(|delivery| {
        matches!(delivery.state, DeliveryState::Pending | DeliveryState::Held)
            && !may_have_been_read(delivery)
    });
    world.effects.superseded.extend(
        unsent
            .filter(|delivery| Some(&delivery.id) != keep)
            .map(|delivery| (delivery.id.clone(), code)),
    );
}

/// Whether two renderings show a reader the same, references aside.
fn reads_alike(new: Option<Post>, old: Option<Post>) -> bool {
    match (new, old) {
        (Some(new), Some(old)) => {
            new.headline == old.headline
                && new.text == old.text
                && new.attachments == old.attachments
                && new.sheet == old.sheet
        }
        (None, None) => true,
        _ => false,
    }
}

fn decide(
    world: &mut World,
    notice: &Notice,
    channel: Option<ChannelId>,
    verdict: Verdict,
    code: Option<Code>,
    reason: String,
) {
    let at = world.now;
    world.effects.decisions.push(Decision {
        notice: notice.id,
        version: notice.version,
        channel,
        verdict,
        code,
        reason,
        at,
    });
}
