"""What planning costs, counted in calls of functions and not in seconds: thousands of artefacts plan as hundreds do."""

import contextlib
import cProfile
import pstats
from collections import Counter
from pathlib import Path

from tests.unit.test_check import flickr, photographs
from tests.unit.test_check import plan as smoke

from piti.cards import base
from piti.cli import plan as command
from piti.cli.check import said_at_start
from piti.cli.drift import drifts
from piti.config import load
from piti.data import packing
from piti.plan import resolve
from piti.plan.copies import copies
from piti.plan.cost import Costs

CONFIG = Path(__file__).parents[2] / "config"
CALLS = 2_500  # for each artefact, of everything that `piti plan` prints


def everything(seeds: int) -> int:
    """Everything that `piti plan` prints, of so many seeds; the number of artefacts."""
    plan, tables, figures = resolve(load({"seeds": list(range(seeds))}, CONFIG))
    shown = copies(plan, tables, figures)
    ends = [target.path for target in (tables | figures).values()]
    costs = Costs(plan, "A100-80")
    assert costs.ahead
    wanted, todo = costs.chain(ends), costs.todo(ends)
    parts = [command.jobs(wanted, todo, shown, "all"), command.hours(costs, tables | figures, tables, ends)]
    parts += [command.works(costs, wanted), command.hosts(costs, wanted), command.disk(costs, wanted)]
    for part in (*parts, command.highest(costs, wanted, todo), command.missing(costs, tables, todo)):
        assert list(part)
    return len(plan.artefacts)


def calls(seeds: int) -> tuple[int, int]:
    """Artefacts, and calls of functions that it took to plan them."""
    profile = cProfile.Profile()
    made = profile.runcall(everything, seeds)
    return made, pstats.Stats(profile).total_calls


def test_work_grows_with_the_artefacts_and_no_faster():
    everything(1)  # what is read once
    (few, first), (more, second), (most, third) = calls(1), calls(2), calls(3)
    assert (third - second) / (most - more) < 1.1 * (second - first) / (more - few)
    assert (third - second) / (most - more) < CALLS


def test_no_card_is_digested_again_for_another_question(monkeypatch):
    asked, digest = Counter(), base.to_dict

    def counting(card, *rest, **named):
        asked[id(card)] += named.get("whole") is False and isinstance(card, base.Card)
        return digest(card, *rest, **named)

    plan, tables, figures = resolve(load({}, CONFIG))
    costs, ends = Costs(plan, "A100-80"), [target.path for target in (tables | figures).values()]
    command_parts = [lambda: list(command.hours(costs, tables, tables, ends))]
    command_parts.append(lambda: list(command.works(costs, costs.chain(ends))))
    command_parts.append(lambda: list(map(costs.hours, costs.by_path.values())))
    for part in command_parts:
        part()
    monkeypatch.setattr(base, "to_dict", counting)
    for part in command_parts:
        part()
    [artefact.digest for artefact in plan.artefacts.values()]
    assert not asked.total()


def test_a_folder_of_the_users_own_is_looked_through_once(tmp_path, monkeypatch):
    seen, survey = Counter(), packing.survey

    def counting(card, root):
        seen[card.dataset, card.split] += 1
        return survey(card, root)

    monkeypatch.setattr(packing, "survey", counting)
    for root in (photographs(tmp_path / "whole", 20), tmp_path / "nowhere"):
        plan = smoke(datasets=flickr(root, train=10, test=10))
        for artefact in plan.artefacts.values():  # as if all had been packed
            if artefact.given and artefact.step == "pack":
                about = Path(artefact.path)
                monkeypatch.chdir(tmp_path)
                about.parent.mkdir(parents=True, exist_ok=True)
                for name in ("index.json", "shard-00000.h5", "shard-00000.sources.json"):
                    about.with_name(name).write_text("{}")
        list(drifts(plan))
        with contextlib.suppress(SystemExit):
            said_at_start(plan, Costs(plan))
        assert set(seen.values()) == {1}, seen
        assert set(seen) == {("flickr", "train"), ("flickr", "test")}
        seen.clear()
