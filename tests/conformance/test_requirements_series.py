"""RFC 6988 sections 5.5 and 5.7 asked over NETCONF: energy between two times, and what is kept over time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import (
    EMAN,
    NS,
    ServerProcess,
    all_read,
    demo_process,
    edit,
    entity,
    one,
    run,
    summer_process,
    until,
)
from tests.conformance.hearing import content
from tests.conformance.site import DRIFT, leaves

SERIES = "urn:eman:yang:eman-series"
TYPES = "urn:eman:yang:eman-types"
NOTIFICATIONS = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
INTERVAL = 10  # seconds of the finest intervals at this site
LEAST = Decimal("0.001")  # watt-hours to which energy is told
DELTA, SLIDING, TOTAL = "delta", "sliding", "total"
WINDOW = 30

Row = dict[str, str]


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A demo site on a summer's morning whose time runs faster, with short intervals; it must stop in order."""
    with run(summer_process(tmp_path_factory.mktemp("series") / "state")) as server:
        with server.connect() as session:
            manage(session, f'<history xmlns="{SERIES}"><interval>{INTERVAL}</interval></history>')
            collect(session, "pdu-a", DELTA, "energy-received")
            sliding = f"<interval-type>sliding</interval-type><window>{WINDOW}</window>"
            collect(session, "pdu-a", SLIDING, "energy-received", sliding)
            collect(session, "pdu-a", TOTAL, "energy-received", "<interval-type>total</interval-type>")
            begun = instant(some_history(session, 1)[0]["end-time"])
            until(
                lambda: instant(some_history(session, 1)[-1]["end-time"]) - begun > timedelta(minutes=2),
                "the interval that the site began with is over",
            )
        yield server


@pytest.fixture
def session(fast: ServerProcess) -> Iterator[manager.Manager]:
    with fast.connect() as opened:
        yield opened


# --- asking ----------------------------------------------------------------------------------------------------------


def manage(session: manager.Manager, inner: str) -> None:
    """edit-config of running with the content of energy-management."""
    config = f'<config xmlns="{NS["nc"]}"><energy-management xmlns="{EMAN}">{inner}</energy-management></config>'
    session.edit_config(target="running", config=config)


def collect(session: manager.Manager, id_: str, name: str, quantity: str, more: str = "", length: int = 10) -> None:
    """Configure a series of an entity."""
    edit(
        session,
        f'<entity><id>{id_}</id><series xmlns="{SERIES}" xmlns:t="{TYPES}"><name>{name}</name>'
        f"<quantity>t:{quantity}</quantity><length>{length}</length>{more}</series></entity>",
    )


def ask(session: manager.Manager, action: str, inside: str = "", *, of: str = "pdu-a", series: str = "") -> Any:
    """Call an action of an entity, of a domain or group (``domains:name``), or of a series; the reply."""
    kind, _, name = of.rpartition(":")
    call = f'<{action} xmlns="{SERIES}" xmlns:t="{TYPES}">{inside}</{action}>'
    if series:
        call = f'<series xmlns="{SERIES}"><name>{series}</name>{call}</series>'
    if kind:
        one = kind.removesuffix("s")
        entry = f'<{kind} xmlns="{NS["emgrp"]}"><{one}><name>{name}</name>{call}</{one}></{kind}>'
    else:
        if action == "correct-energy":
            call = f"<control>{call}</control>"
        entry = f"<entities><entity><id>{name}</id>{call}</entity></entities>"
    request = (
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><energy-management xmlns="{EMAN}">{entry}</energy-management>'
        "</action>"
    )
    return etree.fromstring(session.dispatch(etree.fromstring(request)).xml.encode())


def between(start: str, end: str = "") -> str:
    return f"<start-time>{start}</start-time>" + (f"<end-time>{end}</end-time>" if end else "")


def rows(reply: etree._Element) -> list[Row]:
    """The values of a query, each by leaf."""
    return [leaves(value) for value in reply.findall(f"{{{SERIES}}}value")]


def collected(session: manager.Manager, series: str, inside: str = "", of: str = "pdu-a") -> list[Row]:
    return rows(ask(session, "query", inside, of=of, series=series))


