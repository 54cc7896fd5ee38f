//! FHIR R4 structs renkei emits, views it reads, JP Core 1.2.0 constants. Pure.
