"""Convert published weights into safetensors under our names, without ever running code out of them."""

from pathlib import Path

from piti.cards import WeightsCard
from piti.command import step
from piti.files import InputError, atomic, file_digest


def run(card: WeightsCard, output: Path, source: list[Path]) -> None:
    from safetensors.torch import save_file

    from piti.networks.pretrained import convert

    if card.digest:
        algorithm, _, expected = card.digest.partition(":")
        if (found := file_digest(source[0], algorithm)) != expected:
            raise InputError(f"{source[0]}: {algorithm}: found {found}, expected {expected}")
    tensors = convert(source[0], card.format)
    with atomic(output) as temporary:
        save_file(tensors, temporary, {"format": card.format, "licence": card.licence})


if __name__ == "__main__":
    step(__spec__.name, __doc__, WeightsCard, run, inputs=["source"])
