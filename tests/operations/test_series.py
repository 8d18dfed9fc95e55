"""What clients ask about the past over a session: samples, energy between two instants, corrections, and who may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from eman_netconf.energy.effects import Audit, Effect, Notify, Record
from eman_netconf.energy.values import EntityInfo, Now, Quantity
from eman_netconf.errors import YANG_NS, ErrorTag
from eman_netconf.messages.rpc import NOTIFICATION_NS, RpcReply
from eman_netconf.operations.series import actions
from eman_netconf.server.samples.store import SampleStore
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner
from tests.energy.bench import Bench as EnergyBench
from tests.energy.bench import inlet
from tests.operations.bench import START, bench, edit, error
from tests.operations.bench import Bench as Served
from tests.peer import Peer

S = "urn:eman:yang:eman-series"
G = 'xmlns="urn:eman:yang:eman-group"'
T = 'xmlns:t="urn:eman:yang:eman-types"'
ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
EVERY = 10.0  # seconds between readings
LIVED = 3605.0  # seconds the site is read before anybody asks: an hour, and a little that is not over
Q = Quantity


class Lab(EnergyBench):
    """A domain whose samples go to a store, as the server has them."""

    def __init__(self, schema: Schema, folder: Path) -> None:
        super().__init__(schema, start=START)
        self.clock = self.now
        self.store = SampleStore(folder, lambda: self.clock)
        self.published: list[Callable[[Inner, str], object]] = []

    def moment(self) -> Now:
        return self.clock

    def _keep(self, effects: Iterable[Effect]) -> list[Effect]:
        new = super()._keep(effects)
        self.clock = self.now
        for effect in new:
            if isinstance(effect, Record):
                self.store.record(effect.what)
            elif isinstance(effect, Notify):
                for publish in self.published:
                    publish(effect.notification, effect.entity)
        return new

    def live(self, seconds: float, *readings: tuple[str, Quantity, float, str | None]) -> None:
        """Every ten seconds the same is read."""
        for _ in range(int(seconds / EVERY)):
            self.wait(EVERY)
            self.read("pdu", *(self.reading(quantity, value, of, part) for of, quantity, value, part in readings))
        self.wait(seconds % EVERY)
        self.clock = self.now

    def prepare(self, change: Change, new: Inner) -> None:
        self.domain.prepare(change, new)

    def apply(self, change: Change, new: Inner) -> None:
        self.running = new
        self._keep(self.domain.configure(change, new, self.now))

    def operational(self, running: Inner) -> Iterable[tuple[SchemaNode, Data | None]]:
        merged = self.domain.operational(running, self.now)
        return [(merged.schema, merged)]


@dataclass
class Asked:
    """What series' actions want of the shell."""

    lab: Lab

    @property
    def domain(self) -> Any:
        return self.lab.domain

    def now(self) -> Now:
        return self.lab.clock

    def perform(self, effects: Iterable[Effect]) -> None:
        self.lab._keep(effects)


SITE = (
    EntityInfo("", id="pdu", interfaces=(inlet("in"),)),
    EntityInfo("srv", id="srv"),
)
READ = (
    ("", Q.ACTIVE_POWER, 720.0, None),
    ("", Q.ACTIVE_POWER, 720.0, "in"),
    ("", Q.VOLTAGE, 230.0, None),
    ("srv", Q.ACTIVE_POWER, 360.0, None),
)
CONFIG = (
    '<energy-management xmlns="urn:eman:yang:eman-entity">{}<entities>'
    f"<entity><id>pdu</id></entity><entity><id>new</id></entity><entity><id>srv</id><domain {G}>lab</domain>"
    f'<series xmlns="{S}" {T}><name>often</name><quantity>t:active-power</quantity><length>60</length></series>'
    f"</entity></entities><domains {G}><domain><name>lab</name></domain></domains>"
    f"<groups {G}><group><name>all</name><member>srv</member></group></groups></energy-management>"
)


@pytest.fixture
async def lab(schema: Schema, tmp_path: Path) -> AsyncIterator[Lab]:
    made = Lab(schema, tmp_path)
    yield made
    await made.store.close()


