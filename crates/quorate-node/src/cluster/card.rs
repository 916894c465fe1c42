//! A card: what one member hands out about itself, so that `init` can put a cluster together
//! without anybody's private key.

use quorate_net::identity::{KeyError, PublicKey, PublicKeys};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// A member's public side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// What it wants to be.
    pub role: Role,
    /// Its public keys.
    pub keys: PublicKeys,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A replica that the others reach at this `HOST:PORT`.
    Replica {
        /// Where.
        address: String,
    },
    /// A client, a gateway for instance.
    Client,
}

/// Why a card cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// It cannot be read.
    #[error("cannot read the card {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is no card.
    #[error("{path} is not a card: {message}; ask its owner for the card again")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A key on it is not acceptable.
    #[error("{path}: {reason}; ask its owner for the card again")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: KeyError,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CardFile {
    format: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    link_key: String,
    signing_key: String,
}

/// No card is longer, in bytes.
const CARD_BYTES_MAX: u64 = 64 << 10;

impl Card {
    /// The text of the card.
    pub fn to_text(&self) -> String {
        let address = match &self.role {
            Role::Replica { address } => Some(address.clone()),
            Role::Client => None,
        };
        let file = CardFile {
            format: super::FORMAT,
            address,
            link_key: self.keys.link.to_string(),
            signing_key: self.keys.signing.to_string(),
        };
        let body = toml::to_string(&file).expect("a card has a form in TOML");
        format!("# The public card of one member of a Quorate cluster, for `quorate init`.\n{body}")
    }

    /// Reads a card.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, CardError> {
        let read_error = |source| CardError::Read { path: path.to_owned(), source };
        let text = crate::durable_file::read_text(path, CARD_BYTES_MAX).map_err(read_error)?;
        let text = text.ok_or_else(|| read_error(crate::durable_file::missing()))?;
        let syntax = |message: String| CardError::Syntax { path: path.to_owned(), message };
        let file: CardFile = toml::from_str(&text)
            .map_err(|error| syntax(error.message().trim().replace('\n', " ")))?;
        if file.format != super::FORMAT {
            return Err(syntax(format!("it has format {}", file.format)));
        }
        let key = |text: &str| {
            let parsed = text.parse::<PublicKey>();
            parsed.map_err(|reason| CardError::Key { path: path.to_owned(), reason })
        };
        let keys = PublicKeys { link: key(&file.link_key)?, signing: key(&file.signing_key)? };
        let role = file.address.map_or(Role::Client, |address| Role::Replica { address });
        Ok(Self { role, keys })
    }
}
