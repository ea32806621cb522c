"""One optimizer step on a batch of which micro-batches and processes each see a part.

A loss says what its part adds to the loss of the whole batch. So parts of any size, here or in another process, add up
to the same gradient: it is that of the whole batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from piti.devices import Place, autocast
from piti.train.losses import Terms

Part = dict  # name -> tensor, images first; a loss may leave in it what is wanted later
Loss = Callable[[Part], tuple[Tensor, Terms]]  # what the part adds to the loss of the batch, and to the curve's terms


@dataclass(frozen=True)
class Accumulator:
    """Where the parts are computed, how many images each has at most, and in which precision."""

    place: Place
    micro_batch: int
    precision: str

    def count(self, images: int) -> int:
        """How many parts so many images of this process are.

        They are as even as can be: a last one with what is left over, a single image perhaps, would have batch
        statistics of its own.
        """
        return -(-images // self.micro_batch)

    def parts(self, tensors: dict[str, Tensor]) -> list[Part]:
        """This process's images, and what goes with each of them, as micro-batches on the device."""
        count = self.count(len(next(iter(tensors.values()))))
        split = {name: self.place.sent(tensor).tensor_split(count) for name, tensor in tensors.items()}
        return [dict(zip(split, values, strict=True)) for values in zip(*split.values(), strict=True)]

    def step(self, optimizer: torch.optim.Optimizer, parts: list[Part], loss: Loss, norm: bool = False) -> Terms:
        """One step on the gradient of the whole batch. Returns its terms, detached; with `norm`, the "gradient"'s too.

        Only the optimizer's own parameters get gradients, whatever else the loss depends on.
        """
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        terms: Terms = {}
        with autocast(self.place.device, self.precision):  # around all parts, so that it casts each weight once
            for part in parts:
                added, found = loss(part)
                with torch.autocast(self.place.device.type, enabled=False):
                    added.backward(inputs=parameters)
                for name, value in found.items():
                    terms[name] = terms.get(name, 0) + value.detach()
        grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
        self.place.all_reduce([*grads, *terms.values()])
        if norm:
            terms["gradient"] = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return terms
