"""Measurements of the server's speed, beside a peer, on one machine; run as ``python -m bench``."""
