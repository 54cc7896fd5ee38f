//! The words of renkei: ids, messages, drafts, deliveries, the traits between the rooms. No SQL, no HTTP, no runtime.