@pytest.fixture
async def site(tmp_path: Path, schema: Schema, lab: Lab) -> AsyncIterator[Served]:
    """A server that has read a power strip and a server for an hour."""
    async with bench(tmp_path / "state", schema, participants=[lab], sources=[lab]) as made:
        made.actions.update(actions(Asked(lab), lab.store))
        lab.boot()
        lab.discover("pdu", *SITE)
        history = f'<history xmlns="{S}" {T}><quantity>t:voltage</quantity></history>'
        assert (await (await made.peer()).rpc(edit(CONFIG.format(history)))).ok
        lab.live(LIVED, *READ)
        yield made


async def ask(peer: Peer, action: str, inside: str = "", of: str = "srv", series: str = "") -> RpcReply:
    """Call an action of an entity, of a domain or group (``domains:lab``), or of a series."""
    kind, _, name = of.rpartition(":")
    call = f'<{action} xmlns="{S}" {T}>{inside}</{action}>'
    if series:
        call = f'<series xmlns="{S}"><name>{series}</name>{call}</series>'
    if action == "correct-energy":
        call = f"<control>{call}</control>"
    entry = f"<entities><entity><id>{name}</id>{call}</entity></entities>"
    if kind:
        entry = f"<{kind} {G}><{kind[:-1]}><name>{name}</name>{call}</{kind[:-1]}></{kind}>"
    managed = f'<energy-management xmlns="urn:eman:yang:eman-entity">{entry}</energy-management>'
    return await peer.rpc(f'<action xmlns="{YANG_NS}">{managed}</action>')


def told(reply: RpcReply) -> dict[str, Any]:
    """The leaves of an output by name, and those of its containers."""
    assert reply.ok, reply.errors
    return {etree.QName(child).localname: _of(child) for child in reply.element}


def _of(element: Any) -> Any:
    return {etree.QName(child).localname: _of(child) for child in element} if len(element) else element.text


def rows(reply: RpcReply, name: str = "value") -> list[dict[str, str]]:
    assert reply.ok, reply.errors
    return [_of(child) for child in reply.element if etree.QName(child).localname == name]


def between(start: float, end: float | None = None) -> str:
    return f"<start-time>{stamp(start)}</start-time>" + (f"<end-time>{stamp(end)}</end-time>" if end else "")


def quantity(name: str) -> str:
    return f"<quantity>t:{name}</quantity>"


# --- samples ---------------------------------------------------------------------------------------------------------


async def test_history(site: Served, lab: Lab) -> None:
    """What the site's history holds of a quantity comes with the interval, quality and coverage of each value."""
    peer = await site.peer()
    asked = quantity("active-power") + between(START + 600, START + 1200)
    found = rows(await ask(peer, "query-history", asked))
    assert len(found) == 10
    assert found[0] == {
        "end-time": stamp(START + 660),
        "start-time": stamp(START + 600),
        "value": "360.0",
        "method": "emt:direct-meter",
        "coverage": "100.0",
        "mark": "measured",
    }
    for of, name, value in (("pdu", "voltage", "230.0"), ("domains:lab", "energy-received", "6.0")):
        answered = rows(await ask(peer, "query-history", quantity(name) + between(START + 600, START + 660), of))
        assert [row["value"] for row in answered] == [value], of
    inlet_ = quantity("energy-received") + "<interface>in</interface>" + between(START + 600, START + 660)
    assert [row["value"] for row in rows(await ask(peer, "query-history", inlet_, "pdu"))] == ["12.0"]


async def test_series(site: Served, lab: Lab) -> None:
    """A configured series is asked for by its name."""
    found = rows(await ask(await site.peer(), "query", between(START + 600, START + 900), series="often"))
    assert [row["value"] for row in found] == 5 * ["360.0"]


async def test_pages(site: Served, lab: Lab) -> None:
    """Pages follow each other without a value twice or left out, and joined values sum to those they are joined of."""
    peer = await site.peer()
    whole = rows(await ask(peer, "query-history", quantity("energy-received")))
    assert len(whole) == 59  # what has just ended waits for the reading across its end
    paged, more = [], ""
    while True:
        reply = await ask(peer, "query-history", f"{quantity('energy-received')}{more}<limit>7</limit>")
        paged += rows(reply)
        following = told(reply).get("more-from")
        if following is None:
            break
        more = f"<start-time>{following}</start-time>"
    assert paged == whole
    joined = rows(await ask(peer, "query-history", quantity("energy-received") + "<resolution>600</resolution>"))
    over = [row for row in whole if row["end-time"] <= joined[-1]["end-time"]]  # the last one is not over
    assert sum(Decimal(row["value"]) for row in joined) == sum(Decimal(row["value"]) for row in over)
    assert len(joined) == 5


