"""Compare scores pair by pair: which of the paper's claims hold."""

from pathlib import Path

from piti.cards import ClaimsCard
from piti.run.command import step


def run(card: ClaimsCard, output: Path, better: list[Path], than: list[Path]) -> None:
    from piti.evaluate.claims import check_claims

    check_claims(card, output, better, than)


if __name__ == "__main__":
    step(__spec__.name, __doc__, ClaimsCard, run, optional=["better", "than"], hands_on_failure=False)
