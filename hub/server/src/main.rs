//! The renkei binary.
fn main() {}
