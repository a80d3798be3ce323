"""The picker in pictures (tests/helpers/picture.py): one character per piece, four blocks each."""

from __future__ import annotations

import pytest

from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.picker import MAX_COPIES
from tests.helpers.picture import BLOCKS, OTHER, Board

PIECE = BLOCKS * BLOCK_SIZE


def test_the_rarest_piece_goes_first() -> None:
    assert Board(availability="3241").pick(4, has="****") == "   4"
    assert Board(availability="3241").pick(6, has="****") == " 2 4"


def test_only_what_the_peer_has() -> None:
    assert Board(availability="3111").pick(8, has="*  *") == "4  4"
    assert Board(availability="3111").pick(8, has="    ") == "    "


def test_neither_had_nor_unwanted_pieces() -> None:
    board = Board(availability="11111", have="x    ", wanted="  -  ")
    assert board.pick(99, has="*****") == " 4 44"


def test_equally_rare_pieces_are_drawn_by_lot() -> None:
    first = {Board(availability="11111111", seed=seed).pick(4, has="********") for seed in range(60)}
    assert len(first) == 8


def test_the_first_pieces_come_at_random_whatever_their_rarity() -> None:
    config = SwarmConfig(random_first_pieces=4)
    first = {Board(availability="19999", config=config, seed=seed).pick(4, has="*****") for seed in range(60)}
    assert len(first) == 5
    # With four pieces here rarity rules.
    later = {
        Board(availability="19999999", have="    xxxx", config=config, seed=seed).pick(4, has="********")
        for seed in range(20)
    }
    assert later == {"4       "}


def test_open_pieces_before_new_ones_that_are_not_rarer() -> None:
    assert Board(availability="1111", open="   2").pick(3, has="****") in {"1  2", " 1 2", "  12"}
    assert Board(availability="1111", open="   2").pick(2, has="****") == "   2"


def test_a_rarer_new_piece_before_an_open_one_that_others_can_finish() -> None:
    assert Board(availability="3239", open="   2").pick(1, has="****") == " 1  "
    assert Board(availability="3239", open=" 1 2").pick(2, has="****") in {"11  ", " 11 "}
    assert Board(availability="1119", open="   2").pick(1, has="   *") == "   1"


def test_the_rarest_open_piece_first_then_the_fullest() -> None:
    assert Board(availability="2219", open="3 12").pick(1, has="****") == "  1 "
    assert Board(availability="2229", open="31 2").pick(1, has="****") == " 1  "


def test_a_snubbed_peer_takes_what_nobody_is_after() -> None:
    assert Board(availability="1293").pick(1, has="****", snubbed=True) == "  1 "
    assert Board(availability="1243", open="22  ").pick(1, has="****", snubbed=True) == " 1  "


def test_blocks_of_a_piece_are_asked_in_order() -> None:
    assert Board(availability="1").take(3, has="*").blocks == [(0, 0), (0, 1), (0, 2)]


def test_only_pieces_that_may_be_asked_while_choked() -> None:
    board = Board(availability="1111")
    view = board.take(0, has="****")
    assert view.blocks == []
    assert board.pick(99, has="****", key=2) == "4444"


# --- limits of open pieces ----------------------------------------------------------------------


def test_too_many_partial_pieces_open_no_further_one() -> None:
    config = SwarmConfig(random_first_pieces=0, partials_per_peer=1.5)
    board = Board(availability="11111", open="111  ", peers=1, config=config)
    # It has none of the open pieces and something to do already: it waits.
    pick = board.take(4, has="   **", outstanding=1)
    assert (pick.blocks, pick.starved) == ([], True)
    # With nothing to do it may open one, or it would idle for ever.
    assert board.pick(8, has="   * ") == "   4 "


def test_the_same_by_bytes() -> None:
    config = SwarmConfig(random_first_pieces=0, max_partial_bytes=2 * PIECE)
    board = Board(availability="11111", open="111  ", config=config)
    assert board.take(4, has="   **", outstanding=1).starved