def kept(session: manager.Manager, quantity: str, inside: str = "", of: str = "pdu-a") -> list[Row]:
    """What the history holds, without asking for more than there is."""
    quantity = f"<quantity>t:{quantity}</quantity>"
    return rows(ask(session, "query-history", f"{quantity}{inside}", of=of))


def energy(session: manager.Manager, start: str, end: str = "", of: str = "pdu-a", more: str = "") -> dict[str, str]:
    return leaves(ask(session, "energy-between", between(start, end) + more, of=of))


def known(found: list[Row]) -> list[Row]:
    """The values, without the time before the first one or in which nothing was read."""
    return [row for row in found if "value" in row]


def watt_hours(row: Row, name: str = "value") -> Decimal:
    return Decimal(row[name])


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def length(row: Row) -> timedelta:
    return instant(row["end-time"]) - instant(row["start-time"])


def refusal(call: Any) -> RPCError:
    with pytest.raises(RPCError) as refused:
        call()
    return refused.value


def many(session: manager.Manager, series: str, count: int, of: str = "pdu-a") -> list[Row]:
    """The values of a series, once there are so many."""

    def enough() -> list[Row]:
        found = known(collected(session, series, of=of))
        return found if len(found) >= count else []

    return until(enough, f"{series} has {count} values")  # type: ignore[no-any-return]


def some_history(session: manager.Manager, count: int = 6, of: str = "pdu-a") -> list[Row]:
    """The energy that was received in each interval, once there are so many."""

    def enough() -> list[Row]:
        try:
            found = known(kept(session, "energy-received", of=of))
        except RPCError:  # nothing is kept yet
            return []
        return found if len(found) >= count else []

    return until(enough, f"{count} intervals are over")  # type: ignore[no-any-return]


# --- 5.5: energy between two times -----------------------------------------------------------------------------------


@pytest.mark.req("d5.5.text", "r5.5.text")
def test_energy_between_two_times(session: manager.Manager) -> None:
    """The energy between two arbitrary stamps is told; that of two adjacent stretches sums to that of the whole."""
    history = some_history(session)
    start, end = history[0]["start-time"], history[-1]["end-time"]
    middle = (instant(start) + (instant(end) - instant(start)) * 0.37).isoformat(timespec="milliseconds")
    whole, first, second = (energy(session, *stretch) for stretch in ((start, end), (start, middle), (middle, end)))
    assert Decimal(whole["received"]) > 0
    assert abs(Decimal(first["received"]) + Decimal(second["received"]) - Decimal(whole["received"])) <= LEAST
    assert (whole["start-time"], whole["end-time"]) == (start, end)
    assert first["end-time"] == second["start-time"]
    assert 0 < Decimal(whole["coverage"]) <= 100


@pytest.mark.req("d5.5.text", "r5.5.text")
def test_energy_between_is_what_the_counter_grew(session: manager.Manager) -> None:
    """The energy from the beginning until now is neither less than the counter was before nor more than it is after."""
    some_history(session)
    start = one(session, entity("pdu-a", "/emm:energy/emm:start-time"))
    before = one(session, entity("pdu-a", "/emm:energy/emm:received"))
    told = energy(session, start or "")
    after = one(session, entity("pdu-a", "/emm:energy/emm:received"))
    assert Decimal(before or "") - LEAST <= Decimal(told["received"]) <= Decimal(after or "") + LEAST
    assert told["method"]


@pytest.mark.req("d5.5.text", "r5.5.text")
def test_energy_between_knows_offsets_and_interfaces(session: manager.Manager) -> None:
    """The same instants in another time zone are the same stretch; an interface and a domain are asked alike."""
    history = some_history(session)
    start, end = history[-3]["start-time"], history[-1]["end-time"]  # by then all meters had begun
    elsewhere = timezone(timedelta(hours=5, minutes=45))
    there = [instant(stamp).astimezone(elsewhere).isoformat() for stamp in (start, end)]
    assert energy(session, *there) == energy(session, start, end)
    outlet = energy(session, start, end, more="<interface>outlet-1</interface>")
    assert Decimal(outlet["provided"]) > 0
    name = one(session, entity("pdu-a", "/emgrp:domain"))
    assert Decimal(energy(session, start, end, of=f"domains:{name}")["received"]) > 0


