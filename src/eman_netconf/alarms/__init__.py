"""Alarms: what is wrong now, with its history and what operators said to it (RFC 8632); sans-IO."""
