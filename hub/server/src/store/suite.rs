//! The behaviour every ledger must show, generic over how one is opened. [`every_verb`] makes a test of
//! each; the implementation's own tests (plans, pragmas) stand beside it.

mod beds;
pub(super) mod fixture;
mod keeping;
mod keeping_whole;
mod outbox;
mod people;
mod queues;
mod rest;
mod search;
mod walk;
mod watch;

use super::beds::Beds;
use super::keeper::Keeper;
use super::operator::Operator;
use super::search::Search;
use super::watch::Watch;
use super::{Store, StoreError};

pub(super) use beds::*;
pub(super) use fixture::{by, message};
pub(super) use keeping::*;
pub(super) use keeping_whole::*;
pub(super) use outbox::*;
pub(super) use people::*;
pub(super) use queues::*;
pub(super) use rest::*;
pub(super) use search::*;
pub(super) use walk::*;
pub(super) use watch::*;

/// Where the ledgers of one test live: what one writes the next one finds.
pub(super) trait House {
    /// The implementation.
    type Ledger: Store + Operator + Watch + Keeper + Search + Beds;
    /// Opens it as the hub does.
    async fn hub(&self) -> Result<Self::Ledger, StoreError>;
    /// Opens it beside a running hub.
    async fn command(&self) -> Result<Self::Ledger, StoreError>;
    /// Pretends that a later renkei has migrated it.
    async fn migrate_further(&self);
    /// Writes past all rules, foreign keys included, as a failing disk or a curious hand does.
    async fn tamper(&self, sql: &str);
    /// Makes it as the first release did, with data in it.
    async fn live_in_before(&self);
    /// Stores bytes that something may name, as the hub does.
    async fn put(&self, ledger: &Self::Ledger, bytes: &'static [u8]) -> String;
    /// Where its files are.
    fn folder(&self) -> &std::path::Path;
}

/// One test per behaviour.
macro_rules! every_verb {
    ($house:expr, $($name:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread")] async fn $name() { crate::store::suite::$name(&$house).await; })*
    };
}
pub(super) use every_verb;

/// All behaviours both databases show.
macro_rules! every_behaviour {
    ($house:expr) => {
        crate::store::suite::every_verb! { $house,
            repeats_are_recognised
            waiting_comes_in_the_order_of_acceptance
            a_lost_blob_is_a_damaged_message
            what_was_applied_is_loaded
            candidates_come_with_a_newcomer
            a_refused_batch_leaves_nothing
            a_reviewer_is_not_overruled_by_a_batch_under_way
            a_newer_schema_is_left_alone
            what_was_accepted_outlives_the_process
            others_see_what_is_committed
            sources_remember
            applied_twice_is_applied_once
            notices_fall_due
            what_waits_too_long_is_due_when_the_clock_was_set_back
            a_later_reroute_survives
            a_line_per_person
            what_is_due_has_all_that_policy_asks
            a_shared_channel_is_seen
            only_what_has_not_left_is_superseded
            a_post_that_cannot_be_framed_is_dead
            peers_report_back
            a_late_word_settles_an_unknown_outcome
            a_word_that_comes_first_is_kept
            posts_are_counted_from_midnight_in_japan
            a_look_changes_the_channel
            a_moved_record_takes_its_notices_along
            patients_are_enrolled
            consents_are_imported
            a_withdrawal_stops_what_is_unsent_and_a_grant_sends_nothing
            channels_are_imported_and_confirmed
            channels_are_proposed_never_guessed
            a_review_frees_what_is_parked
            messages_are_replayed
            deliveries_are_released_and_handed_over
            a_wrong_patient_is_recalled
            a_term_leads_to_everything
            everything_is_counted
            sinks_are_set
            how_the_queues_stand
            an_alarm_turns_once
            the_newest_row_of_a_ward_stands
            the_history_of_beds_is_said_once_and_ends
            open_stays_are_counted_by_ward
            a_bed_out_of_use_is_counted_until_it_is_used
            a_post_about_beds_is_written_once
            the_latest_results_are_found
            every_coding_is_found
            what_was_corrected_or_taken_back_is_not_found
            what_the_index_lacks_is_named_and_made_anew
            results_of_an_earlier_renkei_are_indexed
            only_processed_bodies_go_and_repeats_are_still_known
            a_body_that_is_gone_is_not_processed_again
            a_hold_keeps_everything_of_a_patient
            the_length_of_the_queue_is_counted
            a_hub_alone_holds_everything
            the_hub_sees_what_operators_set
            what_was_superseded_can_be_revived
            what_nothing_names_is_collected
            what_nobody_reads_is_kept_longer
            ended_deliveries_let_go_of_their_files
            receipts_of_nobody_go
            the_old_end_of_the_audit_is_cut_and_stays_provable
            a_broken_chain_is_not_cut
            a_sweep_goes_on_where_it_stopped
            a_restored_ledger_tells_nobody_by_itself
            a_whole_ledger_has_no_findings
            each_damage_is_found_and_named
            what_is_safe_is_mended
            an_older_ledger_is_taken_over_whole
        }
    };
}
pub(super) use every_behaviour;
