"""Stacking: several networks of one shape computed as one, each with its own weights, clips and random numbers.

What one of these small networks leaves a GPU to do is little beside what starting each operation costs. So the networks
of a config's seeds become the groups of one network: convolutions with as many groups, products in as many batches,
batch norm channel by channel as ever. Each gets the gradients that it would get alone, to rounding.
"""

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from wavetag import frontends, networks


def stacks(network: networks.Tagger) -> bool:
    """Whether networks like this one can be stacked: of the paper's trunk, behind a strided convolution or what has
    nothing to learn."""
    return network.is_trunk and (not network.frontend.learns or type(network.frontend) is frontends.Raw)


class Stack:
    """Several networks as one, from when it is made until ``write_back``.

    Args:
        members: networks of one shape, on one device, in training mode. Their dropout draws from their own generators.
    """

    def __init__(self, members: Sequence[networks.Tagger]):
        self.members = members
        self.network = copy.deepcopy(members[0])
        for name, parameter in list(self.network.named_parameters()):
            folder, _, last = name.rpartition(".")
            joined = torch.cat([member.get_parameter(name).detach() for member in members])
            setattr(self.network.get_submodule(folder), last, nn.Parameter(joined, parameter.requires_grad))
        for norms in self._norms():
            for name in ("running_mean", "running_var"):
                setattr(norms[-1], name, torch.cat([getattr(norm, name) for norm in norms[:-1]]))

    def _norms(self) -> Iterator[list[nn.Module]]:
        """Each batch norm of the members, and at the end the one that stands for them here."""
        for name, module in self.network.named_modules():
            if isinstance(module, _BatchNorm):
                yield [*(member.get_submodule(name) for member in self.members), module]

    @torch.no_grad()
    def write_back(self) -> None:
        """Give each member the weights and the statistics that are its own."""
        groups = len(self.members)
        for name, parameter in self.network.named_parameters():
            for member, own in zip(self.members, parameter.chunk(groups), strict=True):
                member.get_parameter(name).copy_(own)
        for *norms, joined in self._norms():
            for name in ("running_mean", "running_var"):
                for norm, own in zip(norms, getattr(joined, name).chunk(groups), strict=True):
                    getattr(norm, name).copy_(own)
            for norm in norms:
                norm.num_batches_tracked.copy_(joined.num_batches_tracked)

    def learned(self, scaled: Sequence[torch.Tensor]) -> torch.Tensor:
        """What the trunk sees where the front end learns.

        Args:
            scaled: each member's windows, [clips, windows, samples], as ``networks.Tagger.scaled`` gives them.

        Returns:
            [clips, windows, members x channels, frames].
        """
        clips, windows = scaled[0].shape[:2]
        samples = torch.stack([own.flatten(0, 1) for own in scaled])
        found = self.network.frontend.of_groups(samples)  # [members, clips x windows, channels, frames]
        by_frame = found.permute(1, 3, 0, 2).flatten(2)  # a frame's channels side by side, as the trunk wants them
        return by_frame.transpose(1, 2).unflatten(0, (clips, windows))

    @staticmethod
    def fixed(fronts: Sequence[torch.Tensor]) -> torch.Tensor:
        """The same of front ends with nothing to learn: of each what it makes, [clips, windows, channels, frames]."""
        return torch.cat([own.transpose(-1, -2) for own in fronts], dim=-1).transpose(-1, -2)

    def tag(self, front: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """Tag probabilities, each member's of its own clips.

        Args:
            front: [clips, windows, members x channels, frames], whose type the products are taken in.
            windows: int [members, clips], how many windows of each clip are not wholly padding.

        Returns:
            [members, clips, tags]; with ``window_loss`` [members, clips, windows, tags].
        """
        network, trunk, groups = self.network, self.network.trunk, len(self.members)
        clips, of_clip = front.shape[:2]
        x = trunk.convolved(front.flatten(0, 1), groups)
        x = x.flatten(1).unflatten(1, (groups, -1)).transpose(0, 1)  # [members, clips x windows, filters x frames]
        dense, bias = trunk.dense.weight.unflatten(0, (groups, -1)), trunk.dense.bias.unflatten(0, (groups, 1, -1))
        x = torch.relu((x @ dense.to(x.dtype).mT + bias.to(x.dtype)).to(dense.dtype))
        x = trunk.norm_dense(x.transpose(0, 1).flatten(1)).unflatten(1, (groups, -1)).transpose(0, 1)
        x = torch.stack([member.trunk.dropout(own) for member, own in zip(self.members, x, strict=True)])
        features = x.unflatten(1, (clips, of_clip))
        weight = network.classifier.weight.unflatten(0, (groups, -1))
        bias = network.classifier.bias.unflatten(0, (groups, 1, -1))
        flat = windows.flatten()
        if network.pool == "features":
            pooled = networks.mean_over_windows(features.flatten(0, 1), flat).unflatten(0, (groups, clips))
            return torch.sigmoid(pooled @ weight.mT + bias)
        predictions = torch.sigmoid(features @ weight.mT.unsqueeze(1) + bias.unsqueeze(1))
        if network.pool == "window_loss":
            return predictions
        return networks.mean_over_windows(predictions.flatten(0, 1), flat).unflatten(0, (groups, clips))
