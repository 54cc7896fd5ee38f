//! The dialects peers name: loaded, checked against the adapter's contract, and tested, before anything starts.

use std::path::Path;
use std::sync::Arc;

use renkei_adapters::http::Connection;
use renkei_adapters::ward;
use renkei_core::{Code, FacilityId, SinkName, Wire};
use renkei_mappings::local::Dialect;

use super::check::{Problem, pointed, problem};
use super::file::{Peer, PeerAdapter};
use crate::normalize::library::Folder;

/// The dialect of a peer; `None` when it has none, or one with problems.
pub(super) fn of(
    name: &SinkName,
    peer: &Peer,
    base: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn Wire>> {
    let (connection, facility, contract) = spoken(&peer.adapter)?;
    let named = connection.dialect.as_ref()?;
    let place = format!("peer.{name}.adapter.connection.dialect");
    let path = base.join(named);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let reason = format!("`{}` cannot be read: {error}", path.display());
            problems.push(problem(place, reason));
            return None;
        }
    };
    let loaded = Dialect::load(&named.display().to_string(), &text, &Folder::of(&path));
    let dialect = match loaded {
        Ok(dialect) => dialect.of_facility(facility.clone()),
        Err(faults) => {
            problems.extend(faults.0.iter().map(pointed));
            return None;
        }
    };
    if dialect.speaks() != contract {
        let reason = format!(
            "is a dialect of {}, and this adapter speaks {contract}",
            dialect.speaks()
        );
        problems.push(problem(place, reason));
        return None;
    }
    let failed = dialect.test().into_iter().flat_map(|test| test.problems);
    let before = problems.len();
    problems.extend(failed.map(|fault| pointed(&fault)));
    if let Some(wrong) = connection.fits(Some(&dialect)) {
        problems.push(Problem {
            code: Code::CFG_INVALID,
            place: format!("peer.{name}.adapter.{}", wrong.field),
            reason: wrong.reason,
        });
    }
    (problems.len() == before).then(|| Arc::new(dialect) as Arc<dyn Wire>)
}

/// The connection of a REST peer, who speaks, and which contract its adapter has.
fn spoken(adapter: &PeerAdapter) -> Option<(&Connection, &FacilityId, &'static str)> {
    match adapter {
        PeerAdapter::Mcs(config) => Some((&config.connection, &config.facility, "sns-gateway/1")),
        PeerAdapter::Ward(ward::Config::Rest(config)) => {
            Some((&config.connection, &config.facility, "sns-gateway/1"))
        }
        PeerAdapter::VitalLink(config) => {
            Some((&config.connection, &config.facility, "vital-link/1"))
        }
        PeerAdapter::Ward(ward::Config::FileDrop(_)) | PeerAdapter::Jetstream(_) => None,
    }
}
