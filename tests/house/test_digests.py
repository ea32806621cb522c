"""A week of GPU time hangs on each digest of the paper preset: none moves unnoticed."""

from tests.house.pin import digests, pinned


def test_digests_of_the_paper_preset():
    before, now = pinned(), digests()
    lost = {name: found for name, found in before.items() if not set(found) <= set(now.get(name, []))}
    assert not lost, "these would be made again; if that is wanted, run `python -m tests.house.pin`"
    assert now == before, "there is more than was pinned: run `python -m tests.house.pin`"
