"""scikit-learn models on disk, through skops: no code in the file, and equal models give equal bytes."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from fastspec.errors import LearnError

# skops names objects and files by their address in memory.
_ADDRESS = re.compile(r'(?<="__id__": )\d+|(?<="file": ")\d+')
_SCHEMA = "schema.json"


def write_skops(model: Any, path: Path) -> None:
    """Write a scikit-learn model by skops, with addresses replaced by their order of appearance and the dates of the archive fixed."""
    import skops.io

    order: dict[str, str] = {}
    with ZipFile(io.BytesIO(skops.io.dumps(model))) as source, ZipFile(path, "w") as target:
        schema = _ADDRESS.sub(lambda found: order.setdefault(found[0], str(len(order))), source.read(_SCHEMA).decode())
        members = {name: source.read(name) for name in source.namelist() if name != _SCHEMA}
        renamed = {order[Path(name).stem] + Path(name).suffix: data for name, data in members.items()}
        for name, data in [*sorted(renamed.items()), (_SCHEMA, schema.encode())]:
            target.writestr(ZipInfo(name), data, compress_type=ZIP_DEFLATED)


def read_skops(path: Path, *, trusted: Sequence[str]) -> Any:
    """The model in a skops file that holds nothing but what skops and `trusted` allow.

    Raises:
        LearnError: another type is in it, or it is not a skops file.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return skops.io.load(path, trusted=list(trusted))
    except UntrustedTypesFoundException as error:
        raise LearnError(f"{path.name} holds a type that is not trusted, and was not loaded: {_line(error)}; train it again") from None
    except Exception as error:  # a file made to be broken can fail anywhere in the parser
        raise LearnError(f"{path.name} is not a readable skops file: {_line(error)}; train it again") from error


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
