"""A benchmark beside an earlier one: how many times as fast each row is, what differs between the two, and what is slower."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastspec.errors import FastspecError, counted

Row = Mapping[str, Any]

_NAMES = {"start": ("step",), "kernel": ("implementation",), "stages": ("stage", "cache"), "job": ("implementation", "workers", "cache")}
# Two runs differ by so much on a quiet machine, whatever the rounds of each say; and by so much where there is one round only.
_LEAST_NOISE, _NOISE_OF_ONE = 0.05, 0.25


class BaselineError(FastspecError):
    """A file that an earlier benchmark did not write."""


def read_baseline(path: Path) -> list[Row]:
    """The rows of an earlier benchmark.

    Raises:
        BaselineError: the file cannot be read, or holds something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf8"))
        if document["command"] != "bench" or not {"machine", "sample", "job"} <= {row["section"] for row in document["rows"]}:
            raise KeyError("rows of 'fastspec bench'")
    except OSError as error:
        raise BaselineError(f"the baseline {path} cannot be read: {error.strerror}; give what 'fastspec bench -o F.json' wrote") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BaselineError(f"the baseline {path} is no benchmark ({error}); give what 'fastspec bench -o F.json' wrote") from None
    return list(document["rows"])


def compare_runs(rows: Sequence[Row], earlier: Sequence[Row]) -> list[dict[str, Any]]:
    """A row of section "baseline" for each row that both have: how many times as fast it is now, and whether noise explains that.

    >>> then = {"section": "start", "step": "import", "seconds": 1.0}
    >>> compare_runs([then | {"seconds": 2.0}], [then])[0]["ratio"]
    0.5
    """
    known = {name: row for row in earlier if (name := _name(row))}
    compared = []
    for row in rows:
        name = _name(row)
        if name in known and name[0] != "stages" and (ratio := _ratio(row, known[name])):
            noise = max(_LEAST_NOISE, *(each.get("noise", _NOISE_OF_ONE) for each in (row, known[name])))
            verdict = "slower" if ratio < 1 / (1 + noise) else "faster" if ratio > 1 + noise else "same"
            compared.append({"section": "baseline", "name": _title(name), "ratio": ratio, "noise": noise, "verdict": verdict})
    return compared


def differences_between(rows: Iterable[Row], earlier: Iterable[Row]) -> list[str]:
    """What about the machine, the versions and the sample is not as it was, a line each."""
    (machine, sample), (machine_then, sample_then) = (
        [next(row for row in each if row["section"] == section) for section in ("machine", "sample")]
        for each in (list(rows), list(earlier))
    )
    now, then = (_flat(each) for each in (machine, machine_then))
    changed = (name for name in now | then if now.get(name) != then.get(name))
    told = [f"{name}: {then.get(name, 'none')} then, {now.get(name, 'none')} now" for name in changed]
    if sample["recipe"] != sample_then.get("recipe"):
        told.append("the recipe is another, so the ratios compare different work")
    if sample["manifest"] != sample_then.get("manifest"):
        told.append("the recordings are others, so the ratios compare hours of other audio")
    return told


def _name(row: Row) -> tuple[Any, ...]:
    section = row["section"]
    return (section, *(row.get(name) for name in _NAMES[section])) if section in _NAMES else ()


def _title(name: tuple[Any, ...]) -> str:
    section, *rest = name
    if section == "job":
        implementation, workers, cache = rest
        return f"job: {implementation}, {counted(workers, 'worker')}, {cache}"
    return f"{section}: {', '.join(map(str, rest))}"


def _ratio(row: Row, then: Row) -> float | None:
    """Times as fast as then; None where one of the two was not timed."""
    if row.get("hours_per_s") and then.get("hours_per_s"):
        return float(row["hours_per_s"] / then["hours_per_s"])
    if row["section"] == "start" and row.get("seconds") and then.get("seconds"):
        return float(then["seconds"] / row["seconds"])
    return None


def _flat(machine: Row) -> dict[str, Any]:
    return {name: value for name, value in machine.items() if name not in ("section", "packages")} | dict(machine["packages"])
