//! renkei: the hub between the systems of home care. Library and binary.
