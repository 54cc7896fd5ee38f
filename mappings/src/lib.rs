//! Bytes to Draft, and notice to post. Pure: no I/O, no clock, no async.