async def test_a_long_answer(site: Served, lab: Lab) -> None:
    """An answer of more values than are printed in one go is whole."""
    lab.live(36_000, *READ)
    found = rows(await ask(await site.peer(), "query-history", quantity("energy-received")))
    assert len(found) == 659
    assert [row["start-time"] for row in found[1:]] == [row["end-time"] for row in found[:-1]]


async def test_gap(site: Served, lab: Lab) -> None:
    """While nothing was read there are no values: coverage 0, no value, and no zero."""
    lab.wait(900)
    lab.live(300, *READ)
    found = rows(await ask(await site.peer(), "query-history", quantity("voltage"), "pdu"))
    gaps = [row for row in found if "value" not in row]
    assert gaps
    assert {row["coverage"] for row in gaps} == {"0.0"}
    assert {row["mark"] for row in gaps} == {"missing"}
    assert "230.0" in found[-1]["value"]


@pytest.mark.parametrize(("pause", "share"), [(0, 100.0), (60, 93.33), (900, 0.0)])
async def test_marks_of_what_is_known_in_part(site: Served, lab: Lab, pause: int, share: float) -> None:
    """A quarter of an hour says the same as joined values and as energy: means of less than 95 percent are estimated,
    and energy is missing.
    """
    quarter = 900
    start = (START + 3600) // quarter * quarter + quarter
    lab.live(start - START - 3600, *READ)
    lab.wait(pause)
    lab.live(2 * quarter - pause, *READ)
    end = start + quarter
    peer = await site.peer()
    marks = []
    for name in ("energy-received", "active-power", "voltage"):
        asked = quantity(name) + between(start, end) + "<resolution>900</resolution>"
        (row,) = rows(await ask(peer, "query-history", asked, "pdu"))
        assert Decimal(row["coverage"]) == pytest.approx(Decimal(share), abs=Decimal(2))
        marks.append(row["mark"])
    energy = told(await ask(peer, "energy-between", between(start, end), "pdu"))
    whole, gone = pause == 0, pause == 900
    assert marks == ["measured"] * 3 if whole else ["missing", *["missing" if gone else "estimated"] * 2]
    assert energy["mark"] == marks[0]


async def test_queries_that_cannot_be(site: Served, lab: Lab) -> None:
    """A reversed stretch, a limit out of range and a quantity of which nothing is kept are refused in words."""
    peer = await site.peer()
    reversed_ = quantity("active-power") + between(START + 60, START + 30)
    assert error(await ask(peer, "query-history", reversed_)).tag == ErrorTag.INVALID_VALUE
    for limit in ("0", "10001"):
        asked = f"{quantity('active-power')}<limit>{limit}</limit>"
        assert error(await ask(peer, "query-history", asked)).tag == ErrorTag.INVALID_VALUE
    unknown = error(await ask(peer, "query-history", quantity("frequency")))
    assert unknown.tag == ErrorTag.DATA_MISSING
    assert "frequency" in unknown.message
    assert error(await ask(peer, "query", series="none")).tag == ErrorTag.DATA_MISSING


# --- energy ----------------------------------------------------------------------------------------------------------


async def test_energy_until_now(site: Served, lab: Lab) -> None:
    """Energy up to now holds what is in no interval that is over yet: it is what the counter counted."""
    found = told(await ask(await site.peer(), "energy-between", between(START + 10)))
    assert Decimal(found["received"]) * 1000 == lab.domain.site.entities["srv"].meter.energy.received
    assert (found["start-time"], found["end-time"]) == (stamp(START + 10), stamp(START + 3600))
    assert found["method"] == "emt:integrated"
    assert Decimal(found["coverage"]) > 99


