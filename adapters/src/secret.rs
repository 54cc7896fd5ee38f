//! Secrets by reference: the configuration names where a secret is, never the secret.

use std::fmt;
use std::path::PathBuf;

use renkei_core::BoxError;
use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Where a secret is kept: `{ env = "MCS_SECRET" }` or `{ file = "/run/secrets/mcs" }`.
///
/// A plain string is refused without being repeated in the error.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// The name of an environment variable.
    Env(String),
    /// The path of a file; white space at its end is not part of the secret.
    File(PathBuf),
}

/// The secret cannot be had. Names the place, never the content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, empty or not Unicode.
    #[error("the environment variable `{0}` holds no secret")]
    Env(String),
    /// The file cannot be read.
    #[error("the secret file `{}` cannot be read", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The file holds nothing.
    #[error("the secret file `{}` is empty", .0.display())]
    Empty(PathBuf),
}

impl Secret {
    /// Reads the secret now, so that a rotated one is found without a restart.
    ///
    /// # Errors
    /// [`SecretError`] with the place that holds none.
    pub fn read(&self) -> Result<String, SecretError> {
        match self {
            Self::Env(name) => std::env::var(name)
                .ok()
                .filter(|value| !value.is_empty())
                .ok_or_else(|| SecretError::Env(name.clone())),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|source| SecretError::File {
                    path: path.clone(),
                    source: source.into(),
                })?;
                match text.trim_end() {
                    "" => Err(SecretError::Empty(path.clone())),
                    secret => Ok(secret.to_owned()),
                }
            }
        }
    }
}

/// Errors from here never repeat what stood in the file: it may be the secret itself.
const EXPECTED: &str = "a secret is a reference: `{ env = \"NAME\" }` or `{ file = \"/path\" }`";

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reference)
    }
}

struct Reference;

impl<'de> Visitor<'de> for Reference {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        let refused = || de::Error::custom(EXPECTED);
        let key: String = map.next_key()?.ok_or_else(refused)?;
        let value: String = map.next_value().map_err(|_| refused())?;
        let secret = match key.as_str() {
            "env" => Secret::Env(value),
            "file" => Secret::File(value.into()),
            _ => return Err(refused()),
        };
        match map.next_key::<de::IgnoredAny>()? {
            None => Ok(secret),
            Some(_) => Err(refused()),
        }
    }

    // serde's default answers would quote the value.
    fn visit_str<E: de::Error>(self, _: &str) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Holder {
        secret: Secret,
    }

    fn read(text: &str) -> Result<Secret, String> {
        toml::from_str::<Holder>(text)
            .map(|holder| holder.secret)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_reference_is_read_and_a_value_is_never_repeated() {
        assert_eq!(
            read("secret = { env = 'X' }").unwrap(),
            Secret::Env("X".to_owned())
        );
        assert_eq!(
            read("secret = { file = '/run/x' }").unwrap(),
            Secret::File("/run/x".into())
        );
        for bad in [
            "secret = 'hunter2'",
            "secret = 4711",
            "secret = 4711.5",
            "secret = true",
            "secret = ['hunter2']",
            "secret = { value = 'hunter2' }",
            "secret = { hunter2 = 'x' }",
            "secret = { env = 4711 }",
            "secret = { env = 'A', file = 'hunter2' }",
            "secret = {}",
        ] {
            let message = read(bad).unwrap_err();
            assert!(
                !message.contains("hunter2") && !message.contains("4711"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_file_is_read_without_its_line_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let secret = Secret::File(file.path().to_owned());
        assert!(matches!(secret.read(), Err(SecretError::Empty(_))));
        file.write_all("鍵 1\n".as_bytes()).unwrap();
        assert_eq!(secret.read().unwrap(), "鍵 1");
        assert!(Secret::File("/nowhere/at/all".into()).read().is_err());
        assert!(Secret::Env("RENKEI_TEST_UNSET".to_owned()).read().is_err());
    }
}
