//! The simulated other ends: mcs, vital_link, ward, hospital. Loopback only.
