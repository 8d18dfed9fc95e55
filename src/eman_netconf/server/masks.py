"""Secrets taken out of what is said about a device, whoever says it: errors, log lines, tracebacks."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterable

from eman_netconf.server.secrets import MASK

_SHORT = 4  # characters; less than these are masked only where they stand alone


class Mask(logging.Filter):
    """Knows some secrets in clear text; as a filter of a logger it keeps them out of its lines."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_as_pattern, known))) if known else None

    def text(self, said: str) -> str:
        """The same without secrets."""
        return said if self._pattern is None else self._pattern.sub(MASK, said)

    def veiled(self, error: BaseException) -> BaseException:
        """What may be logged in place of an error: itself, where its traceback holds no secret."""
        if self._pattern is None:
            return error
        said = "".join(traceback.format_exception(error))
        if self.text(said) == said:
            return error
        return RuntimeError(f"{type(error).__name__}: {self.text(str(error))}").with_traceback(error.__traceback__)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, masked."""
        if self._pattern is not None:
            record.msg, record.args = self.text(record.getMessage()), None
            if record.exc_info and record.exc_info[1] is not None:
                error = self.veiled(record.exc_info[1])
                record.exc_info = type(error), error, error.__traceback__
        return True


def _as_pattern(secret: str) -> str:
    exact = re.escape(secret)
    return exact if len(secret) >= _SHORT else rf"(?<!\w){exact}(?!\w)"