@pytest.mark.req("d5.5.text", "r5.5.text")
def test_energy_that_is_not_kept(session: manager.Manager) -> None:
    """Time before anything was kept is refused and told from when on there is something; so is what is yet to come."""
    some_history(session)
    error = refusal(lambda: energy(session, "2020-01-01T00:00:00Z"))
    assert error.tag == "data-missing"
    oldest = next(word for word in error.message.split() if word.startswith("2026-06-22T"))
    assert energy(session, oldest)["start-time"] == oldest
    end = "2026-06-22T06:00:00Z"
    for wrong in (("2099-01-01T00:00:00Z",), (oldest, "2099-01-01T00:00:00Z"), (oldest, end), (oldest, oldest)):
        assert refusal(lambda wrong=wrong: energy(session, *wrong)).tag == "invalid-value", wrong


# --- correction ------------------------------------------------------------------------------------------------------


@pytest.mark.req("d5.5.text", "r5.5.text")
def test_energy_is_corrected(session: manager.Manager) -> None:
    """A stretch is corrected: it, the counters and those of the domain move, discontinuity is told, and who did it."""
    history = some_history(session, of="feed-b")
    start, end = history[0]["start-time"], history[2]["end-time"]
    broken = "/emm:energy/emm:discontinuity-time"
    domain = "/eman:energy-management/emgrp:domains/emgrp:domain[emgrp:name='lab-power']"
    of_all = f"{domain}/emgrp:energy/emgrp:discontinuity-time"
    was = one(session, entity("feed-b", broken)), one(session, of_all)
    before = energy(session, start, end, of="feed-b")
    of_domain = energy(session, start, end, of="domains:lab-power")
    wanted = Decimal(before["received"]) + 250
    said = f"{between(start, end)}<received>{wanted}</received><reason>the meter was replaced</reason>"
    told = ask(session, "correct-energy", said, of="feed-b")
    assert told.findtext(f"{{{SERIES}}}changed") == "true"
    assert Decimal(told.findtext(f"{{{SERIES}}}before/{{{SERIES}}}received")) == Decimal(before["received"])
    assert Decimal(told.findtext(f"{{{SERIES}}}after/{{{SERIES}}}received")) == wanted
    assert Decimal(energy(session, start, end, of="feed-b")["received"]) == wanted
    moved = Decimal(energy(session, start, end, of="domains:lab-power")["received"]) - Decimal(of_domain["received"])
    assert moved == 250
    assert Decimal(one(session, entity("feed-b", "/emm:energy/emm:received")) or "") > wanted
    now = one(session, entity("feed-b", broken)), one(session, of_all)
    assert all(stamp and stamp != old for stamp, old in zip(now, was, strict=True))
    (entry,) = ask(session, "corrections", between(start, end), of="feed-b").findall(f"{{{SERIES}}}correction")
    made = leaves(entry)
    assert (made["by"], made["reason"], made["received"]) == ("admin", "the meter was replaced", "250.0")
    assert ask(session, "correct-energy", said, of="feed-b").findtext(f"{{{SERIES}}}changed") == "false"


@pytest.mark.req("d5.5.text", "r5.5.text")
def test_corrections_that_cannot_be(session: manager.Manager) -> None:
    """What is not kept, lies ahead, is too long, or would leave less than nothing is not corrected."""
    history = some_history(session, of="srv-04")
    start, end = history[0]["start-time"], history[-1]["end-time"]
    wrong = {
        ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", "1"): "data-missing",
        ("2020-01-01T00:00:00Z", "2021-01-02T00:00:00Z", "1"): "invalid-value",
        (start, "2099-01-01T00:00:00Z", "1"): "invalid-value",
        (end, start, "1"): "invalid-value",
        (start, end, "-1"): "invalid-value",
    }
    for (first, last, amount), tag in wrong.items():
        said = f"{between(first, last)}<received>{amount}</received><reason>x</reason>"
        assert refusal(lambda said=said: ask(session, "correct-energy", said, of="srv-04")).tag == tag, said


# --- 5.7: time series ------------------------------------------------------------------------------------------------


@pytest.mark.req("d5.7.1", "r5.7.1", "d5.5.2", "r5.5.2")
def test_series_of_energy(session: manager.Manager) -> None:
    """A series has a value for each interval, none left out, with when it began and ended; entities can be compared."""
    collect(session, "pdu-b", "often", "energy-received")
    found = many(session, "often", 5, of="pdu-b")
    for row, following in pairwise(found):
        assert row["end-time"] == following["start-time"]
        assert length(following).total_seconds() == 10
        assert instant(following["end-time"]).timestamp() % 10 == 0
        assert set(row) >= {"coverage", "mark", "method"}
    others = {row["end-time"] for row in many(session, DELTA, 5)}
    assert others & {row["end-time"] for row in found}


