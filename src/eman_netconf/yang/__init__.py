"""The YANG language (RFC 7950): schema, types, XPath, instance trees, validation."""
