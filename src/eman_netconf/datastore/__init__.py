"""Datastores: editing, selecting, committing and keeping configuration (RFC 8342; RFC 6241 sections 5 to 7)."""
