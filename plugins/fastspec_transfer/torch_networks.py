"""The networks that torch runs, written anew for inference from what was published about them. torch is imported when one is built."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError

Float32 = NDArray[np.float32]

# Stages of EfficientNet-lite0 (Tan and Le 2019, without squeeze and excitation): expansion, channels, repeats, stride, kernel.
_STAGES = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))


def build_aisfx(path: Path, *, threads: int) -> Callable[[Float32], Float32]:
    """`(windows, 100, 96)` to `(windows, 512)`: pairs of convolutions, their mean over bands, its maximum over time (Ma and Lerch 2022)."""
    from torch import nn

    layers: list[Any] = []
    parts = nn.ModuleList()
    for before, after in ((1, 64), (64, 128), (128, 256), (256, 512)):
        convolutions = [nn.Conv2d(size, after, 3, padding=1, bias=False) for size in (before, after)]
        norms = [nn.BatchNorm2d(after) for _ in range(2)]
        parts.extend([*convolutions, *norms])
        layers += [convolutions[0], norms[0], nn.ReLU(), convolutions[1], norms[1], nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if after < 512 else []
    network = nn.Sequential(*layers)
    weights = _read(path, allowed=_numpy_scalars())[0]
    _fill(parts, {name: tensor for name, tensor in weights.items() if name.startswith("embedding_net.")}, path)
    return _runner(network.eval(), lambda views: network(views.unsqueeze(1)).mean(dim=3).amax(dim=2), threads)


def build_resemblyzer(path: Path, *, threads: int) -> Callable[[Float32], Float32]:
    """`(windows, 160, 40)` to `(windows, 256)` of length 1: what three LSTM layers end with, projected and rectified (Wan et al. 2018)."""
    from torch import nn

    network = nn.ModuleDict({"lstm": nn.LSTM(40, 256, 3, batch_first=True), "linear": nn.Linear(256, 256)})
    weights = _read(path)["model_state"]
    _fill(network, {name: tensor for name, tensor in weights.items() if name.startswith(("lstm.", "linear."))}, path)

    def embed(views: Any) -> Any:
        projected = network["linear"](network["lstm"](views)[1][0][-1]).relu()
        return nn.functional.normalize(projected, dim=1)

    return _runner(network.eval(), embed, threads)


def build_efficientnet_lite0(path: Path, *, threads: int) -> Callable[[Float32], Float32]:
    """`(pictures, 3, 224, 224)` of -1 … 1 to `(pictures, 1280)`: the last layer before the classes of ImageNet."""
    from torch import nn

    channels, blocks = 32, []
    for expansion, after, repeats, stride, kernel in _STAGES:
        for repeat in range(repeats):
            blocks.append(_inverted_residual(channels, after, expansion=expansion, stride=1 if repeat else stride, kernel=kernel))
            channels = after
    stem, head = _convolution(3, 32, kernel=3, stride=2), _convolution(channels, 1280)
    network = nn.ModuleList([stem, *(block for block, _ in blocks), head])
    weights = _read(path)
    _fill(network, {name: tensor for name, tensor in weights.items() if not name.startswith("_fc.")}, path)

    def embed(views: Any) -> Any:
        values = stem(views)
        for block, skips in blocks:
            values = values + block(values) if skips else block(values)
        return head(values).mean(dim=(2, 3))

    return _runner(network.eval(), embed, threads)


def _inverted_residual(before: int, after: int, *, expansion: int, stride: int, kernel: int) -> tuple[Any, bool]:
    """A block, and whether its input is added to its output."""
    from torch import nn

    wide = before * expansion
    widen = [_convolution(before, wide)] if expansion > 1 else []
    block = nn.Sequential(
        *widen, _convolution(wide, wide, kernel=kernel, stride=stride, groups=wide), _convolution(wide, after, clip=False)
    )
    return block, stride == 1 and before == after


def _convolution(before: int, after: int, *, kernel: int = 1, stride: int = 1, groups: int = 1, clip: bool = True) -> Any:
    """A convolution that keeps an even size or halves it, TensorFlow's padding around it, with its norm and rectifier."""
    from torch import nn

    first, last = (kernel - stride) // 2, (kernel - stride + 1) // 2
    convolution = nn.Conv2d(before, after, kernel, stride=stride, groups=groups, bias=False)
    layers = [nn.ZeroPad2d((first, last, first, last)), convolution, nn.BatchNorm2d(after, eps=1e-3)]
    return nn.Sequential(*layers, *([nn.ReLU6()] if clip else []))


def _read(path: Path, *, allowed: Sequence[Any] = ()) -> Any:
    """What a file of weights holds: tensors and plain values, nothing that could be executed."""
    import torch

    try:
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its parsers do
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise LearnError(f"the weights {path} cannot be read ({reason}); install their package again") from error


def _numpy_scalars() -> list[Any]:
    """The types of NumPy's numbers, under the names that an older NumPy gave them."""
    return [(np._core.multiarray.scalar, "numpy.core.multiarray.scalar"), np.dtype, type(np.dtype(np.int64))]  # type: ignore[attr-defined]


def _fill(network: Any, tensors: Mapping[str, Any], path: Path) -> None:
    """Put tensors into a network by their order, which is that of the layers; each must have the shape of its place."""
    places = network.state_dict()
    if [tuple(tensor.shape) for tensor in tensors.values()] != [tuple(place.shape) for place in places.values()]:
        raise LearnError(f"the weights {path} are not those of the network that is known; install the version that README names")
    network.load_state_dict(dict(zip(places, tensors.values(), strict=True)))


def _runner(network: Any, embed: Callable[[Any], Any], threads: int) -> Callable[[Float32], Float32]:
    import torch

    def run(views: Float32) -> Float32:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with torch.inference_mode():
                return np.asarray(embed(torch.from_numpy(views)).numpy(), np.float32)
        finally:
            torch.set_num_threads(before)

    network.requires_grad_(False)
    return run
