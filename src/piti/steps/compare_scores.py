"""Compare scores pair by pair: which of the paper's claims hold."""

from pathlib import Path

from piti.cards import ClaimsCard
from piti.run.command import step


@step(leg="claims", makes="claims.json", local=True, hands_on_failure=False)
def run(card: ClaimsCard, output: Path, better: list[Path] = (), than: list[Path] = ()) -> None:
    from piti.evaluate.claims import check_claims

    check_claims(card, output, better, than)