def test_no_piece_is_opened_beyond_the_memory_limit() -> None:
    config = SwarmConfig(random_first_pieces=0, max_buffered=3 * PIECE)
    board = Board(availability="11111", config=config)
    pick = board.take(99, has="*****")
    assert len(pick.blocks) == 3 * BLOCKS
    assert pick.starved


def test_one_piece_may_be_open_however_large() -> None:
    board = Board(availability="11", config=SwarmConfig(random_first_pieces=0, max_buffered=1))
    assert len(board.take(99, has="**").blocks) == BLOCKS


def test_a_stranded_piece_makes_room() -> None:
    """All memory is in pieces that nobody here can finish: the least finished one is given up."""
    config = SwarmConfig(random_first_pieces=0, max_buffered=3 * PIECE)
    board = Board(availability="111 1".replace(" ", "1"), open="132  ", config=config)
    assert board.pick(8, has="   * ") == "   4 "
    assert 1 not in board.tracker.open
    assert {0, 2, 3} == set(board.tracker.open)
    assert board.picker.wasted == BLOCK_SIZE


def test_a_piece_somebody_works_on_is_not_given_up() -> None:
    config = SwarmConfig(random_first_pieces=0, max_buffered=PIECE)
    board = Board(availability="11", open="b ", config=config)
    pick = board.take(4, has=" *")
    assert (pick.blocks, pick.starved) == ([], True)


# --- parole -------------------------------------------------------------------------------------


def test_on_parole_it_works_alone() -> None:
    board = Board(availability="999", open="2  ")
    assert board.pick(1, has="** ", on_parole=True) == " 1 "
    # Nobody joins it there...
    assert board.pick(9, has="** ", key=2) == "2  "
    # ...and it goes on with its own piece.
    assert board.pick(9, has="** ", on_parole=True) == " 3 "


# --- endgame ------------------------------------------------------------------------------------


def test_endgame_only_when_every_wanted_block_is_asked_for() -> None:
    assert Board(availability="111", open="bb ").pick(4, has="** ") == "   "
    assert Board(availability="111", open="bb1").pick(4, has="** ") == "   "
    assert Board(availability="111", open="bbb").pick(4, has="** ") in {"1  ", " 1 "}
    assert Board(availability="111", open="bb ", wanted="  -").pick(4, has="** ") in {"1  ", " 1 "}


def test_endgame_takes_one_block_by_lot() -> None:
    chosen = {tuple(Board(availability="1", open="b", seed=seed).take(4, has="*").blocks) for seed in range(40)}
    assert chosen == {((0, block),) for block in range(BLOCKS)}


def test_no_endgame_for_a_peer_with_something_to_do() -> None:
    assert Board(availability="1", open="b").pick(4, has="*", outstanding=1) == " "
    assert Board(availability="1", open="b").pick(4, has="*", on_parole=True) == " "


def test_a_block_is_not_asked_twice_of_one_peer() -> None:
    board = Board(availability="1", open="b")
    assert board.pick(4, has="*", key=OTHER) == " "
    blocks = [board.take(1, has="*", key=7).blocks for _ in range(BLOCKS + 1)]
    assert sorted(block for taken in blocks for block in taken) == [(0, block) for block in range(BLOCKS)]
    assert blocks[-1] == []


def test_a_block_has_so_many_copies_at_most() -> None:
    board = Board(availability="1", open="b")
    picked = [board.take(1, has="*", key=key).blocks for key in range(1, 30)]
    copies = [block for taken in picked for block in taken]
    assert max(copies.count((0, block)) for block in range(BLOCKS)) == MAX_COPIES - 1
    assert len(copies) == BLOCKS * (MAX_COPIES - 1)


@pytest.mark.parametrize(("tier", "blocks"), [(Tier.BACKGROUND, 1), (Tier.USER_REQUESTED, 1), (Tier.LOBBY_URGENT, 4)])
def test_a_waiting_lobby_pays_for_speed_with_duplicates(tier: Tier, blocks: int) -> None:
    board = Board(availability="11", open="bb")
    board.picker.tier = tier
    assert len(board.take(8, has="**").blocks) == blocks
