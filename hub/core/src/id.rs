//! Every id of the hub, one newtype each, made only here.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a name as it stands in the configuration or came from the peer.
            pub fn new(name: impl AsRef<str>) -> Self {
                Self(Arc::from(name.as_ref()))
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }
    };
}

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name_id!(
    /// The name of a source in the configuration; seen in logs, audit and console.
    SourceName
);
name_id!(
    /// The name of a sink in the configuration; seen in logs, audit and console.
    SinkName
);
name_id!(
    /// What a peer calls a group, room or post. Opaque.
    PeerRef
);

row_id!(
    /// Position of a message in the inbox: grows with acceptance, never reused.
    MessageId
);
row_id!(
    /// The matched human: a hub row that joins the records of several facilities.
    PersonId
);
row_id!(
    /// One patient as one facility knows them: (facility, local id).
    RecordId
);
row_id!(
    /// One notice: what is told about one event of one person.
    NoticeId
);
row_id!(
    /// One place where a person's team reads at one sink.
    ChannelId
);

/// A medical institution number: ten digits, 都道府県 2 + 点数表区分 1 + 機関コード 7
/// (JP Core 1.2.0 `insurance-medical-institution-no`). Always from configuration, never guessed
/// from a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct FacilityId(Arc<str>);

impl FacilityId {
    /// Takes a facility number of ten digits.
    ///
    /// # Errors
    /// [`BadFacility`] when the text is not exactly ten ASCII digits (care offices may carry one
    /// letter in the third place, which is accepted).
    pub fn new(number: impl AsRef<str>) -> Result<Self, BadFacility> {
        let number = number.as_ref();
        let right = number.len() == 10
            && number
                .bytes()
                .enumerate()
                .all(|(at, byte)| byte.is_ascii_digit() || (at == 2 && byte.is_ascii_uppercase()));
        if right {
            Ok(Self(Arc::from(number)))
        } else {
            Err(BadFacility)
        }
    }
    /// The ten characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FacilityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FacilityId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}

/// A facility number that is not ten characters of the known form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a facility number has ten digits (one capital letter is allowed in the third place)")]
pub struct BadFacility;

/// A patient number as one facility writes it. Opaque: never a number, never trimmed of zeros.
/// Patient data: `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LocalId(Arc<str>);

impl LocalId {
    /// Wraps a local id as sent.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self(Arc::from(id.as_ref()))
    }
    /// The id as sent. Patient data: not for logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LocalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The id of a delivery and its idempotency key at the peer: the hash of what makes it the same
/// delivery (channel, notice, version, disclosure), so planning twice gives the same id.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct DeliveryId(Arc<str>);

impl DeliveryId {
    /// Derives the id. `disclosure` is the disclosure key: forms per class and whether marked late.
    pub fn derive(channel: ChannelId, notice: NoticeId, version: u32, disclosure: &str) -> Self {
        Self(Arc::from(hash_id(&[
            "delivery",
            &channel.to_string(),
            &notice.to_string(),
            &version.to_string(),
            disclosure,
        ])))
    }
    /// Takes an id that was derived before, from a table or a peer's answer.
    pub fn known(id: impl AsRef<str>) -> Self {
        Self(Arc::from(id.as_ref()))
    }
    /// The 26 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 26 lower-case base32 characters of the SHA-256 of `parts`, each part ended by a unit separator so
/// that no two lists collide. Valid as a FHIR `id` (`[A-Za-z0-9\-\.]{1,64}`).
pub fn hash_id(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0x1f]);
    }
    // 20 bytes are 32 characters: more than are kept, and no room is needed for the rest.
    let mut text = [0; 32];
    BASE32_NOPAD.encode_mut(&hasher.finalize()[..20], &mut text);
    let kept = text[..26].iter();
    kept.map(|&letter| char::from(letter.to_ascii_lowercase()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_id_separates_its_parts() {
        assert_ne!(hash_id(&["a", "bc"]), hash_id(&["ab", "c"]));
        assert_eq!(hash_id(&["a", "bc"]).len(), 26);
    }

    #[test]
    fn a_facility_has_ten_digits() {
        assert!(FacilityId::new("1312345670").is_ok());
        assert!(FacilityId::new("13A2345670").is_ok());
        for bad in [
            "",
            "131234567",
            "13123456700",
            "131234567x",
            "１３１２３４５６７０",
        ] {
            assert!(FacilityId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_local_id_is_not_printed() {
        assert_eq!(format!("{:?}", LocalId::new("0000123456")), "[redacted]");
    }
}
