"""The network that onnxruntime runs, without torch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError

Float32 = NDArray[np.float32]


def build_speech_embedding(path: Path, *, threads: int) -> Callable[[Float32], Float32]:
    """`(windows, 76, 32)` to `(windows, 96)`: Google's speech_embedding (Lin et al. 2020), as openWakeWord published it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class in common
        raise LearnError(
            f"the weights {path} cannot be read ({' '.join(str(error).split())[:200]}); install their package again"
        ) from error
    name = session.get_inputs()[0].name
    return lambda views: np.asarray(session.run(None, {name: views[..., None]})[0], np.float32).reshape(len(views), -1)