@pytest.mark.req("r5.7.1")
def test_the_clock_tells_whether_it_is_synchronised(session: manager.Manager) -> None:
    """Whoever compares series of several servers can ask whether their clocks agree."""
    told = one(session, "/eman:energy-management/eman:clock/eman:synchronized")
    assert told in {"true", "false"}


@pytest.mark.req("d5.7.2", "r5.7.2", "d5.5.2", "r5.5.2")
def test_types_of_intervals(session: manager.Manager) -> None:
    """Delta values sum to the total; sliding intervals overlap by the window less the length, and sum their deltas."""
    many(session, SLIDING, 6)
    many(session, TOTAL, 5)
    totals, slides, deltas = until(lambda: adding_up(session), "deltas, totals and sliding windows add up")
    assert len(slides) == 4
    assert {row["start-time"] for row in totals} == {totals[-1]["start-time"]}
    assert [length(row) for row in totals] == sorted({length(row) for row in totals})
    for row, following in pairwise(slides):
        assert length(following) == timedelta(seconds=WINDOW)
        assert instant(row["end-time"]) - instant(following["start-time"]) == timedelta(seconds=WINDOW - 10)
        parts = [each for each in deltas if row["start-time"] <= each["start-time"] < row["end-time"]]
        assert sum(map(watt_hours, parts)) == watt_hours(row)


def adding_up(session: manager.Manager) -> tuple[list[Row], list[Row], list[Row]] | None:
    """Totals, sliding windows and deltas; None where energy came late, which is in the total with its next row."""
    totals, slides = many(session, TOTAL, 5), many(session, SLIDING, 5)[-4:]
    deltas = known(collected(session, DELTA))
    last = totals[-1]
    within = [row for row in deltas if last["start-time"] <= row["start-time"] and row["end-time"] <= last["end-time"]]
    windows = [
        sum(watt_hours(each) for each in deltas if row["start-time"] <= each["start-time"] < row["end-time"])
        for row in slides[:-1]
    ]
    whole = sum(map(watt_hours, within)) == watt_hours(last) and windows == [watt_hours(row) for row in slides[:-1]]
    return (totals, slides, deltas) if whole else None


@pytest.mark.req("d5.7.2", "r5.7.2")
def test_sampled_or_continuous(session: manager.Manager) -> None:
    """Of power, a series keeps the value at the end of each interval, the mean over it, or the least or greatest: of
    the same intervals, the mean and the last value lie between the extremes."""
    samplings = ("minimum", "sampled", "mean", "maximum")
    for sampling in samplings:
        collect(session, "pdu-b", sampling, "active-power", f"<sampling>{sampling}</sampling>")

    def common() -> list[list[Decimal]]:
        series = [{row["end-time"]: row for row in known(collected(session, each, of="pdu-b"))} for each in samplings]
        whole = [row["end-time"] for row in series[2].values() if Decimal(row["coverage"]) == 100]
        return [[watt_hours(each[end]) for each in series] for end in whole if all(end in each for each in series)]

    found = until(lambda: common() if len(common()) >= 6 else None, "there are intervals that all four have whole")
    for least, last, mean, greatest in found:
        assert 0 < least <= last <= greatest < 20_000
        assert least - DRIFT <= mean <= greatest + DRIFT


@pytest.mark.req("d5.7.3", "r5.7.3")
def test_how_many_values_are_stored(session: manager.Manager) -> None:
    """A series tells how many values it can and does hold; the oldest make room, and what cannot be held is refused."""
    series = entity("ups-1", "/emser:series[emser:name='few']")
    collect(session, "ups-1", "few", "active-power", "<capacity>4</capacity>")
    until(lambda: one(session, f"{series}/emser:stored") == "4", "the series is full")
    first = known(collected(session, "few", of="ups-1"))
    assert len(first) == 4
    until(lambda: known(collected(session, "few", of="ups-1"))[0] not in first[:1], "the oldest made room")
    assert one(session, f"{series}/emser:stored") == "4"
    limit = int(one(session, f"{series}/emser:max-capacity") or "")
    assert limit >= 672
    more = f"<capacity>{limit + 1}</capacity>"
    error = refusal(lambda: collect(session, "ups-1", "much", "active-power", more))
    assert error.tag == "resource-denied"
    assert one(session, entity("ups-1", "/emser:series[emser:name='much']/emser:name")) is None


