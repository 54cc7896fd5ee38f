-- FHIR texts are stored squeezed, as bytes; what was written before stays the text it was. A column of
-- SQLite takes both: there is nothing to change but that an earlier renkei must not read this ledger.
SELECT 1;
