"""Which lobby tickets are believed, and what those gain who hold one or claim to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from icworkshop_gui.core.errors import UserError
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.lobby import (
    ISSUERS_MAX,
    LIFE_MAX,
    PENALTIES_MAX,
    PENALTY_SECONDS,
    TICKETS_MAX,
    Lobby,
    LobbyHall,
    answer,
    issue,
    public_key,
)
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.reserved import ANSWERS_MAX, CHALLENGES_MAX, HOLDERS_MAX
from icworkshop_gui.wire.peer.extensions import EXTENSIONS, ic_auth, ic_priority
from icworkshop_gui.wire.peer.extensions.ic_auth import Answer, Challenge, LobbyTicket
from icworkshop_gui.wire.peer.messages import Event, Extended
from tests.helpers.fake_peer import INFO_HASH, ActorSwarm, FakePeer, Stage
from tests.sim.loop import LoopClock, run_leaping

NOW = 1_800_000_000
ROOM = b"r" * 16
HOST, PLAYER, STRANGER = (bytes([number]) * 32 for number in (1, 2, 3))
PROVER, VERIFIER = PeerId(b"p" * 20), PeerId(b"v" * 20)
NONCE = b"n" * 16


def ticket(secret: bytes = HOST, **changes: object) -> LobbyTicket:
    fields = {"room": ROOM, "info_hash": INFO_HASH, "holder": public_key(PLAYER), "expires": NOW + 600, **changes}
    return issue(secret, **fields)  # type: ignore[arg-type]


def hall(now: list[float] | None = None) -> LobbyHall:
    time = now or [float(NOW)]
    found = LobbyHall(random.Random(1), lambda: time[0])
    found.lobby = Lobby.of(ROOM, (public_key(HOST),), (), STRANGER)
    return found


def why(found: LobbyHall, given: Answer, host: str = "93.0.0.1") -> str:
    return found.why_not(given, NONCE, INFO_HASH, prover=PROVER, verifier=VERIFIER, host=host)


def good(given: LobbyTicket | None = None, secret: bytes = PLAYER) -> Answer:
    return answer(secret, given or ticket(), NONCE, PROVER, VERIFIER)


def test_a_good_ticket_is_believed() -> None:
    assert why(hall(), good()) == ""


@pytest.mark.parametrize(
    ("given", "reason", "looked_at"),
    [
        (good(ticket(room=b"o" * 16)), "another room", 0),
        (good(ticket(STRANGER)), "an issuer that is not trusted here", 0),
        (good(ticket(info_hash=InfoHash(b"o" * 20))), "another torrent", 0),
        (good(ticket(expires=NOW)), "expired", 0),
        (good(ticket(expires=NOW + int(LIFE_MAX) + 1)), "it lasts too long", 0),
        (good(replace(ticket(STRANGER), issuer=public_key(HOST))), "a wrong signature", 1),
        (good(replace(ticket(), expires=NOW + 601)), "a wrong signature", 1),
        (good(secret=STRANGER), "a wrong signature", 2),
        (answer(PLAYER, ticket(), b"m" * 16, PROVER, VERIFIER), "a wrong signature", 2),
        (answer(PLAYER, ticket(), NONCE, PeerId(b"x" * 20), VERIFIER), "a wrong signature", 2),
        (answer(PLAYER, ticket(), NONCE, PROVER, PeerId(b"x" * 20)), "a wrong signature", 2),
    ],
)
def test_what_is_not_believed_and_what_it_costs(given: Answer, reason: str, looked_at: int) -> None:
    found = hall()
    assert why(found, given) == reason
    assert found.verified == looked_at


def test_who_was_wrong_is_not_looked_at_again_for_a_while() -> None:
    now = [float(NOW)]
    found = hall(now)
    for _ in range(100):
        assert why(found, good(secret=STRANGER))
    assert found.verified == 2
    assert why(found, good(), host="93.0.0.2") == "", "another address is not punished for it"
    now[0] += PENALTY_SECONDS
    assert why(found, good()) == ""
    for number in range(2 * PENALTIES_MAX):
        why(found, good(secret=STRANGER), host=str(number))
    assert len(found._penalties) <= PENALTIES_MAX


def test_outside_a_lobby_nothing_is_asked_answered_or_believed() -> None:
    found = hall()
    found.lobby = None
    assert found.challenge() is None
    assert found.answer(Challenge.for_room(NONCE, ROOM), INFO_HASH, PROVER, VERIFIER) is None
    assert why(found, good()) == "another room"
    assert found.verified == 0


def test_only_members_of_the_room_get_an_answer() -> None:
    found = hall()
    found.lobby = Lobby.of(ROOM, (public_key(HOST),), (ticket().encode(),), PLAYER)
    assert found.answer(Challenge.for_room(NONCE, ROOM), INFO_HASH, PROVER, VERIFIER) == good()
    assert found.answer(Challenge.for_room(NONCE, b"o" * 16), INFO_HASH, PROVER, VERIFIER) is None
    assert found.answer(Challenge.for_room(NONCE, ROOM), InfoHash(b"o" * 20), PROVER, VERIFIER) is None


@pytest.mark.parametrize(
    ("room", "issuers", "tickets", "secret"),
    [
        (b"short", (public_key(HOST),), (), PLAYER),
        (ROOM, (b"short",), (), PLAYER),
        (ROOM, (), (), b"short"),
        (ROOM, (public_key(HOST),) * (ISSUERS_MAX + 1), (), PLAYER),
        (ROOM, (), (ticket().encode(),) * (TICKETS_MAX + 1), PLAYER),
        (ROOM, (), (b"no ticket",), PLAYER),
        (ROOM, (), (ticket().encode(),), STRANGER),
        (b"o" * 16, (), (ticket().encode(),), PLAYER),
    ],
)
def test_an_invitation_that_does_not_fit_is_refused_in_words(
    room: bytes, issuers: tuple[bytes, ...], tickets: tuple[bytes, ...], secret: bytes
) -> None:
    with pytest.raises(UserError, match="host"):
        Lobby.of(room, issuers, tickets, secret)


# --- in a swarm -----------------------------------------------------------------------------------


class Peers:
    """A seed in a lobby, and scripted peers around it that all want everything and take what they get."""

    def __init__(self, stage: Stage, **config: object) -> None:
        self.stage = stage
        self.wall = LoopClock().wall
        self.hall = LobbyHall(random.Random(1), self.wall)
        self.hall.lobby = Lobby.of(ROOM, (public_key(HOST),), (), STRANGER)
        settings = SwarmConfig(**{"upload_slots": 2, "choke_interval": 1.0, **config})  # type: ignore[arg-type]
        self.seed = stage.swarm(have=None, config=settings, hall=self.hall)

    def ticket(self, player: bytes = PLAYER, **changes: object) -> LobbyTicket:
        return ticket(**{"holder": public_key(player), "expires": int(self.wall()) + 600, **changes})

    async def join(
        self, name: int, *, answers: Callable[[FakePeer, Challenge], Answer] | None = None, claims: Tier | None = None
    ) -> FakePeer:
        def on_event(peer: FakePeer, event: Event) -> None:
            if isinstance(event, Extended) and event.name == ic_auth.NAME and answers is not None:
                message = ic_auth.parse(event.payload)
                assert isinstance(message, Challenge)
                assert peer.wire is not None
                peer.say(peer.wire.extension(ic_auth.NAME, answers(peer, message).encode()))

        peer = self.stage.peer(
            has=(), unchokes=False, peer_id=PeerId(f"-FK0001-{name:012d}".encode()), on_event=on_event
        )
        peer.dial(self.seed)
        await asyncio.sleep(0.1)
        assert peer.wire is not None
        peer.say(peer.wire.extension_handshake())
        if claims is not None:
            peer.say(peer.wire.extension(ic_priority.NAME, ic_priority.encode(claims)))
        peer.say(peer.wire.interested())
        return peer

    def holder(self, player: bytes = PLAYER, **changes: object) -> Callable[[FakePeer, Challenge], Answer]:
        given = self.ticket(player, **changes)

        def prove(peer: FakePeer, challenge: Challenge) -> Answer:
            assert peer.theirs is not None
            return answer(player, given, challenge.nonce, peer.ours.peer_id, peer.theirs.peer_id)

        return prove


def scene_of(body: Callable[[Peers], object], **config: object) -> None:
    async def scene() -> None:
        stage = Stage(length=64 * BLOCK_SIZE)
        peers = Peers(stage, **config)
        await body(peers)  # type: ignore[misc]
        await stage.stop()

    run_leaping(scene())


def unchoked(peers: list[FakePeer]) -> list[bool]:
    return [peer.is_unchoked for peer in peers]


def test_a_ticket_gives_a_slot_beside_the_others_and_a_claim_gives_nothing() -> None:
    async def body(peers: Peers) -> None:
        plain = [await peers.join(number) for number in range(4)]
        await asyncio.sleep(3)
        before = unchoked(plain)
        assert sum(before) == 2
        claimant = await peers.join(10, claims=Tier.LOBBY_URGENT)
        member = await peers.join(11, answers=peers.holder(), claims=Tier.LOBBY_URGENT)
        await asyncio.sleep(3)
        assert member.is_unchoked
        assert not claimant.is_unchoked
        assert unchoked(plain) == before, "nobody lost a slot to it"
        snapshot = {peer.address: peer.flags for peer in peers.seed.swarm.peers()}
        assert sum("L" in flags for flags in snapshot.values()) == 1

    scene_of(body)


def test_refused_tickets_are_served_like_everybody_else() -> None:
    async def body(peers: Peers) -> None:
        plain = [await peers.join(number) for number in range(2)]
        await asyncio.sleep(2)
        seen: list[Answer] = []
        honest = peers.holder()

        def remember(peer: FakePeer, challenge: Challenge) -> Answer:
            seen.append(honest(peer, challenge))
            return seen[-1]

        member = await peers.join(20, answers=remember)
        await asyncio.sleep(1)
        member.hang_up()
        bad = [
            lambda peer, challenge: seen[0],  # replayed on another connection
            peers.holder(expires=1),
            peers.holder(room=b"o" * 16),
            peers.holder(info_hash=InfoHash(b"o" * 20)),
        ]
        refused = [await peers.join(30 + number, answers=lie) for number, lie in enumerate(bad)]
        await asyncio.sleep(2)
        assert unchoked(plain) == [True, True]
        assert unchoked(refused) == [False] * 4
        assert all(peer.open for peer in refused), "an honest member of another room does the same"

    scene_of(body)


def test_no_more_members_than_the_cap_are_exempt() -> None:
    async def body(peers: Peers) -> None:
        plain = [await peers.join(number) for number in range(2)]
        await asyncio.sleep(2)
        players = [bytes([number]) * 32 for number in range(10, 16)]
        members = [await peers.join(number[0], answers=peers.holder(number)) for number in players]
        twin = await peers.join(99, answers=peers.holder(players[0]))
        await asyncio.sleep(3)
        assert sum(unchoked(members)) == 3
        assert not twin.is_unchoked, "one slot for each holder"
        assert unchoked(plain) == [True, True]

    scene_of(body, lobby_slots=3)


def test_a_member_that_had_its_budget_competes_like_everybody_else() -> None:
    async def body(peers: Peers) -> None:
        plain = [await peers.join(number) for number in range(2)]
        await asyncio.sleep(2)

        async def take(member: FakePeer, count: int) -> int:
            before = len(member.blocks)
            blocks = [
                (index, begin, BLOCK_SIZE) for index in range(16) for begin in range(0, 4 * BLOCK_SIZE, BLOCK_SIZE)
            ]
            assert member.wire is not None
            member.say(member.wire.request(blocks[:count]))
            await asyncio.sleep(2)
            return len(member.blocks) - before

        member = await peers.join(20, answers=peers.holder())
        await asyncio.sleep(1)
        assert await take(member, 64) == 64
        assert member.is_unchoked
        assert await take(member, 10) == 10
        member.hang_up()
        again = await peers.join(20, answers=peers.holder())
        await asyncio.sleep(1)
        assert again.is_unchoked, "a lost connection costs nothing"
        assert await take(again, 6) == 6
        assert not again.is_unchoked, "80 of 64 blocks: a quarter more than the torrent has"
        assert unchoked(plain) == [True, True]

    scene_of(body)


def test_a_ticket_ends_with_its_time_and_with_the_lobby() -> None:
    async def body(peers: Peers) -> None:
        plain = [await peers.join(number) for number in range(2)]
        await asyncio.sleep(2)
        short = await peers.join(20, answers=peers.holder(expires=int(peers.wall()) + 30))
        longer = await peers.join(21, answers=peers.holder(STRANGER))
        await asyncio.sleep(2)
        assert unchoked([short, longer]) == [True, True]
        await asyncio.sleep(40)
        assert unchoked([*plain, short, longer]) == [True, True, False, True]
        peers.hall.lobby = None
        peers.seed.swarm.lobby_changed()
        await asyncio.sleep(2)
        assert unchoked([*plain, short, longer]) == [True, True, False, False]

    scene_of(body)


def test_introducing_oneself_again_and_again_costs_a_few_signatures() -> None:
    async def body(peers: Peers) -> None:
        member = await peers.join(20, answers=peers.holder())
        await asyncio.sleep(1)
        assert member.wire is not None
        for _ in range(50):
            member.say(member.wire.extension_handshake())
            await asyncio.sleep(0.1)
        assert peers.hall.verified == 2 * CHALLENGES_MAX
        challenge = Challenge.for_room(NONCE, ROOM)
        peers.hall.lobby = Lobby.of(ROOM, (public_key(HOST),), (peers.ticket(STRANGER).encode(),), STRANGER)
        heard = len(member.events)
        for _ in range(50):
            member.say(member.wire.extension(ic_auth.NAME, challenge.encode()))
        member._on_event = None
        await asyncio.sleep(1)
        assert len(member.events) - heard == ANSWERS_MAX

    scene_of(body)


def test_no_more_holders_are_kept_than_fit_in_a_room() -> None:
    async def body(peers: Peers) -> None:
        for number in range(HOLDERS_MAX + 3):
            member = await peers.join(100 + number, answers=peers.holder(number.to_bytes(32, "big")))
            await asyncio.sleep(0.3)
            member.hang_up()
        assert len(peers.seed.swarm._reserved._spent) == HOLDERS_MAX

    scene_of(body)


def test_peers_say_how_urgent_it_is_to_them() -> None:
    async def scene() -> None:
        stage = Stage()
        seed = stage.swarm(have=None)
        leech: ActorSwarm = stage.swarm(tier=Tier.BACKGROUND, have=())
        leech.swarm.downloading = False
        leech.meet(seed)
        await asyncio.sleep(1)
        (peer,) = seed.swarm._peers.values()
        assert peer.claims is Tier.BACKGROUND
        leech.swarm.set_tier(Tier.LOBBY_URGENT)
        await asyncio.sleep(1)
        assert peer.claims is Tier.LOBBY_URGENT
        assert {ic_auth.NAME, ic_priority.NAME} <= set(EXTENSIONS)
        await stage.stop()

    run_leaping(scene())
