"""What a service says when it says no, as one sentence for an operator (DSP0266: error responses)."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from .documents import Document, dig, text

_MOST = 2  # messages that are repeated
_LONGEST = 200
_INFO = "@Message.ExtendedInfo"


def sentence(status: int, document: Document) -> str:
    """What the service said; where it said nothing, what its status means."""
    said = list(dict.fromkeys(_told(document)))[:_MOST]
    return " ".join(said) or text(document, "error", "message", longest=_LONGEST) or f"{status} {_phrase(status)}"


def _told(document: Document) -> Iterator[str]:
    infos: Any = dig(document, "error", _INFO) or dig(document, _INFO)
    for info in infos[:16] if isinstance(infos, list) else ():
        words = text(info, "Message", longest=_LONGEST) or text(info, "MessageId", longest=_LONGEST)
        if words and not words.endswith("GeneralError") and text(info, "Severity") != "OK":
            yield words


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no known status"
