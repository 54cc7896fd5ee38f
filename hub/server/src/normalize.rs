//! Stop 3, normalize: picks the mapping for a message. The mappings themselves are in `mappings/`.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use renkei_core::{Code, Draft, FacilityId, MapError, Mapper, MapperId, Message};
use renkei_mappings::{LocalIdForm, Options, ProblemList};

use crate::config::file::{Source, SourceAdapter};

/// Mappers by facility and name.
type Built = HashMap<(FacilityId, &'static str), Arc<dyn Mapper>>;

/// The mapping of one source, built for the facility each message speaks for.
pub struct ByFacility {
    /// For HL7 v2 messages.
    messages: &'static str,
    local_id: Option<LocalIdForm>,
    problem_list: ProblemList,
    code_systems: std::collections::BTreeMap<String, String>,
    document_kinds: std::collections::BTreeMap<String, String>,
    built: RwLock<Built>,
}

impl ByFacility {
    /// The mapping of a configured source.
    pub fn of(source: &Source) -> Self {
        // The gate and the mapping must spell a patient number alike.
        let (messages, spelling) = match &source.adapter {
            SourceAdapter::Ssmix2(config) => ("ssmix2", &config.local_id),
            SourceAdapter::Mllp(config) => ("hl7v2", &config.local_id),
            SourceAdapter::Folder(config) => ("hl7v2", &config.local_id),
            SourceAdapter::Jetstream(config) => ("hl7v2", &config.local_id),
        };
        let local_id = spelling.pad_to.map(|width| LocalIdForm {
            width: usize::from(width),
            padding: '0',
        });
        Self {
            messages,
            local_id,
            problem_list: source.problem_list,
            code_systems: source.code_systems.clone(),
            document_kinds: source.document_kinds.clone(),
            built: RwLock::default(),
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
            local_id: None,
            problem_list: ProblemList::default(),
            code_systems: Default::default(),
            document_kinds: Default::default(),
            built: RwLock::default(),
        }
    }

    fn mapper(&self, message: &Message) -> Result<Arc<dyn Mapper>, MapError> {
        let name = if message.meta.media_type.is_some() {
            "document"
        } else {
            self.messages
        };
        let key = (message.facility.clone(), name);
        if let Some(mapper) = self
            .built
            .read()
            .ok()
            .and_then(|built| built.get(&key).cloned())
        {
            return Ok(mapper);
        }
        let mut options = Options::new(message.facility.clone());
        options.local_id = self.local_id;
        options.problem_list = self.problem_list;
        options.code_systems.clone_from(&self.code_systems);
        options.document_kinds.clone_from(&self.document_kinds);
        let mapper = renkei_mappings::build(name, options).map_err(|_| MapError {
            code: Code::MAP_NOT_THIS_FORMAT,
            at: "source".to_owned(),
        })?;
        if let Ok(mut built) = self.built.write() {
            built.insert(key, mapper.clone());
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
