"""The objective of diffusion rows: what is trained, and what the network sees."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.unit.train import tiny

from piti.data.shards import Shards, write
from piti.datasets.colours import colour_map
from piti.devices import Place
from piti.networks.unet import UNet
from piti.store import checkpoint
from piti.store.files import InputError
from piti.train.batches import Files, training_batches
from piti.train.diffusion import DiffusionObjective
from piti.train.initial import initial_model, vgg

HERE = Place(torch.device("cpu"))


def objective(card, init=None):
    """The objective as a row builds it."""
    return DiffusionObjective(card, initial_model(card, init), HERE, micro_batch=16)


def batches(card, shards):
    """The batches as a row builds them."""
    return training_batches(card, Files(*tiny.inputs(card, shards)), HERE)


def test_draws_go_on_along_a_chain_of_trainings(shards):
    """Noise, timesteps and dropout masks of stage 2 are not those of stage 1 again."""
    alone, after = objective(tiny.card()), objective(replace(tiny.card(), steps_before=3))
    drawn = [alone._drawn((3, 8, 8), 7), after._drawn((3, 8, 8), 7)]
    assert torch.equal(drawn[0]["noise"], drawn[1]["noise"])  # `update` says where along the chain a step is
    batch, seen = batches(tiny.card(), shards)[0], []
    for one in (alone, after):
        one._drawn = lambda shape, step, one=one: seen.append(step) or DiffusionObjective._drawn(one, shape, step)
        one.update(batch, 4)
    assert seen == [4, 7]


# -- frozen ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def prior(tmp_path):
    """The file of a pretrained decoder."""
    path = tmp_path / "prior.safetensors"
    save_file(tiny.stirred(UNet(tiny.UNET)), path)
    return path


def test_a_frozen_decoder_stays_as_it_came_and_only_the_encoder_learns(shards, tmp_path, prior):
    card = tiny.card(trainable="encoder", steps=3)
    before = initial_model(card, prior).state_dict()
    after = load_file(tiny.train(tmp_path, card, shards, prior))
    for name, tensor in before.items():
        silent = name.startswith("encoder.cnn.conv") and name.endswith(".bias")  # before an instance norm
        assert torch.equal(tensor, after[name]) == name.startswith("decoder.") or silent, name
    (path,) = tmp_path.glob("checkpoint-*/checkpoint.safetensors")
    groups, _ = checkpoint.load(path)
    kept = [name for tensors in groups.values() for name in tensors]
    assert any("encoder.cnn.conv1.weight" in name for name in kept)
    assert not any("decoder." in name for name in kept)  # neither weights, nor their EMA, nor moments


def test_a_frozen_decoder_has_no_gradients_but_passes_them_on(shards, prior):
    card = tiny.card(trainable="encoder")
    training = objective(card, prior)
    seen = []
    training.optimizers["model"].register_step_pre_hook(
        lambda *_: seen.append({n: p.grad is not None for n, p in training.model.named_parameters()})
    )
    training.update(batches(card, shards)[0], 0)
    assert seen == [{name: name.startswith("encoder.") for name, _ in training.model.named_parameters()}]


def test_the_dropout_of_a_frozen_decoder_stays_on(shards, prior):
    card = tiny.card(trainable="encoder", dropout=0.3)
    model, batch = objective(card, prior).model, batches(card, shards)[0]
    t = torch.full((len(batch["image"]),), 500.0)
    first, second = (model(batch["image"], t, batch["condition"]) for _ in range(2))
    assert not torch.equal(first, second)
    model.eval()
    first, second = (model(batch["image"], t, batch["condition"]) for _ in range(2))
    assert torch.equal(first, second)


# -- what the network sees -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["base", "prior_base"])
def test_dropped_conditions_reach_the_network_as_the_null_condition(shards, kind):
    card = tiny.card(kind, condition_dropout=0.3, batch=12, diffusion_steps=4)
    training, data, seen = objective(card), batches(card, shards), []
    training.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[2:]))
    for step in range(6):
        training.update(data[step], step)
    if kind == "base":
        null = [(condition == 1).flatten(1).all(1) for (condition,) in seen]
    else:
        null = [(tokens == 0).all(1) & ~mask.any(1) for tokens, mask in seen]
        assert all(torch.equal(mask, tokens != 0) for tokens, mask in seen)
    assert 10 <= torch.cat(null).sum() <= 34  # 21.6 expected of 72, standard deviation 3.9
    whole = batches(replace(card, training=replace(card.training, condition_dropout=0.0)), shards)
    for step, (dropped, (condition, *_)) in enumerate(zip(null, seen, strict=True)):
        assert torch.equal(condition[~dropped], whole[step]["condition"][~dropped])


def test_a_model_is_trained_with_void_in_the_colour_of_its_card(shards, tmp_path):
    ids = Shards(shards["small"]).ids
    labels = np.random.default_rng(0).integers(0, 3, (len(ids), tiny.SIDE, tiny.SIDE), np.uint8)
    stored = write(tmp_path, "mask", ids, lambda wanted: labels[[ids.index(i) for i in wanted]], 7, tiny.SIDE)
    seen = [batches(tiny.card(void=void), shards | {"mask": stored})[0]["condition"] for void in (0, 183)]
    black, last = (torch.from_numpy(colour_map(184)[void] / 127.5 - 1).float().view(3, 1, 1) for void in (0, 183))
    void = (seen[0] == black).all(1, keepdim=True)
    assert 0.2 < void.float().mean() < 0.45
    torch.testing.assert_close(seen[1], torch.where(void, last, seen[0]))


def test_the_network_sees_the_noisy_image_at_its_timestep(shards):
    """x_t = sqrt(abar) x_start + sqrt(1 - abar) noise, with noise that is standard normal and new at every step."""
    card = tiny.card(batch=12)
    training, data, seen = objective(card), batches(card, shards), []
    training.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[:2]))
    noises = []
    for step in range(4):
        batch = data[step]
        training.update(batch, step)
        x_t, timesteps = seen[-1]
        abar = training.diffusion.alphas_cumprod[(timesteps / 10).round().long()].float().view(-1, 1, 1, 1)
        noises.append((x_t - abar.sqrt() * batch["image"]) / (1 - abar).sqrt())
    noise = torch.stack(noises)
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02  # 36,864 numbers: standard errors 0.005 and 0.004
    assert len(noise.flatten(0, 1)[:, 0, 0, 0].unique()) == 48


def test_the_terms_of_the_curve_add_up_to_what_is_learnt(shards):
    """Also where timesteps are drawn unevenly: importance weights undo it in the loss, and so in the curve."""
    card = tiny.card(batch=12, timestep_sampler="loss_second_moment")
    training, batch, learnt = objective(card), batches(card, shards)[0], []
    training.timesteps.counts += 10  # as many losses as it wants of every timestep
    training.timesteps.losses[:-1] = torch.linspace(1, 9, 100)[:, None]  # the last timesteps nine times as often
    own = training._loss
    training._loss = lambda part, step: learnt.append(own(part, step)) or learnt[-1]
    terms = training.update(batch, 0)
    ((loss, _),) = learnt
    torch.testing.assert_close(terms["mse"] + terms["vb"], loss.detach())


def test_weights_of_no_vgg_are_refused_in_one_line(tmp_path):
    card = replace(tiny.card("upsampler", perceptual="conv2_2"), perceptual_format="hed_keras_h5")
    with pytest.raises(InputError, match="format of weights: unknown key 'hed_keras_h5'; nearest"):
        vgg(card, tmp_path / "vgg.safetensors")
