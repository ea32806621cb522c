"""Nothing trains in name only: each diffusion row learns four pairs by heart, and by their conditions.

Measured is the x_start that one step of denoising predicts: where half of the image is noise, and the noisy image
itself stands at 6 dB; and where almost all is, and only the condition can tell the pairs apart. The baselines' own test
is in tests/unit/baselines.
"""

import pytest
import torch
from tests.unit.train import tiny

from piti.diffusion.noise import generator
from piti.train.devices import Place
from piti.train.row import Files, Work, objective, training_batches
from piti.train.run import Run

STEPS = 200
HALF, ALMOST_ALL = 500, 900  # of 1000 timesteps: alpha-bar 0.49 and 0.02 in the squared-cosine schedule
HERE = Place(torch.device("cpu"))
PAIRS = 4


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    return tiny.data(tmp_path_factory.mktemp("four"), PAIRS)


def psnr(picture, target):
    """dB, of pictures in [-1, 1]."""
    return (10 * torch.log10(4 / (picture - target).square().mean())).item()


def denoised(run, batch, timestep, roll=0):
    """PSNR of the x_start that the averaged model predicts; `roll` gives every image another one's condition."""
    x_start, t = batch["image"], torch.full((PAIRS,), timestep)
    diffusion, noise = run.objective.diffusion, torch.randn(x_start.shape, generator=generator("overfit"))
    x_t = diffusion.q_sample(x_start, t, noise)
    condition = batch["condition"].roll(roll, 0)
    inputs = (condition,) if condition.is_floating_point() else (condition, condition != 0)
    low_res = batch["low_res"].roll(roll, 0) if "low_res" in batch else None
    with torch.no_grad():
        output = run.objective.model(x_t, diffusion.network_timesteps(t), *inputs, low_res=low_res)
    return psnr(diffusion.predict_x_start(x_t, t, output[:, :3]).clamp(-1, 1), x_start)


@pytest.mark.parametrize("kind, least", [("prior_base", 18), ("base", 18), ("upsampler", 13)])
def test_learns_four_pairs_by_heart(kind, least, four, tmp_path):
    card = tiny.card(kind, dropout=0.0, batch=PAIRS, steps=STEPS, lr=3e-3, ema_rate=0.9, diffusion_steps=1000)
    files = Files(*tiny.inputs(card, four))
    work = Work(micro_batch=16, workers=0, compile=False, log_every=50, save_every=1000, minutes=0)
    run = Run(objective(card, files, work, HERE), HERE, tmp_path, card.identity, STEPS, card.training.ema_rate)
    batches = training_batches(card, files, HERE)
    batches.flip = False
    untrained = denoised(run, batches[0], HALF)
    for step in range(STEPS):
        run.advance(batches[step])
    run.objective.model.load_state_dict(run.objective.model.state_dict() | run.ema)
    run.objective.model.eval()
    batch = batches[0]
    own, other = denoised(run, batch, ALMOST_ALL), denoised(run, batch, ALMOST_ALL, roll=1)
    assert untrained < 9.5 and denoised(run, batch, HALF) > least
    assert own > other + 0.1  # the noise is the same: were the condition not used, so would these be
