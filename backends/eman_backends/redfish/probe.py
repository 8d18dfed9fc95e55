"""Who is at an address: the root of a Redfish service answers anybody; what it has is asked with credentials."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from dataclasses import replace

from eman_netconf.backend import Context, Finding, Misconfigured, Refused, Settings, Unavailable

from . import describe
from .client import ROOT, Client
from .documents import Document, link, links, text
from .http import CONNECT, Unreadable, Untrusted
from .library import Library
from .settings import Target, target

#: Where what a service manages is found, by the names of links; the first that is there tells who it is.
_WAYS = (
    ("Systems",),
    *(("PowerEquipment", kind) for kind in ("RackPDUs", "FloorPDUs", "TransferSwitches", "PowerShelves")),
    ("Chassis",),
)


async def probe(address: str, settings: Settings, context: Context) -> Finding | None:
    """What answers at ``address``; None where no Redfish service does.

    Where nobody vouches for the certificate, its fingerprint is told, and credentials are not sent. Raises
    Misconfigured, and Refused where there is such a service that does not let itself be read, or is not the one that
    the settings trust.
    """
    found = dict(settings)
    found["address"] = address
    asked = target(found)
    unknown = False
    try:
        root = await _root(asked)
    except Unreadable as error:
        raise Misconfigured(f"{error}: redfish/ca-file") from error
    except Untrusted as error:
        fingerprint = await _fingerprint(asked)
        if fingerprint is None:
            return None
        shown = replace(asked, fingerprint=fingerprint, ca_file=None)
        root = await _root(shown)
        if root is not None and (asked.fingerprint is not None or asked.ca_file is not None):
            raise Refused(str(error)) from error
        found["fingerprint"] = fingerprint.hex(":")
        asked, unknown = shown, True
    if root is None:
        return None
    product = " ".join(part for part in (text(root, "Vendor"), text(root, "Product")) if part)
    if unknown or asked.user is None:
        title = f"{product or 'Redfish service'}, Redfish {text(root, 'RedfishVersion')}"
        if unknown:
            title += "; nobody known vouches for its certificate"
        return Finding(found, title, None, text(root, "Vendor"), text(root, "Product"))  # its name is that of any root
    known = describe.attributes(await _device(asked))
    model = " ".join(part for part in (known["manufacturer"], known["model"]) if part) or product or "Redfish service"
    return Finding(
        found,
        f"{model}, read over Redfish",
        known["name"],
        known["manufacturer"],
        known["model"],
        known["foreign_ids"],
    )


async def _device(asked: Target) -> Document:
    """The first system of the service, or else what it has instead. Raises Refused."""
    client = Client(asked)
    try:
        library = Library(client, await client.open(), expand=False)
        for way in _WAYS:
            found = ROOT.rstrip("/")
            for step in way:
                found = link(await library.get(found), step) or ""
            first = links(await library.get(found), "Members", most=1) if found else ()
            if first:
                return await library.get(first[0])
    except Unavailable as error:
        raise Refused(str(error)) from error
    finally:
        await client.close()
    return {}


async def _root(asked: Target) -> Document | None:
    """The root of the service; None where there is none. Raises Untrusted, Unreadable."""
    client = Client(asked)
    try:
        return await client.probe()
    except (Untrusted, Unreadable):
        raise
    except Unavailable:
        return None
    finally:
        await client.close()


async def _fingerprint(asked: Target) -> bytes | None:
    """The SHA-256 of the certificate that is shown at an address; nothing is said there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(CONNECT):
            _, writer = await asyncio.open_connection(asked.address, asked.port, ssl=context)
    except (OSError, TimeoutError, ValueError):
        return None
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    return hashlib.sha256(shown).digest() if shown else None
