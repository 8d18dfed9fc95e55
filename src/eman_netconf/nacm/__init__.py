"""Access control (RFC 8341): rules compiled from the configuration, and what they let each user do."""
