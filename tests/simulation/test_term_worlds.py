"""Planted truth: what lies outside is found, and decoys are left alone once a second settlement must confirm."""

from __future__ import annotations

import numpy as np

from oneprice.study.term_worlds import DECOYS, replay_world, score, summed, table, world_of


def test_precision_and_recall_against_truth() -> None:
    """Two settlements in a row find most of what is planted and little else; one falls for decoys."""
    found = table(3)
    once, twice, thrice = found[1], found[2], found[3]
    assert once.recall >= 0.95 and once.precision < 0.65
    assert twice.recall >= 0.85 and twice.precision >= 0.75
    assert thrice.recall >= 0.6 and thrice.precision >= 0.95
    assert once.wrong["stale settle"] > 0 and once.wrong["multiplier"] > 0, "the decoys do look like violations"
    for kind in ("roll", "ex-dividend", "holiday", "multiplier"):
        assert twice.wrong[kind] == 0 and twice.decoys[kind] > 0
    assert twice.wrong["other"] == 0


def test_worlds_without_violations_find_nothing() -> None:
    """No violation in the strip: what is opened there is no detection, and the score says so."""
    world = world_of(11, violations=0, decoys=3)
    run, trades = replay_world(world, 2)
    strip = [t for t in trades if t.legs[0].startswith("futures:XX")]
    got = score(world, trades)
    assert got.planted == 2 and got.found == 2, "those of the stock"
    assert sum(got.wrong.values()) == len(strip) <= 3
    assert run.closes() == 0


def test_scores_add_up_and_worlds_follow_their_seed() -> None:
    """The same seed is the same world; precision and recall are those of the sums."""
    one, two = world_of(5), world_of(5)
    assert np.array_equal(one.panels[0].price, two.panels[0].price, equal_nan=True) and one.truth == two.truth
    assert not np.array_equal(one.panels[0].price, world_of(6).panels[0].price, equal_nan=True)
    assert set(one.decoys) == set(DECOYS)
    _, trades = replay_world(one, 2)
    s = score(one, trades)
    both = summed([s, s])
    assert (both.precision, both.recall) == (s.precision, s.recall)
    assert both.right == 2 * s.right
