"""eman-netconf: power sites modelled in YANG (RFC 6988, RFC 7326) and served over NETCONF (RFC 6241)."""

__all__ = ["__version__"]

__version__ = "0.1.0"
