"""What `make test-gpu` concludes from what it has heard."""

from types import SimpleNamespace

import pytest
from tests.gpu.verdict import switches


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        (set(), ["no convolution or product was heard"]),
        ({(True, True, True)}, []),
        ({(True, True, True), (True, False, True)}, ["TF32 in convolutions is off"]),
    ],
)
def test_silence_is_a_problem(heard, said):
    assert switches(SimpleNamespace(switches=heard)) == said