async def test_history_adds_up_to_the_counter(site: Served, lab: Lab) -> None:
    """Whatever happened, a load that changed, a pause or a correction: energy since the beginning is the counter's."""
    peer = await site.peer()
    energy = lab.domain.site.entities["srv"].meter.energy
    assert energy.start is not None
    for watts, pause, corrected in ((1234.567, 0, ""), (0.013, 33, "0.3"), (999.999, 400, ""), (1.0, 0, "77.777")):
        lab.wait(pause)
        lab.live(187, ("srv", Q.ACTIVE_POWER, watts, None))
        if corrected:
            said = correction(START + 60.25, START + 119.5, corrected)
            assert told(await ask(peer, "correct-energy", said))["changed"] == "true"
        found = told(await ask(peer, "energy-between", between(energy.start)))
        assert Decimal(found["received"]) * 1000 == energy.received


@pytest.mark.parametrize("at", [10.5, 61.0, 1234.567, 3540.0, 3541.25, 3599.999])
async def test_halves_sum_to_the_whole(site: Served, lab: Lab, at: float) -> None:
    """Two adjacent stretches sum to the whole, wherever they meet: also within an interval, and in one not over."""
    peer = await site.peer()
    start, middle, end = START + 10, START + at, START + 3600
    whole, first, second = [
        Decimal(told(await ask(peer, "energy-between", between(*stretch)))["received"])
        for stretch in ((start, end), (start, middle), (middle, end))
    ]
    assert abs(first + second - whole) <= Decimal("0.001")
    assert abs(first - Decimal(at - 10) / 10) < Decimal("0.01")


async def test_instants_with_offsets(site: Served, lab: Lab) -> None:
    """Stamps with another offset, fractions or a leap second name instants too; those that name none are refused."""
    peer = await site.peer()
    plain = told(await ask(peer, "energy-between", between(START + 60, START + 120)))
    start, end = "2026-02-02T08:26:00.000+05:45", "2026-02-01T18:42:00.000000-08:00"
    same = f"<start-time>{start}</start-time><end-time>{end}</end-time>"
    wanted = (
        between(START + 60, START + 120).replace("2026-02-02T02:41:00Z", start).replace("2026-02-02T02:42:00Z", end)
    )
    assert same == wanted
    assert told(await ask(peer, "energy-between", same)) == plain
    leap = between(START + 59, START + 120).replace("02:40:59Z", "02:40:60Z")
    assert told(await ask(peer, "energy-between", leap)) == told(
        await ask(peer, "energy-between", between(START + 59, START + 120))
    ), "a leap second is the second before it"
    none = "<start-time>2026-02-30T02:41:00Z</start-time>"
    assert error(await ask(peer, "energy-between", none)).tag == ErrorTag.INVALID_VALUE


async def test_energy_of_parts_and_sums(site: Served, lab: Lab) -> None:
    """Interfaces, domains and groups are asked alike."""
    peer = await site.peer()
    stretch = between(START + 60, START + 660)
    asked = {("pdu", "<interface>in</interface>"): 120, ("domains:lab", ""): 60, ("groups:all", ""): 60}
    for (of, more), amount in asked.items():
        assert Decimal(told(await ask(peer, "energy-between", stretch + more, of))["received"]) == amount, of


async def test_energy_that_is_not_kept(site: Served, lab: Lab) -> None:
    """Before the oldest value data is missing, and the error tells from when on it is kept; the future is refused."""
    peer = await site.peer()
    for stretch in (between(START - 60), between(START - 600, START - 300)):
        missing = error(await ask(peer, "energy-between", stretch))
        assert missing.tag == ErrorTag.DATA_MISSING
        assert "It is kept from 2026-02-02T02:40:" in missing.message
    nothing = error(await ask(peer, "energy-between", between(START), "new"))
    assert (nothing.tag, "none of it yet" in nothing.message) == (ErrorTag.DATA_MISSING, True)
    unheard = error(await ask(peer, "energy-between", "<start-time>soon</start-time>"))
    for wrong, leaf in (
        (between(START + 9000), "start-time"),
        (between(START + 60, START + 9000), "end-time"),
        (between(START + 60, START + 30), "end-time"),
        (between(START + 60, START + 60), "end-time"),
    ):
        refused = error(await ask(peer, "energy-between", wrong))
        assert refused.tag == unheard.tag == ErrorTag.INVALID_VALUE
        assert str(refused.path) == str(unheard.path).replace("start-time", leaf)


