//! Both ends of a hub, built as configured: the sources it is told by, the sinks it tells.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use renkei_adapters::{folder, jetstream, mcs, mllp, push, ssmix2, vital_link, ward};
use renkei_core::{Clock, Sink, SinkName, Source, SourceName};

use super::HubError;
use crate::config::Checked;
use crate::config::file::{PeerAdapter, SourceAdapter};

pub(super) type Sinks = HashMap<SinkName, Arc<dyn Sink>>;
pub(super) type Sources = Vec<(SourceName, Arc<dyn Source>)>;

/// The sinks of a configuration, for asking them without running a hub.
///
/// # Errors
/// [`HubError::Peer`] names the one that cannot be built.
pub fn sinks(
    checked: &Checked,
    clock: &Arc<dyn Clock>,
) -> Result<HashMap<SinkName, Arc<dyn Sink>>, HubError> {
    Ok(peers(checked, clock)?.0)
}

pub(super) fn peers(
    checked: &Checked,
    clock: &Arc<dyn Clock>,
) -> Result<(Sinks, Sources), HubError> {
    let (mut sinks, mut back): (Sinks, Sources) = (HashMap::new(), Vec::new());
    for (name, peer) in &checked.peers {
        let (clock, wire) = (clock.clone(), checked.dialect(name));
        let built = match &peer.adapter {
            PeerAdapter::Mcs(config) => mcs::build(name, (**config).clone(), clock, wire),
            PeerAdapter::VitalLink(config) => {
                vital_link::build(name, (**config).clone(), clock, wire)
            }
            PeerAdapter::Ward(config) => ward::build(name, config.clone(), clock, wire),
            PeerAdapter::Jetstream(config) => jetstream::build(name, config.clone()),
        };
        let (sink, source) = built.map_err(|problem| HubError::Peer {
            name: name.clone(),
            source: Box::new(problem),
        })?;
        sinks.insert(name.clone(), sink);
        back.extend(source.map(|source| (SourceName::new(name.as_str()), source)));
    }
    Ok((sinks, back))
}

pub(super) async fn sources(
    checked: &Checked,
    clock: &Arc<dyn Clock>,
) -> Result<(Sources, Vec<(SourceName, SocketAddr)>), HubError> {
    let (mut sources, mut listening): (Sources, _) = (Vec::new(), Vec::new());
    for (name, source) in &checked.sources {
        let failed = |source| HubError::Source {
            name: name.clone(),
            source,
        };
        let built: Arc<dyn Source> = match &source.adapter {
            SourceAdapter::Mllp(config) => {
                let bound = mllp::Mllp::bind(name.clone(), config.clone())
                    .await
                    .map_err(failed)?
                    .with_clock(clock.clone());
                if let Ok(address) = bound.local_addr() {
                    listening.push((name.clone(), address));
                }
                Arc::new(bound)
            }
            SourceAdapter::Ssmix2(config) => {
                Arc::new(ssmix2::Ssmix2::new(name.clone(), config.clone()).map_err(failed)?)
            }
            SourceAdapter::Folder(config) => {
                let reader = checked.mapping_of(name, source);
                let folder = folder::Folder::new(name.clone(), config.clone()).map_err(failed)?;
                Arc::new(folder.cut_by(reader.cutter(&config.facility, clock.clone())))
            }
            SourceAdapter::Push(config) => {
                let cutter = checked
                    .mapping_of(name, source)
                    .cutter(&config.facility, clock.clone());
                let bound = push::Push::bind(name.clone(), config.clone(), cutter, clock.clone())
                    .map_err(failed)?;
                if let Ok(address) = bound.local_addr() {
                    listening.push((name.clone(), address));
                }
                Arc::new(bound)
            }
            SourceAdapter::Jetstream(config) => {
                Arc::new(jetstream::Source::new(name.clone(), config.clone()).map_err(failed)?)
            }
        };
        sources.push((name.clone(), built));
    }
    Ok((sources, listening))
}
