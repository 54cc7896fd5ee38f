//! Stop 3, normalize: picks the mapping for a message. The mappings themselves are in `mappings/`; a source may
//! name a local one ([`live`]), which also cuts the source's files by patient before the inbox.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use renkei_core::cutter::{Cut, CutError, Part, Pieces};
use renkei_core::{Clock, Code, Cutter, Draft, FacilityId, MapError, Mapper, MapperId, Message};
use renkei_mappings::local::{About, Input, LocalMapper};
use renkei_mappings::{LocalIdForm, Options, ProblemList};

use crate::config::file::{Source, SourceAdapter};

pub mod library;
pub mod live;

use live::Live;

/// Mappers by facility and name, with the hash of the local mapping they were built from.
type Built = HashMap<(FacilityId, &'static str), (Option<String>, Arc<dyn Mapper>)>;

/// The mapping of one source, built for the facility each message speaks for.
pub struct ByFacility {
    /// For HL7 v2 messages, when no local mapping is named.
    messages: &'static str,
    /// What reads everything but documents, when the source names one.
    local: Option<Arc<Live>>,
    local_id: Option<LocalIdForm>,
    problem_list: ProblemList,
    code_systems: std::collections::BTreeMap<String, String>,
    document_kinds: std::collections::BTreeMap<String, String>,
    built: RwLock<Built>,
}

impl ByFacility {
    /// The mapping of a configured source.
    pub fn of(source: &Source, local: Option<Arc<Live>>) -> Self {
        // The gate and the mapping must spell a patient number alike.
        let (messages, spelling) = match &source.adapter {
            SourceAdapter::Ssmix2(config) => ("ssmix2", &config.local_id),
            SourceAdapter::Mllp(config) => ("hl7v2", &config.local_id),
            SourceAdapter::Folder(config) => ("hl7v2", &config.local_id),
            SourceAdapter::Push(config) => ("hl7v2", &config.local_id),
            SourceAdapter::Jetstream(config) => ("hl7v2", &config.local_id),
        };
        let local_id = spelling.pad_to.map(|width| LocalIdForm {
            width: usize::from(width),
            padding: '0',
        });
        Self {
            local,
            local_id,
            problem_list: source.problem_list,
            code_systems: source.code_systems.clone(),
            document_kinds: source.document_kinds.clone(),
            ..Self::named(messages)
        }
    }

    /// The mapping of a peer's news.
    pub fn peer() -> Self {
        Self::named("peer")
    }

    /// A mapping by name with default options.
    pub fn named(messages: &'static str) -> Self {
        Self {
            messages,
            local: None,
            local_id: None,
            problem_list: ProblemList::default(),
            code_systems: Default::default(),
            document_kinds: Default::default(),
            built: RwLock::default(),
        }
    }

    /// The local mapping in use, where the source names one.
    pub fn local(&self) -> Option<Arc<renkei_mappings::local::Mapping>> {
        self.local.as_ref().map(|live| live.current())
    }

    /// What its mappings are built with.
    pub fn options(&self, facility: &FacilityId) -> Options {
        let mut options = Options::new(facility.clone());
        options.local_id = self.local_id;
        options.problem_list = self.problem_list;
        options.code_systems.clone_from(&self.code_systems);
        options.document_kinds.clone_from(&self.document_kinds);
        options
    }

    /// What cuts the files of this source, when its local mapping reads files of rows or records.
    pub fn cutter(&self, facility: &FacilityId, clock: Arc<dyn Clock>) -> Option<Arc<dyn Cutter>> {
        let live = self.local.clone()?;
        if live.current().reads_hl7() {
            return None;
        }
        let options = self.options(facility);
        Some(Arc::new(ByMapping {
            live,
            options,
            clock,
        }))
    }

    fn mapper(&self, message: &Message) -> Result<Arc<dyn Mapper>, MapError> {
        let local = self.local.as_ref().map(|live| live.current());
        let (name, local) = match local {
            _ if message.meta.media_type.is_some() => ("document", None),
            Some(mapping) => ("local", Some(mapping)),
            None => (self.messages, None),
        };
        let hash = local.as_ref().map(|mapping| mapping.hash().to_owned());
        let key = (message.facility.clone(), name);
        let built = self.built.read().ok();
        if let Some((of, mapper)) = built.and_then(|built| built.get(&key).cloned())
            && of == hash
        {
            return Ok(mapper);
        }
        let options = self.options(&message.facility);
        let mapper = match &local {
            Some(mapping) => LocalMapper::new((**mapping).clone(), options)
                .map(|mapper| Arc::new(mapper) as Arc<dyn Mapper>),
            None => renkei_mappings::build(name, options),
        };
        let mapper = mapper.map_err(|_| MapError {
            code: Code::MAP_NOT_THIS_FORMAT,
            at: "source".to_owned(),
        })?;
        if let Ok(mut built) = self.built.write() {
            built.insert(key, (hash, mapper.clone()));
        }
        Ok(mapper)
    }
}

impl Mapper for ByFacility {
    fn id(&self) -> MapperId {
        MapperId {
            name: self.messages,
            version: 1,
            config: "by-facility".to_owned(),
        }
    }

    fn chosen(&self, message: &Message) -> Option<Arc<dyn Mapper>> {
        self.mapper(message).ok()
    }

    fn map(&self, message: &Message) -> Result<Draft, MapError> {
        self.mapper(message)?.map(message)
    }
}

/// Cuts files by a local mapping.
struct ByMapping {
    live: Arc<Live>,
    options: Options,
    clock: Arc<dyn Clock>,
}

impl Cutter for ByMapping {
    fn lacks_partners(&self, body: &Bytes) -> bool {
        self.live.current().lacks_partners(body)
    }

    fn completed(&self, body: &Bytes, others: &[Bytes]) -> Option<Bytes> {
        let others: Vec<&[u8]> = others.iter().map(|other| &**other).collect();
        let completed = self.live.current().completed(body, &others);
        completed.map(Bytes::from)
    }

    fn cut(&self, file: &str, body: &Bytes) -> Result<Cut, MapError> {
        let mapping = self.live.current();
        let cut_short = mapping.is_cut_short(body);
        if !mapping.has_subject() {
            // Rows about nobody are one message: the newest of each ward counts, whatever file it is in.
            return Ok(Cut {
                parts: vec![Part {
                    subject: None,
                    body: body.clone(),
                    places: Vec::new(),
                    refused: None,
                }],
                cut_short,
                timeless: true,
            });
        }
        let input = Input {
            bytes: body,
            received_at: self.clock.now(),
            file,
        };
        let cut = mapping.split(input, &self.options)?;
        let parts = cut.parts.into_iter().map(|part| Part {
            subject: Some(part.local_id),
            body: part.body.into(),
            places: part.places,
            refused: None,
        });
        let rest = cut.rest.map(|rest| Part {
            subject: None,
            body: rest.body.into(),
            places: rest.places,
            refused: None,
        });
        Ok(Cut {
            parts: parts.chain(rest).collect(),
            cut_short,
            timeless: !mapping.has_time(),
        })
    }

    fn cut_large(
        &self,
        file: &str,
        body: &mut dyn Pieces,
        give: &mut dyn FnMut(Cut) -> bool,
    ) -> Result<(), CutError> {
        let mapping = self.live.current();
        let mut last = [0; 2];
        body.read(body.length().saturating_sub(2), &mut last)?;
        let known = Cut {
            parts: Vec::new(),
            cut_short: mapping.is_cut_short(&last),
            timeless: !mapping.has_time(),
        };
        if !give(known.clone()) {
            return Err(CutError::Stopped);
        }
        let about = About {
            file,
            received_at: self.clock.now(),
            options: &self.options,
        };
        mapping.split_large(body, about, &mut |parts| {
            give(Cut {
                parts,
                ..known.clone()
            })
        })
    }
}
