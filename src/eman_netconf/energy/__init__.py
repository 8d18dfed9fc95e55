"""The energy core (RFC 7326): readings, configuration, requests and time in; state and effects out. No I/O."""
