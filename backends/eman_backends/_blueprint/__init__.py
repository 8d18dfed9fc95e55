"""The plugin: its name, its YANG module, and how a backend is made of settings."""

from __future__ import annotations

from eman_netconf.backend import Backend, Context, Finding, Misconfigured, Plugin, Settings

from .backend import Blueprint


def build(settings: Settings, context: Context) -> Backend:
    """A backend for one clamp. Raises Misconfigured; does no I/O."""
    address = settings.get("address")
    if not isinstance(address, str) or not address:
        raise Misconfigured("the address of the device is missing: set blueprint/address")
    port = settings.get("port", 7000)
    if not isinstance(port, int) or not 0 < port < 65536:
        raise Misconfigured(f"{port!r} is not a port: set blueprint/port to a number from 1 to 65535")
    return Blueprint(address, port, context)


async def probe(address: str, settings: Settings, context: Context) -> Finding | None:
    """The clamp at an address, None where something else answers. Raises Unavailable where nothing does."""
    settings = {**settings, "address": address}
    backend = build(settings, context)
    try:
        (device,) = (await backend.open()).entities
    finally:
        await backend.close()
    if device.model is None or not device.model.startswith("Clamp"):
        return None
    return Finding(settings, f"clamp, model {device.model}", model=device.model)


PLUGIN = Plugin(name="blueprint", module="eman-backend-blueprint", build=build, probe=probe)
