"""Arrays of a saved model from a `.npz` file."""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError


def load_arrays(path: Path, *, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """The named arrays of a file that `numpy.savez` wrote. No objects, so that nothing in it is executed.

    Raises:
        LearnError: no such file, another set of names, objects, or a file that is broken.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise LearnError(f"{path.name} of the saved model cannot be read: {reason}; train it again") from None
    if set(arrays) != set(names):
        raise LearnError(
            f"{path.name} of the saved model holds {', '.join(sorted(arrays))}, not {', '.join(sorted(names))}; train it again"
        )
    return arrays
