//! HL7 v2.5 data types as Japan fills them (ch. 2A; SS-MIX2 and JAHIS usage).
//!
//! Views over [`crate::Repetition`] and [`crate::Component`], borrowed from the decoded text, used
//! by all mappings. They know where things stand and which deviations occur in real files; what a
//! value means in FHIR is decided by the mapping. Lengths of the standard are not enforced.

mod coded;
mod contact;
mod identifier;
mod name;
mod time;

pub use coded::{Coding, Cq, Cwe, Rpt};
pub use contact::{AddressUse, Equipment, TelecomUse, Xad, Xtn};
pub use identifier::{Cx, Ei, Hd, Pl};
pub use name::{Representation, Xcn, Xpn};
pub use time::{Precision, Ts, TsError};
