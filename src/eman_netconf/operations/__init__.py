"""Operations: what a client may ask for, one file per RFC module, each a table (namespace, name) -> handler."""
