-- FHIR texts are stored squeezed, as bytes; what was written before stays the text it was.
ALTER TABLE version ALTER COLUMN body TYPE BYTEA USING convert_to(body, 'UTF8');
