"""Count the votes of a user study: Table 2."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from scipy.stats import binomtest

from piti.cards import Comparison, TallyCard
from piti.report.study.votes import Vote, count
from piti.report.tabular import About, markdown, write
from piti.store.files import InputError, read_json, write_text

NO_VOTES = "no votes yet"


def tally_study(card: TallyCard, output: Path, study: Path, votes: Path | None) -> dict:
    """Write `output` (table.csv), table.tex, long.csv and table.md; return how many votes were rejected, by reason.

    study: the key that make_study wrote. votes: folder of CSV files, exported by the page or by Mechanical Turk.
    Raises InputError where that is no folder. Every rejected row is named on stderr.
    """
    key = read_json(study, "pairs", "left_out")
    if votes and not votes.is_dir():
        raise InputError(f"{votes}: found a file, expected a folder of CSV files")
    accepted, rejected = count(votes, key["pairs"])
    long = pd.DataFrame([_row(card, one, accepted, key["left_out"].get(one.over, "")) for one in card.comparisons])
    paper = "Paper (%)" if long["comparable"].eq("yes").all() else "Paper (%), not comparable"
    wide = long[["opponent", "shown", "interval", "voters", "n", "paper"]].set_axis(
        [f"{card.ours} over", "Preference (%)", "95 % interval", "Voters", "Votes", paper], axis=1
    )
    write_text(output.with_name("long.csv"), long.drop(columns=["opponent", "shown", "interval"]).to_csv(index=False))
    about = About(card.name, card.title, card.preset, card.note, str(len(accepted)))
    head, rows = list(wide.columns), wide.astype(str).to_numpy().tolist()
    write_text(output.with_name("table.md"), markdown(about, head, rows, *_remarks(card, rejected)))
    write(output, about, head, rows)
    return {"rejected": dict(rejected)}


def _row(card: TallyCard, one: Comparison, accepted: Sequence[Vote], left_out: str) -> dict:
    """One comparison: the fraction of votes for Ours in percent, its Wilson interval, or why there is none."""
    votes = [vote for vote in accepted if vote.over == one.over]
    reason = left_out or ("" if votes else NO_VOTES)
    made = {"value": None, "low": None, "high": None, "n": "-", "voters": "-", "shown": reason, "interval": "-"}
    if not reason:
        wins = binomtest(sum(vote.for_ours for vote in votes), len(votes))
        interval = wins.proportion_ci(method="wilson")
        value, low, high = (100 * fraction for fraction in (wins.statistic, interval.low, interval.high))
        voters = len({vote.voter for vote in votes})
        made = {"value": value, "low": low, "high": high, "n": len(votes), "voters": voters}
        made |= {"shown": f"{value:.1f}", "interval": f"{low:.1f} to {high:.1f}"}
    return {
        "row": f"{card.ours} over {one.label}",
        "column": "preference",
        "opponent": one.label,
        "paper": one.paper,
        **made,
        "preset": card.preset,
        "note": card.note,
        "comparable": "yes" if card.comparable and not card.substitution else "no",
        "substitution": card.substitution,
        "card": card.study,
        "reason": reason,
    }


def _remarks(card: TallyCard, rejected: Counter) -> Iterator[str]:
    """What one must know to read the table."""
    refused = ", ".join(f"{number} {reason}" for reason, number in sorted(rejected.items())) or "none"
    yield f"Wilson's interval, every vote on its own; votes rejected: {refused}."
    if card.substitution:
        yield f"Other data than the paper's ({card.substitution})."