# --- corrections -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["energy-between", "query-history"])
async def test_an_interface_that_is_not_there(site: Served, lab: Lab, action: str) -> None:
    """Who misspells an interface is told so, not that nothing is kept of it."""
    asked = between(START) if action == "energy-between" else quantity("active-power")
    missing = error(await ask(await site.peer(), action, asked + "<interface>none</interface>", "pdu"))
    assert (missing.tag, missing.message) == (ErrorTag.DATA_MISSING, "pdu has no power interface none.")


def correction(start: float, end: float, received: str, more: str = "") -> str:
    return f"{between(start, end)}{more}<received>{received}</received><reason>a new meter</reason>"


async def test_correction(site: Served, lab: Lab) -> None:
    """What is kept of the stretch, the totals and the sums move by the difference; it is told, audited, and listed."""
    peer = await site.peer()
    stretch = START + 600, START + 1200
    before = lab.domain.site.entities["srv"].meter.energy.received or 0
    made = told(await ask(peer, "correct-energy", correction(*stretch, "100")))
    assert (made["changed"], made["before"]["received"], made["after"]["received"]) == ("true", "60.0", "100.0")
    energy = lab.domain.site.entities["srv"].meter.energy
    assert (energy.received, energy.broken) == (before + 40_000, lab.now.wall)
    for of in ("srv", "domains:lab", "groups:all"):
        assert told(await ask(peer, "energy-between", between(*stretch), of))["received"] == "100.0", of
    audited = [effect for effect in lab.effects if isinstance(effect, Audit)]
    assert [(effect.by, effect.entity) for effect in audited] == [("admin", "srv")]
    (listed,) = rows(await ask(peer, "corrections", between(*stretch)), "correction")
    assert (listed["received"], listed["by"], listed["reason"]) == ("40.0", "admin", "a new meter")
    assert rows(await ask(peer, "corrections", between(START + 1260)), "correction") == []


async def test_the_same_correction_again_changes_nothing(site: Served, lab: Lab) -> None:
    """A correction states what was; stated twice, the second changes nothing and says so, wherever it begins."""
    peer = await site.peer()
    said = correction(START + 630.5, START + 1213.25, "31.5")
    assert told(await ask(peer, "correct-energy", said))["changed"] == "true"
    lab.live(7200, *READ)
    again = told(await ask(peer, "correct-energy", said))
    assert (again["changed"], again["before"], again["after"]["received"]) == ("false", again["after"], "31.5")


async def test_one_correction_at_a_time(site: Served, lab: Lab) -> None:
    """Of two corrections of one meter at the same time one is made, the other told to look first."""
    said = correction(START + 600, START + 1200, "61")
    calls = [ask(await site.peer(), "correct-energy", said) for _ in range(2)]
    first, second = await asyncio.gather(*calls)
    assert told(first)["changed"] == "true"
    assert error(second).tag == ErrorTag.IN_USE


