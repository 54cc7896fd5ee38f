//! HL7 v2.5 as Japan writes it: decode, tokenize, unescape, build. Pure.
