"""Golden cases of the diffusion process: schedules, single steps, losses, whole loops, guidance, timestep sampling."""

import json
import math
import re

import numpy as np
import torch

from piti.diffusion.bound import (
    discretized_gaussian_log_likelihood,
    mean_flat,
    normal_kl,
    variational_bound,
)
from piti.diffusion.gaussian import GaussianDiffusion
from piti.diffusion.guidance import guide, guided
from piti.diffusion.quantise import truncate_to_8_bit
from piti.diffusion.respacing import kept_steps
from piti.diffusion.samplers import ancestral, ancestral_step, ddim_inversion_step, ddim_step
from piti.diffusion.schedule import SCHEDULES, betas, spaced_betas
from piti.diffusion.timesteps import LossSecondMomentSampler
from piti.store.files import InputError
from piti.train.losses import noise_prediction
from tests.golden.check import Tolerance
from tests.golden.rule import Case, stream


def given(case: Case) -> dict[str, torch.Tensor]:
    return {spec["name"]: torch.from_numpy(case.input(spec["name"])) for spec in case.entry["inputs"]}


def spelled(case: Case, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs under the entry's own spelling: in a name, "10,10,3" may have other separators."""
    letters = {re.sub(r"[\W_]", "", name): name for name in case.entry["outputs"]}
    return {letters.get(re.sub(r"[\W_]", "", name), name): value for name, value in outputs.items()}


def schedules(case: Case) -> dict[str, np.ndarray]:
    out = {}
    for name in SCHEDULES:
        for steps in case.config["steps"]:
            diffusion, original = GaussianDiffusion(name, steps), betas(name, steps)
            out[f"{name}_{steps}_betas"] = original
            out[f"{name}_{steps}_recomputed_betas"] = diffusion.betas.numpy()
            for table in (
                "alphas_cumprod",
                "posterior_variance",
                "posterior_log_variance_clipped",
                "posterior_mean_coef1",
                "posterior_mean_coef2",
            ):
                out[f"{name}_{steps}_{table}"] = getattr(diffusion, table).numpy()
    return out


def respace(case: Case) -> dict[str, np.ndarray]:
    for refused in case.entry.get("rejected", {}):
        steps, respacing = refused.split("|")
        try:
            kept_steps(int(steps), respacing)
        except InputError:
            continue
        raise AssertionError(f"{refused} was not refused")
    out = {}
    for steps, respacing in case.config["specs"]:
        kept = kept_steps(steps, respacing)
        label = f"{steps}_{respacing}"
        out[f"t_{label}"] = np.array(kept)
        for name in SCHEDULES:
            out[f"betas_{name}_{label}"] = spaced_betas(betas(name, steps), kept)
        (model_t,) = spelled(case, {f"model_t_{label}": None})
        t = torch.tensor(json.loads(re.search(r"\[.*?\]", case.entry["outputs"][model_t]["what"])[0]))
        out[model_t] = GaussianDiffusion("linear", steps, respacing).network_timesteps(t).numpy()
    return spelled(case, out)


def steps(case: Case) -> dict[str, np.ndarray]:
    x = given(case)
    x_t, model_out, noise = x["x_t"], x["model_out"], x["step_noise"]
    out = {}
    for schedule, respacing, indices in case.config["combos"]:
        diffusion = GaussianDiffusion(schedule, case.config["steps"], respacing)
        t = torch.tensor(indices)
        values = {
            "q_sample": diffusion.q_sample(x["x0"], t, x["noise"]),
            "model_t": diffusion.network_timesteps(t),
            "ancestral": ancestral_step(diffusion, model_out, x_t, t, noise),
            "ddim_reverse": ddim_inversion_step(diffusion, model_out, x_t, t),
            "ddim_reverse_noclip": ddim_inversion_step(diffusion, model_out, x_t, t, clip=False),
            # networks that do not learn their variance are held to one of the two ends of the learned range
            "fixed_large_logvar": torch.where(
                t == 0, diffusion.posterior_log_variance_clipped[t], diffusion.log_betas[t]
            ),
            "fixed_small_logvar": diffusion.posterior_log_variance_clipped[t],
        }
        for word, clip in (("clip", True), ("noclip", False)):
            p = diffusion.p_mean_variance(model_out, x_t, t, clip)
            values[f"pmv_{word}_mean"], values[f"pmv_{word}_log_variance"] = p.mean, p.log_variance
            values[f"pmv_{word}_variance"], values[f"pmv_{word}_pred_xstart"] = p.log_variance.exp(), p.x_start
            if clip:
                values["eps_from_clipped_x0"] = diffusion.predict_epsilon(x_t, t, p.x_start)
        for name in case.entry["outputs"]:
            if found := re.search(r"ddim_(noclip_)?eta([\d.]+)$", name):
                eta, clip = float(found[2]), not found[1]
                values[found[0]] = ddim_step(diffusion, model_out, x_t, t, noise, eta, clip)
        out |= {f"{schedule}_{respacing or 'all'}_{name}": value.numpy() for name, value in values.items()}
    return spelled(case, out)


def losses(case: Case) -> dict[str, np.ndarray]:
    x = given(case)
    out = {
        "discretized_ll": discretized_gaussian_log_likelihood(x["x0"], x["ll_means"], x["ll_log_scales"]),
        "normal_kl": normal_kl(x["x0"], x["ll_log_scales"], x["ll_means"], x["ll_log_scales"] / 2),
    }
    for schedule, respacing, indices in case.config["combos"]:
        diffusion = GaussianDiffusion(schedule, case.config["steps"], respacing)
        t, label = torch.tensor(indices), f"{schedule}_{respacing or 'all'}"
        model_out = x["model_out"].clone().requires_grad_()
        x_t = diffusion.q_sample(x["x0"], t, x["noise"])
        network = lambda *_, low_res, answer=model_out: answer  # noqa: E731
        terms, predicted = noise_prediction(network, diffusion, x["x0"], (), t, x["noise"])
        mse, plain_vb = terms["mse"], terms["vb"] * (1000 / diffusion.num_timesteps)
        for word, vb in (("rescaled", terms["vb"]), ("plain", plain_vb)):
            total = mse + vb
            (gradient,) = torch.autograd.grad(total.mean(), model_out, retain_graph=True)
            out |= {f"{label}_{word}_mse": mse, f"{label}_{word}_vb": vb}
            out |= {f"{label}_{word}_loss": total, f"{label}_{word}_grad_model_out": gradient}
        out[f"{label}_x0hat"] = predicted.clamp(-1, 1)
        bound = variational_bound(diffusion, model_out, x["x0"], x_t, t)
        out[f"{label}_kl_loss"] = bound * diffusion.num_timesteps
        last = diffusion.alphas_cumprod[-1]
        prior = normal_kl(last.sqrt() * x["x0"], (1 - last).log(), torch.tensor(0.0), torch.tensor(0.0))
        out[f"{label}_prior_bpd"] = mean_flat(prior) / math.log(2)
    return spelled(case, {name: value.detach().numpy() for name, value in out.items()})


def loss_second_moment(case: Case) -> dict[str, np.ndarray]:
    n, history = case.config["num_timesteps"], case.config["history_per_term"]
    sampler = LossSecondMomentSampler(n, history, case.config["uniform_prob"])
    a, b, modulus, plus, divisor = (
        int(number)
        for number in re.search(r"\((\d+)t\+(\d+)k\) mod (\d+) \+ (\d+)\)/(\d+)", case.entry["script"]).groups()
    )
    warm = [(t, ((a * t + b * k) % modulus + plus) / divisor) for k in range(history) for t in range(n)]
    late_t, late_losses = (
        json.loads(text) for text in re.search(r"t=(\[.*?\]) losses=(\[.*?\])", case.entry["script"]).groups()
    )
    out = {"w_initial": sampler.weights()}
    for pairs in (warm[:-1], warm[-1:]):
        t, values = zip(*pairs, strict=True)
        sampler.update(torch.tensor(t), torch.tensor(values, dtype=torch.float64))
        out["w_almost_warm" if len(pairs) > 1 else "w_warm"] = sampler.weights()
    sampler.update(torch.tensor(late_t), torch.tensor(late_losses, dtype=torch.float64))
    out |= {"w_shifted": sampler.weights(), "importance": sampler.importance()}
    return {name: value.numpy() for name, value in out.items()}


def sampling_loop(case: Case) -> dict[str, np.ndarray]:
    """The entry's stub network; both halves of its doubled batch share the noise of the first half."""
    x, config = given(case), case.config
    batch = len(x["ref"])

    def stub(condition, low_res=None):
        r = condition.mean(dim=(1, 2, 3))[:, None, None, None]

        def denoiser(images, timesteps):
            epsilon = 0.6 * images + 0.3 * torch.sin(timesteps / 50)[:, None, None, None] + 0.4 * r
            if low_res is not None:
                epsilon = epsilon - 0.2 * low_res
            return torch.cat([epsilon, torch.tanh(0.5 * images + r)], dim=1)

        return denoiser

    def draws(kind, count):
        seeds, shapes = case.entry["noise_seed_strings"], case.entry["noise_seed_strings"][f"{kind}_shapes"]
        name = seeds[f"{kind}_first"].rpartition(".")[0]
        first, later = (
            lambda k, shape=shape: torch.from_numpy(stream(f"{name}.{k}", shape)[:batch]).float() for shape in shapes
        )
        return first(0), lambda i: later(count - i)

    def process(kind):
        return GaussianDiffusion(config[f"{kind}_schedule"], config["steps"], config["timestep_respacing"])

    both = torch.cat([x["ref"], torch.ones_like(x["ref"])])
    diffusion = process("base")
    start, noise = draws("base", diffusion.num_timesteps)
    denoiser = guided(stub(both), config["guidance_scale"] - 1, "none")
    base = ancestral(denoiser, diffusion, start, noise, config["clip_denoised"])

    diffusion = process("up")
    start, noise = draws("up", diffusion.num_timesteps)
    start = start * config["upsample_temp"]
    up = ancestral(stub(x["ref"], x["low_res"]), diffusion, start, noise, config["clip_denoised"])
    return {"base_sample": base.numpy(), "base_quantised": truncate_to_8_bit(base).numpy(), "up_sample": up.numpy()}


def sampling_loop_tolerance(case: Case, output: str) -> Tolerance | None:
    """A value on the boundary between two levels may fall to either side."""
    return Tolerance(rel=1e-6, share=0.01) if output == "base_quantised" else None


def normalised_guidance(case: Case) -> dict[str, np.ndarray]:
    cond, null = (torch.from_numpy(case.input(name)).double() for name in ("eps_cond", "eps_null"))
    out = {}
    for name in case.entry["outputs"]:
        w, statistics = re.fullmatch(r"w([\d.]+)_(\w+)", name).groups()
        out[name] = guide(cond, null, float(w), statistics.replace("guided", "none")).numpy()
    return out


CASES = {
    "diffusion_schedules": schedules,
    "diffusion_respace": respace,
    "diffusion_steps": steps,
    "diffusion_losses": losses,
    "loss_second_moment": loss_second_moment,
    "sampling_loop": sampling_loop,
    "normalised_guidance": normalised_guidance,
}
TOLERANCES = {"sampling_loop": sampling_loop_tolerance}