@pytest.mark.req("d5.7.text", "r5.7.text")
def test_pages(session: manager.Manager) -> None:
    """A long answer comes in pages that follow each other and leave nothing out; values are joined if that is asked."""
    some_history(session, 8)
    whole = kept(session, "energy-received")
    until_ = f"<end-time>{whole[-1]['end-time']}</end-time>"
    paged: list[Row] = []
    more = ""
    while True:
        asked = f"<quantity>t:energy-received</quantity>{more}{until_}<limit>3</limit>"
        reply = ask(session, "query-history", asked)
        paged += rows(reply)
        following = reply.findtext(f"{{{SERIES}}}more-from")
        if following is None:
            break
        assert len(rows(reply)) == 3
        more = f"<start-time>{following}</start-time>"
    assert paged == whole
    joined = kept(session, "energy-received", f"{until_}<resolution>{2 * INTERVAL}</resolution>")
    over = [row for row in whole if row["end-time"] <= joined[-1]["end-time"]]  # the last one may not be over
    assert sum(map(watt_hours, known(joined))) == sum(map(watt_hours, known(over)))
    assert len(joined) < len(whole)


@pytest.mark.req("d5.7.text", "r5.7.text")
def test_values_are_pushed_in_blocks(fast: ServerProcess) -> None:
    """New values come in blocks to whoever subscribed, and whoever was away gets the blocks replayed that it missed."""
    with fast.connect() as watcher:
        collect(watcher, "pdu-b", "pushed", "active-power", "<report>3</report>")
        wanted = f'<series-samples xmlns="{SERIES}"><series>pushed</series></series-samples>'
        watcher.create_subscription(filter=("subtree", wanted))
        first = block(watcher)
        assert (leaves(first)["entity"], leaves(first)["series"]) == ("pdu-b", "pushed")
        values = [leaves(value) for value in first.findall(f"{{{SERIES}}}value")]
        assert len(values) == 3
        assert values == known(collected(watcher, "pushed", of="pdu-b"))[:3]
    with fast.connect() as session:
        many(session, "pushed", 6, of="pdu-b")
    with fast.connect() as back:
        establish = (
            f'<establish-subscription xmlns="{NOTIFICATIONS}"><stream>NETCONF</stream>'
            f"<stream-subtree-filter>{wanted}</stream-subtree-filter>"
            "<replay-start-time>2026-06-22T06:00:00Z</replay-start-time></establish-subscription>"
        )
        back.dispatch(etree.fromstring(establish))
        again, missed = block(back), block(back)
        assert leaves(again)["time"] == leaves(first)["time"]
        assert leaves(missed.findall(f"{{{SERIES}}}value")[0])["start-time"] == values[-1]["end-time"]


def block(session: manager.Manager) -> etree._Element:
    """The next notification series-samples."""
    return content(session, "series-samples")


@pytest.mark.req("d5.7.text", "r5.7.text")
def test_samples_outlive_the_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever was away fetches what was missed, a restart of the server included; that shows as a gap, not as zero."""
    server = demo_process(tmp_path_factory.mktemp("kept") / "state", "--speed", "20").start()
    try:
        with server.connect() as session:
            all_read(session)
            collect(session, "pdu-a", DELTA, "energy-received")
            before = many(session, DELTA, 3)
            history = some_history(session, 2)
        assert server.end() == 0
        server.start()
        with server.connect() as session:
            all_read(session)
            since = f"<start-time>{before[0]['start-time']}</start-time>"
            after = until(
                lambda: [row for row in collected(session, DELTA, since) if row["end-time"] > before[-1]["end-time"]],
                "values of the new life",
            )
            assert known(collected(session, DELTA, since))[: len(before)] == before
            assert known(kept(session, "energy-received"))[: len(history)] == history
            assert all("value" in row or Decimal(row["coverage"]) == 0 for row in after)
    finally:
        server.end(signal.SIGKILL)
