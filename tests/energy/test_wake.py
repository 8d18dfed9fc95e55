"""Wake-on-LAN: when a packet is sent, to whom, and what becomes of the wish."""

from __future__ import annotations

from typing import Any

import pytest

from eman_netconf.energy.effects import Poll, Send, Wake
from eman_netconf.energy.plans import Refusal
from eman_netconf.energy.values import EntityInfo, ForeignId, LinkState, Magic, Outcome, Quantity
from tests.energy.bench import DMTF, Bench, inlet, outlet

Q = Quantity
MAC = "02:00:5e:10:00:12"


def desk(**wake: str) -> dict[str, Any]:
    return {"id": "desk", "power-state": {"wake": wake}}


def packets(bench: Bench) -> list[Magic]:
    return [effect.magic for effect in bench.effects if isinstance(effect, Wake)]


def told(bench: Bench, outcome: Outcome, reason: str | None = None) -> None:
    wake = next(effect for effect in reversed(bench.effects) if isinstance(effect, Wake))
    bench._keep(bench.domain.outcome(wake.command, outcome, bench.now, reason))


def test_the_packet() -> None:
    """Six octets of ones, then sixteen times the address."""
    payload = Magic(MAC, "192.0.2.255", 9).payload
    assert payload == b"\xff" * 6 + bytes.fromhex("02005e100012") * 16
    assert len(payload) == 102


def test_an_entity_is_woken(bench: Bench) -> None:
    """Asked for on, where nobody takes commands, a packet goes out; a reading shows whether it helped."""
    bench.commit(desk(**{"mac-address": MAC, "address": "192.0.2.255", "port": "7"}))
    number = bench.wish(entity="desk", state="ieee1621-on")
    assert packets(bench) == [Magic(MAC, "192.0.2.255", 7)]
    told(bench, Outcome.ACCEPTED)
    assert bench.status(number) == "pending"
    bench.wait(100)
    bench.discover("desk", EntityInfo(state_sets=(DMTF,)))
    bench.tell("desk", Q.POWER_STATE, "dmtf-on")
    assert bench.status(number) == "reached"
    assert not [effect for effect in bench.effects if isinstance(effect, Poll) and not effect.backend]


def test_a_packet_that_cannot_be_sent_is_told(bench: Bench) -> None:
    """The wish has failed, with the reason."""
    bench.commit(desk(**{"mac-address": MAC}))
    number = bench.wish(entity="desk", state="ieee1621-on")
    assert packets(bench) == [Magic(MAC, "255.255.255.255", 9)]
    told(bench, Outcome.UNAVAILABLE, "no network")
    assert bench.status(number) == "failed"
    assert "no network" in bench.notices("control-failed")[0]["reason"]


def test_the_address_may_be_learned(bench: Bench) -> None:
    """One hardware address among the foreign identifiers serves; without any nobody can be woken."""
    bench.commit(desk(address="192.0.2.255"), {"id": "other", "power-state": {"wake": {"port": "9"}}})
    with pytest.raises(Refusal):
        bench.wish(entity="other", state="ieee1621-on")
    bench.discover("desk", EntityInfo(foreign_ids=(ForeignId("mac-address", MAC.upper()),)))
    bench.wish(entity="desk", state="ieee1621-on")
    assert packets(bench) == [Magic(MAC, "192.0.2.255", 9)]


def test_who_takes_commands_is_not_woken(bench: Bench) -> None:
    """Commands go before packets, as long as somebody hears them."""
    bench.commit(desk(**{"mac-address": MAC}))
    bench.discover("desk", EntityInfo(state_sets=(DMTF,)))
    bench.tell("desk", Q.POWER_STATE, "dmtf-off-soft")
    bench.wish(entity="desk", state="dmtf-on")
    assert packets(bench) == []
    assert [value for _, value in bench.told()] == ["dmtf-on"]
    bench.answer()


def test_who_hears_no_commands_is_woken(bench: Bench) -> None:
    """An agent that went off with its machine takes none."""
    bench.commit(desk(**{"mac-address": MAC}))
    bench.discover("desk", EntityInfo(state_sets=(DMTF,)))
    bench.link("desk", LinkState.STALE, error="no answer")
    bench.wish(entity="desk", state="dmtf-on")
    assert len(packets(bench)) == 1
    assert not [effect for effect in bench.effects if isinstance(effect, Send)]


def test_power_comes_before_the_packet(bench: Bench) -> None:
    """An outlet that is off is switched on first."""
    bench.commit(desk(**{"mac-address": MAC}))
    bench.discover("pdu", EntityInfo(interfaces=(inlet("in"), outlet("o1", ("desk", "in")))))
    bench.tell("pdu", Q.SUPPLY_STATE, "off", "", "o1")
    bench.wish(entity="desk", state="ieee1621-on")
    assert (bench.told(), packets(bench)) == ([("o1", "on")], [])
    bench.answer()
    bench.wait(5)
    assert len(packets(bench)) == 1


@pytest.mark.parametrize("state", ["ieee1621-off", "ieee1621-sleep"])
def test_nobody_is_woken_for_less(bench: Bench, state: str) -> None:
    """A packet is for states of being on alone."""
    bench.commit(desk(**{"mac-address": MAC}))
    with pytest.raises(Refusal):
        bench.wish(entity="desk", state=state)


def test_a_standing_wish_wakes_nobody(bench: Bench) -> None:
    """Only who is asked for now is woken: what somebody switched off by hand stays off."""
    wanted = desk(**{"mac-address": MAC})
    wanted["power-state"]["admin-state"] = "eman-power-state-set:ieee1621-on"
    bench.commit(wanted)
    bench.wait(600)
    assert packets(bench) == []
