"""The seam to one SNMP device: get, walk and set; fast where possible, complete where needed, patient with agents."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Sequence
from pathlib import Path

from eman_netconf.backend import OutcomeUnknown, Refused, Unavailable

from .complete import Answer, Complete, Kind, NoAnswerError, Oid, RejectedError, Value
from .fast import Fast, UnusableError, suits
from .settings import Community, Hearing, Target
from .traps import Ear, listen
from .usm import Usm
from .writes import Write

ANSWER = 3.0  # seconds a request may take with all its tries; less than the deadline of a pass
MOST_IN_ONE = 50  # rows in an answer to GETBULK; to decode more would hold the loop
LOSSES = 3  # in a row of answers to many variables, where half of them is answered, after which only half is asked for
TOO_BIG, NO_SUCH_NAME, GENERAL_ERROR = 1, 2, 5  # error-status, RFC 3416 section 3
PASSES_APART = 10  # after how many what the device refused is asked for again
FAST_FAILURES = 3  # in a row, after which the fast path is left alone until the device is opened again

STATUS = {
    1: "the answer would be too big",
    2: "there is no such object",
    3: "the value is not one the object takes",
    4: "the object can only be read",
    5: "the device failed to do it",
    6: "this community or user may not do it",
    7: "the value is of a wrong type",
    8: "the value has a wrong length",
    9: "the value is wrongly encoded",
    10: "the value is not one the object takes",
    11: "the object cannot be created",
    12: "the value cannot be set just now",
    13: "the device has no resources for it",
    14: "the device failed to do it",
    15: "the device failed, and could not undo it",
    16: "this community or user may not do it",
    17: "the object can only be read",
    18: "the name is inconsistent with others just now",
}


class Client:
    """A way to one device. One request at a time; what an agent cannot do is found out once and kept."""

    def __init__(self, target: Target, randomness: random.Random, log: logging.Logger, *, fast: bool = True) -> None:
        self._target = target
        self._log = log
        self._complete = Complete(target, randomness)
        self._fast: Fast | None = None
        self._may_be_fast = fast and suits(target)
        self._fast_failures = 0
        self._turn = asyncio.Lock()
        self._address = ""
        self._tries = target.retries + 1
        self._chunk = target.max_variables  # in a GET
        self._silent = False  # an answer did not come, and since then none to as many variables
        self._losses = 0  # of answers to so many variables:
        self._lost = 0
        self._bulk = target.bulk
        self._bulk_proven = False
        self._repetitions = min(target.max_repetitions, MOST_IN_ONE)
        self._absent: set[Oid] = set()  # known not to be there, so not to be asked for twice in a pass
        self._poison: dict[Oid, None] = {}  # make the device refuse a whole GET, so left out; longest untried first
        self._passes = 0  # with such names
        self._free_at = 0.0  # when the device may be asked again, by the loop's time
        self._said: set[str] = set()

    @property
    def bulk(self) -> bool:
        """Whether the device does GETBULK, as far as it was asked to."""
        return self._bulk

    async def open(self) -> None:
        """Find the device's address. Raises Unavailable; the first question will tell whether it answers."""
        async with self._turn:
            self._absent.clear()
            self._poison.clear()
            self._fast_failures = 0
            try:
                async with asyncio.timeout(ANSWER):
                    address = await self._complete.address()
            except TimeoutError:
                raise Unavailable(f"the name {self._target.address} is not resolved in time") from None
            except NoAnswerError as error:
                raise Unavailable(f"{self._target} {error}") from None
            self._address = address
            if self._may_be_fast and self._fast is None:
                self._fast = Fast(self._target, address)

    def rest(self) -> None:
        """Close what only discovery and commands need, where reading has a socket of its own."""
        if self._fast is not None:
            self._complete.close()

    def close(self) -> None:
        """Let go of everything; safe at any time and twice."""
        self._complete.close()
        if self._fast is not None:
            self._fast.close()
            self._fast = None

    async def get(self, names: Sequence[Oid], *, whole: bool = False) -> dict[Oid, Value]:
        """The values that the device has under these names; what it does not have is left out.

        Raises Unavailable when the device does not answer. When it stops answering in the midst, what came is given,
        unless only the ``whole`` is of use. Names that made the device refuse a whole request are tried again from
        time to time.
        """
        async with self._turn:
            values: dict[Oid, Value] = {}
            wanted = [name for name in dict.fromkeys(names) if name not in self._poison]
            answered = False
            try:
                while wanted:
                    chunk, wanted = wanted[: self._chunk], wanted[self._chunk :]
                    told, left = await self._get(chunk)
                    values |= told
                    wanted = [*left, *wanted]
                    answered = True
                if self._poison:
                    values |= await self._try_again(set(names))
            except Unavailable:
                if whole or not answered:
                    raise
            finally:
                self.rest()
            return values

    async def walk(self, column: Oid, most: int) -> list[str]:
        """The indexes of the rows that ``column`` has, at most ``most``. Raises Unavailable."""
        return list(await self.column(column, most))

    async def column(self, column: Oid, most: int) -> dict[str, Value]:
        """What stands in ``column``, by the indexes of its rows, at most ``most``.

        Raises Unavailable. An agent whose names do not grow is believed up to there.
        """
        async with self._turn:
            rows: dict[str, Value] = {}
            last = column
            seen = 0
            while seen < most:
                for name, value in await self._next(last, most - seen):
                    if not name.startswith(f"{column}.") or (name == last and value is None):
                        return rows
                    if _order(name) <= _order(last):
                        self.say(f"answers a walk of {column} in a circle; rows after it are not read")
                        return rows
                    if value is not None:
                        rows[name[len(column) + 1 :]] = value
                    last = name
                    seen += 1
                    if seen == most:
                        break
            self.say(f"has {most} rows or more below {column}; the others are not read")
            return rows

    async def first(self, prefixes: Sequence[Oid]) -> dict[Oid, Value]:
        """The first value below each prefix that has one. Raises Unavailable."""
        async with self._turn:
            found: dict[Oid, Value] = {}
            for start in range(0, len(prefixes), self._chunk):
                chunk = prefixes[start : start + self._chunk]
                answer = await self._ask(Kind.GET_NEXT, chunk)
                variables: list[tuple[Oid, Value | None] | None]
                if answer.status or len(answer.variables) != len(chunk):
                    answers = [await self._ask(Kind.GET_NEXT, [prefix]) for prefix in chunk]
                    variables = [one.variables[0] if not one.status and one.variables else None for one in answers]
                else:
                    variables = list(answer.variables)
                for prefix, variable in zip(chunk, variables, strict=True):
                    if variable is not None and variable[1] is not None and variable[0].startswith(f"{prefix}."):
                        found[prefix] = variable[1]
            return found

    async def set(self, write: Write) -> None:
        """Write, once. Raises Refused, Unavailable, OutcomeUnknown."""
        async with self._turn:
            try:
                await self._complete.address()  # who cannot be found has not been told
            except NoAnswerError as error:
                raise Unavailable(f"{self._target} {error}") from None
            await self._pace()
            try:
                answer = await self._complete.ask(Kind.SET, [write.oid], wait=ANSWER, write=write)
            except RejectedError as error:
                raise Refused(f"{self._target}: {error}") from None
            except NoAnswerError as error:
                raise OutcomeUnknown(f"{self._target} was told to set {write} and {error}") from None
            finally:
                self.rest()
            # some agents give no error, but no value either
            status = answer.status or (NO_SUCH_NAME if all(given is None for _, given in answer.variables) else 0)
            if status:
                reason = STATUS.get(status, f"error {status}")
                raise Refused(f"{self._target} does not set {write}: {reason}")

    async def listen(self, hearing: Hearing, directory: Path) -> Ear:
        """Listen for what the device says by itself; ``directory`` is where this server keeps who it is.

        Raises Unavailable.
        """
        credentials = self._target.credentials
        known: Usm | list[bytes] | None
        if isinstance(credentials, Community):
            known = [credentials.name.encode()]
        else:
            async with self._turn:
                try:
                    known = await self._complete.acquaint(ANSWER)
                except (NoAnswerError, RejectedError) as error:
                    raise Unavailable(f"{self._target} {error}") from None
                finally:
                    self.rest()
        assert known is not None
        try:
            return await listen(hearing, self._address, known, directory, self.say)
        except OSError as error:
            why = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
            raise Unavailable(f"nothing can be heard at {hearing.address} port {hearing.port}: {why}") from None

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _get(self, names: Sequence[Oid]) -> tuple[dict[Oid, Value], Sequence[Oid]]:
        """The values of one GET, and the names that are still to be asked for.

        The complete path fills in what the fast one could not tell. Where an answer did not come in one pass, the last
        try of the next asks for half: some devices lose answers that are longer than a packet.
        """
        values: dict[Oid, Value] = {}
        tried = 0
        if self._fast is not None and self._fast_failures < FAST_FAILURES:
            await self._pace()
            try:
                async with asyncio.timeout(ANSWER / self._tries):
                    values = await self._fast.get(names)
                self._fast_failures = 0
            except (TimeoutError, OSError):
                tried = 1
                self._fast_failures += 1
            except UnusableError:
                self._fast_failures += 1
            if len(values) == len(names):
                self._arrived(names)
                return values, ()
            names = [name for name in names if name not in values and name not in self._absent]
        if not names:
            return values, ()
        if tried == self._tries:
            raise self._silence("does not answer")
        halved = self._silent and self._tries > 1 and len(names) > 1
        if wholes := self._tries - tried - halved:
            try:
                values |= await self._get_completely(names, wholes)
            except Unavailable:
                if not halved:
                    self._silent = True
                    raise
            else:
                self._arrived(names)
                return values, ()
        half = (len(names) + 1) // 2
        values |= await self._get_completely(names[:half], 1)
        self._losses, self._lost = self._losses + 1, len(names)
        if self._losses >= LOSSES:
            self._losses = self._lost = 0
            self._silent = False
            self._chunk = min(self._chunk, half)
            self.say(f"answers {half} variables in a request, but loses {len(names)}; it is asked for fewer")
        return values, names[half:]

    def _arrived(self, names: Sequence[Oid]) -> None:
        if len(names) >= self._lost:
            self._losses = self._lost = 0
            self._silent = False

    async def _try_again(self, names: Collection[Oid]) -> dict[Oid, Value]:
        """Now and then, what the device refused: one name, and while it is told now, the next."""
        values: dict[Oid, Value] = {}
        self._passes += 1
        if self._passes % PASSES_APART == 0:
            for name in [name for name in self._poison if name in names]:
                del self._poison[name]
                values |= await self._get_completely([name], self._tries)
                if name in self._poison:
                    break
        return values

    async def _get_completely(self, names: Sequence[Oid], tries: int) -> dict[Oid, Value]:
        """One GET, in halves where it is too big, without what the device stumbles over."""
        answer = await self._ask(Kind.GET, names, tries=tries)
        if not answer.status:
            asked = set(names)
            values = {name: value for name, value in answer.variables if name in asked and value is not None}
            self._absent.update(asked - values.keys())
            self._absent.difference_update(values)
            return values
        if len(names) == 1:
            self._poison[names[0]] = None
            return {}
        if answer.status in {NO_SUCH_NAME, GENERAL_ERROR} and 1 <= answer.position <= len(names):
            bad = names[answer.position - 1]
            self._poison[bad] = None
            return await self._get_completely([name for name in names if name != bad], tries)
        middle = len(names) // 2
        if answer.status == TOO_BIG:
            self._chunk = min(self._chunk, middle)
        return await self._get_completely(names[:middle], tries) | await self._get_completely(names[middle:], tries)

    async def _next(self, last: Oid, most: int) -> Sequence[tuple[Oid, Value | None]]:
        """What comes after ``last``, at least one variable: by GETBULK while the device does well with it."""
        while self._bulk:
            try:
                answer = await self._ask(
                    Kind.GET_BULK,
                    [last],
                    tries=self._tries if self._bulk_proven else 1,
                    repetitions=min(self._repetitions, most),
                )
            except Unavailable:
                if self._bulk_proven:
                    raise
                answer = Answer(GENERAL_ERROR, 0, ())
            if answer.status == TOO_BIG and self._repetitions > 1:
                self._repetitions //= 2
                continue
            if not answer.status and answer.variables:
                self._bulk_proven = True
                return answer.variables
            break
        answer = await self._ask(Kind.GET_NEXT, [last])
        if self._bulk:
            self._bulk = False
            self.say("does not do GETBULK; it is read with GETNEXT")
        if answer.status or not answer.variables:
            return ((last, None),)  # an agent of SNMPv1's manners: noSuchName is the end
        return answer.variables[:1]

    async def _ask(self, kind: Kind, names: Sequence[Oid], *, tries: int = 0, repetitions: int = 0) -> Answer:
        """One question, asked again while there is no answer. Raises Unavailable."""
        tries = tries or self._tries
        await self._pace()
        try:
            return await self._complete.ask(
                kind, names, wait=ANSWER * tries / self._tries, tries=tries, repetitions=repetitions
            )
        except NoAnswerError as error:
            raise self._silence(str(error)) from None
        except RejectedError as error:
            raise Unavailable(f"{self._target}: {error}") from None

    async def _pace(self) -> None:
        """Wait until the device may be asked again."""
        if self._target.gap:
            now = asyncio.get_running_loop().time()
            if now < self._free_at:
                await asyncio.sleep(self._free_at - now)
            self._free_at = max(now, self._free_at) + self._target.gap

    def _silence(self, reason: str) -> Unavailable:
        return Unavailable(f"{self._target} {reason}: check its address, its rules of access and the credentials")

    def say(self, text: str) -> None:
        """Log a peculiarity of the device, once."""
        if text not in self._said:
            self._said.add(text)
            self._log.warning("%s %s", self._target, text)


def _order(name: Oid) -> list[int]:
    return [int(number) for number in name.split(".")]
