"""From a system and a set of shapes to calls over static buffers, made once and replayed."""
