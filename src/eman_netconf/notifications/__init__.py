"""Event streams and who receives them: RFC 5277, RFC 6470; sans-IO."""
