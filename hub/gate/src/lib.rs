//! The second opinion on FHIR: parsed by fhir-sdk and printed again, every lost or changed element is named. Leaf.
