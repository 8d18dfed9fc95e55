"""Bytes to NETCONF messages and back, without I/O (RFC 6241 sections 3 and 4, RFC 6242)."""