async def test_a_correction_of_what_is_corrected_meanwhile(
    site: Served, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A difference to what is no longer kept is not taken: what goes into the meter may have been corrected."""

    async def meanwhile(handlers: Any, owner: str, part: str, _path: object) -> None:
        recording = handlers._recording
        recording.perform(
            recording.domain.correct(
                owner, part, 500, 0, START + 600, START + 660, "bob", "a part of it", recording.now()
            )
        )

    monkeypatch.setattr("eman_netconf.operations.series._Handlers._check_count", meanwhile)
    peer = await site.peer()
    assert error(await ask(peer, "correct-energy", correction(START + 600, START + 1200, "61"))).tag == ErrorTag.IN_USE


async def test_corrections_without_end_are_refused(site: Served, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A meter takes so many corrections, all of which are gone through when it is asked, and not one more."""
    monkeypatch.setattr("eman_netconf.operations.series.MOST_CORRECTIONS", 3)
    peer = await site.peer()
    for amount in range(3):
        made = await ask(peer, "correct-energy", correction(START + 600, START + 660, str(50 + amount)))
        assert told(made)["changed"] == "true"
    assert error(await ask(peer, "correct-energy", correction(START + 900, START + 960, "9"))).tag == (
        ErrorTag.RESOURCE_DENIED
    )


async def test_what_is_rounded_is_never_less_than_nothing(site: Served, lab: Lab) -> None:
    """Of an instant within what was corrected up and down again, no energy flowed, not less than none."""
    peer = await site.peer()
    for amount in ("1.001", "0.001") * 10:
        assert told(await ask(peer, "correct-energy", correction(START + 600, START + 660, amount)))["after"]
    for at in (601.001, 622.5, 659.9):
        found = told(await ask(peer, "energy-between", between(START + at, START + at + 0.001)))
        assert Decimal(found["received"]) >= 0


async def test_corrections_that_cannot_be(site: Served, lab: Lab) -> None:
    """What is not kept, not over, too long, in no direction, or leaves less than nothing somewhere is refused."""
    peer = await site.peer()
    month = 31 * 86_400
    wrong = {
        correction(START - 600, START + 60, "1"): ErrorTag.DATA_MISSING,
        correction(START + 3000, START + 3605, "1"): ErrorTag.DATA_MISSING,
        correction(START + 3000, START + 9000, "1"): ErrorTag.INVALID_VALUE,
        correction(START - month, START + 60, "1"): ErrorTag.INVALID_VALUE,
        correction(START + 60, START + 120, "-1"): ErrorTag.INVALID_VALUE,
        f"{between(START + 60, START + 120)}<reason>x</reason>": ErrorTag.MISSING_ELEMENT,
        f"{between(START + 60, START + 120)}<received>1</received>": ErrorTag.MISSING_ELEMENT,
    }
    for said, tag in wrong.items():
        assert error(await ask(peer, "correct-energy", said)).tag == tag, said
    assert told(await ask(peer, "correct-energy", correction(START + 600, START + 660, "1000")))["changed"] == "true"
    uneven = error(await ask(peer, "correct-energy", correction(START + 540, START + 660, "7")))
    assert uneven.tag == ErrorTag.INVALID_VALUE
    assert stamp(START + 600) in uneven.message
    assert told(await ask(peer, "correct-energy", correction(START + 600, START + 660, "0")))["changed"] == "true"


# --- who may ---------------------------------------------------------------------------------------------------------

PREFIXES = " ".join(
    f'xmlns:{prefix}="urn:eman:yang:eman-{module}"'
    for prefix, module in (("e", "entity"), ("m", "measurement"), ("g", "group"))
)
ENTITY = "/e:energy-management/e:entities/e:entity[e:id='srv']"
LAB = "/e:energy-management/g:domains/g:domain[g:name='lab']"
ALL = "/e:energy-management/g:groups/g:group[g:name='all']"


async def ruled(site: Served, *rules: tuple[str, str, str], exec_default: str = "permit") -> Peer:
    """A session of a user for whom these rules hold: path, access and verdict."""
    listed = "".join(
        f"<rule><name>r{place}</name><path {PREFIXES}>{path}</path><access-operations>{access}</access-operations>"
        f"<action>{verdict}</action></rule>"
        for place, (path, access, verdict) in enumerate(rules)
    )
    nacm = (
        f'<nacm xmlns="{ACM}"><exec-default>{exec_default}</exec-default><groups><group><name>tenants</name>'
        "<user-name>tom</user-name></group></groups><rule-list><name>tenants</name><group>tenants</group>"
        f"{listed}</rule-list></nacm>"
    )
    reply = await (await site.peer()).rpc(edit(nacm))
    assert reply.ok, reply.errors
    return await site.peer("tom")


POWER = quantity("active-power")
ENERGY = quantity("energy-received")


@pytest.mark.parametrize(
    ("denied", "of", "refused", "answered"),
    [
        (f"{ENTITY}/m:power/m:active", "srv", [POWER], [ENERGY]),
        (f"{ENTITY}/m:power", "srv", [POWER], [ENERGY]),
        (f"{ENTITY}/m:energy/m:received", "srv", [ENERGY], [POWER]),
        (ENTITY, "srv", [POWER, ENERGY], []),
        (f"{LAB}/g:power/g:active", "domains:lab", [POWER], [ENERGY]),
        (f"{ALL}/g:energy", "groups:all", [ENERGY], [POWER]),
        (ENTITY, "domains:lab", [], [POWER, ENERGY]),  # the sum is read as it is read now: whoever its members are
        (ENTITY, "groups:all", [], [POWER, ENERGY]),
    ],
)
async def test_who_may_not_read_it_now_may_not_read_its_past(
    site: Served, lab: Lab, denied: str, of: str, refused: list[str], answered: list[str]
) -> None:
    """A query is judged by the rules for the leaf that shows the present value: of the entity, or of the sum itself."""
    tom = await ruled(site, (denied, "read", "deny"))
    for asked in refused:
        assert error(await ask(tom, "query-history", asked, of)).tag == ErrorTag.ACCESS_DENIED
    for asked in answered:
        assert rows(await ask(tom, "query-history", asked, of))


async def test_a_series_is_no_way_round(site: Served, lab: Lab) -> None:
    """A series of a quantity that a user may not read gives that user nothing, though the series itself may be read."""
    tom = await ruled(site, (f"{ENTITY}/m:power/m:active", "read", "deny"))
    assert error(await ask(tom, "query", series="often")).tag == ErrorTag.ACCESS_DENIED
    assert rows(await ask(await site.peer(), "query", series="often"))


async def test_energy_is_told_as_far_as_it_may_be_read(site: Served, lab: Lab) -> None:
    """Each direction of energy has its rule; whoever may read neither is denied, corrections included."""
    stretch = between(START + 60, START + 120)
    tom = await ruled(site, (f"{ENTITY}/m:energy/m:provided", "read", "deny"))
    found = told(await ask(tom, "energy-between", stretch))
    assert (found.get("received"), found.get("provided")) == ("6.0", None)
    tom = await ruled(site, (f"{ENTITY}/m:energy", "read", "deny"))
    for action in ("energy-between", "corrections"):
        assert error(await ask(tom, action, stretch)).tag == ErrorTag.ACCESS_DENIED


async def test_corrections_need_a_rule(site: Served, lab: Lab) -> None:
    """Without a rule for the control of an entity nobody but the administrator corrects its energy."""
    said = correction(START + 60, START + 120, "7")
    tom = await ruled(site)
    assert error(await ask(tom, "correct-energy", said)).tag == ErrorTag.ACCESS_DENIED
    tom = await ruled(site, (f"{ENTITY}/e:control", "read exec", "permit"))
    assert told(await ask(tom, "correct-energy", said))["changed"] == "true"
    assert [effect.by for effect in lab.effects if isinstance(effect, Audit)] == ["tom"]


async def test_blocks_of_samples_go_to_readers_of_the_quantity(site: Served, lab: Lab) -> None:
    """Whoever may not read a quantity is not sent its samples either, while those of others come."""
    tom = await ruled(site, (f"{ENTITY}/m:power/m:active", "read", "deny"))
    series = "".join(
        f'<series xmlns="{S}" {T}><name>{name}</name>{quantity(name)}<length>60</length><report>2</report></series>'
        for name in ("active-power", "energy-received")
    )
    srv = f"<entities><entity><id>srv</id>{series}</entity></entities>"
    managed = f'<energy-management xmlns="urn:eman:yang:eman-entity">{srv}</energy-management>'
    admin = await site.peer()
    assert (await admin.rpc(edit(managed))).ok
    wanted = f'<filter type="subtree"><series-samples xmlns="{S}"/></filter>'
    for peer in (admin, tom):
        assert (await peer.rpc(f'<create-subscription xmlns="{NOTIFICATION_NS}">{wanted}</create-subscription>')).ok
    lab.published.append(site.server.streams.publish)
    lab.live(360, *READ)
    heard = {peer: [await block(peer), await block(peer)] for peer in (admin, tom)}
    assert sorted(each["series"] for each in heard[admin]) == ["active-power", "energy-received"]
    assert [each["series"] for each in heard[tom]] == ["energy-received", "energy-received"]
    assert heard[tom][0]["source"].endswith("/emm:energy/emm:received")


async def block(peer: Peer) -> dict[str, Any]:
    """The leaves of the next notification."""
    content = (await peer.notification()).content
    assert etree.QName(content).localname == "series-samples"
    return {etree.QName(child).localname: child.text for child in content}
