"""From a model's probabilities to an answer: calibration, costs, thresholds, and the right to say "unknown"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError, choices
from fastspec.learn.calibration import Calibration
from fastspec.learn.isotonic import Isotonic
from fastspec.learn.splits import inner_folds

Float64 = NDArray[np.float64]
Labels = NDArray[np.int64]
Kind = Literal["temperature", "isotonic"]

UNKNOWN = "unknown"
KINDS: tuple[Kind, ...] = get_args(Kind)
_TINY = 1e-15
_FOLDS = 5


class Cost(NamedTuple):
    """What it costs to miss a class, and to give it falsely; a mistake among classes without a cost is 1."""

    missed: float
    false: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """How a model answers.

    Attributes:
        calibration: of its probabilities; None leaves them.
        costs: by class: the answer is the one of the lowest expected cost.
        thresholds: by class: it is the answer where its probability reaches that, and never below; of several that do, the one that is
            furthest above its own.
        unknown_below: the answer is "unknown" where no probability reaches that, unless a class reached its threshold.
    """

    calibration: Calibration | Isotonic | None = None
    costs: Mapping[str, Cost] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    unknown_below: float | None = None

    def calibrate(self, probabilities: Float64) -> Float64:
        """Calibrated probabilities, `(clips, classes)` like the model's."""
        return probabilities if self.calibration is None else _apply(self.calibration, probabilities)

    def answer(self, probabilities: Float64, classes: Sequence[str]) -> list[str]:
        """The answer for each row of calibrated probabilities, `(clips, classes)`.

        >>> decisions = Decisions(costs={"murmur": Cost(10, 1)}, unknown_below=0.6)
        >>> decisions.answer(np.array([[0.2, 0.8], [0.05, 0.95], [0.45, 0.55]]), ["murmur", "normal"])
        ['murmur', 'normal', 'unknown']
        """
        limits = np.array([self.thresholds.get(name, np.nan) for name in classes])
        excess = probabilities / limits
        reached = (probabilities >= limits).any(axis=1)
        chosen = (probabilities @ _cost_matrix(self.costs, classes)).argmin(axis=1)
        if self.thresholds:
            free = np.where(np.isnan(limits), probabilities, excess - 1)  # below its threshold a class is less than any free one
            chosen = np.where(reached, np.nan_to_num(excess, nan=-1).argmax(axis=1), free.argmax(axis=1))
        sure = reached | (probabilities.max(axis=1, initial=0) >= (self.unknown_below or 0))
        return [classes[index] if known else UNKNOWN for index, known in zip(chosen.tolist(), sure.tolist(), strict=True)]

    @property
    def change_nothing(self) -> bool:
        """Whether the answer is the likeliest class of the model's own probabilities."""
        return self == Decisions()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        calibration = None
        if self.calibration is not None:
            kind = "isotonic" if isinstance(self.calibration, Isotonic) else "temperature"
            calibration = {"kind": kind, **self.calibration.to_dict()}
        costs = {name: cost._asdict() for name, cost in self.costs.items()}
        return {"calibration": calibration, "costs": costs, "thresholds": dict(self.thresholds), "unknown_below": self.unknown_below}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, classes: Sequence[str]) -> Self:
        """The decisions of `to_dict`'s values. KeyError, TypeError or ValueError for anything else."""
        calibration = data["calibration"]
        if calibration is not None:
            kinds: dict[str, type[Calibration] | type[Isotonic]] = {"temperature": Calibration, "isotonic": Isotonic}
            calibration = kinds[calibration["kind"]].from_dict(calibration)
            if calibration.n_classes != len(classes):
                raise ValueError(f"a calibration of {calibration.n_classes} classes")
        costs = {name: Cost(float(cost["missed"]), float(cost["false"])) for name, cost in data["costs"].items()}
        thresholds = {name: float(limit) for name, limit in data["thresholds"].items()}
        if not set(costs) | set(thresholds) <= set(classes):
            raise ValueError("decisions about classes that there are not")
        below = data["unknown_below"]
        return cls(calibration=calibration, costs=costs, thresholds=thresholds, unknown_below=None if below is None else float(below))


@dataclass(frozen=True, slots=True, kw_only=True)
class Aims:
    """What decisions are to achieve; `decide` finds those that do.

    Attributes:
        calibrate: by a temperature, by an isotonic regression of each class, or not at all.
        costs: by class.
        min_recall: by class: the highest threshold that reaches it on held-out groups.
        min_precision: by class: the lowest threshold that reaches it on held-out groups.
        unknown_below: see `Decisions`.
    """

    calibrate: Kind | None = None
    costs: Mapping[str, Cost] = field(default_factory=dict)
    min_recall: Mapping[str, float] = field(default_factory=dict)
    min_precision: Mapping[str, float] = field(default_factory=dict)
    unknown_below: float | None = None

    def check(self, classes: Sequence[str]) -> None:
        """That the aims are about these classes and do not contradict each other.

        Raises:
            LearnError: what is wrong.
        """
        if self.calibrate is not None and self.calibrate not in KINDS:
            raise LearnError(f"calibrate is {self.calibrate!r}; {choices(self.calibrate, [*KINDS, 'none'])}")
        for name in (*self.costs, *self.min_recall, *self.min_precision):
            if name not in classes:
                raise LearnError(f"there is no class {name!r} to decide about; {choices(name, classes)}")
        both = sorted(set(self.min_recall) & set(self.min_precision))
        if both or (self.costs and (self.min_recall or self.min_precision)):
            what = f"a least recall and a least precision of {both[0]!r}" if both else "costs and thresholds"
            raise LearnError(f"{what} are given, and each would decide alone; give one of them")
        shares = {f"the least recall of {name!r}": share for name, share in self.min_recall.items()}
        shares |= {f"the least precision of {name!r}": share for name, share in self.min_precision.items()}
        shares |= {} if self.unknown_below is None else {"unknown_below": self.unknown_below}
        for what, share in shares.items():
            if not 0 < share <= 1:
                raise LearnError(f"{what} is {share:g}; give a number above 0 and at most 1")
        for name, cost in self.costs.items():
            if not (cost.missed > 0 and cost.false > 0 and np.isfinite(cost.missed + cost.false)):
                raise LearnError(f"the costs of {name!r} are {cost.missed:g} and {cost.false:g}; give numbers above 0")
        if self.unknown_below is not None and UNKNOWN in classes:
            raise LearnError(f"a class is called {UNKNOWN!r}, so that the answer would mean two things; rename it")

    @property
    def need_held_out(self) -> bool:
        """Whether they need probabilities of groups that the model has not met."""
        return self.calibrate is not None or bool(self.min_recall or self.min_precision)


def decide(aims: Aims, probabilities: Float64, labels: Labels, *, groups: NDArray[np.str_], classes: Sequence[str], seed: int) -> "Decided":
    """The decisions that reach the aims on probabilities of held-out groups.

    Thresholds are set on probabilities that were calibrated by cross-fitting over groups, so that none is judged by what it was made of.

    Args:
        aims: checked.
        probabilities: `(clips, classes)` float64, each row by a model that never met its group.
        labels: `(clips,)` int64.
        groups: `(clips,)` strings.
        classes: names.
        seed: of the folds of the calibration.

    Raises:
        LearnError: a precision that no threshold reaches, or a class without a clip.
    """
    calibration, calibrated = None, probabilities
    if aims.calibrate is not None:
        calibration, calibrated = _fit(aims.calibrate, probabilities, labels), probabilities.copy()
        for train, test in inner_folds(labels, groups, n_folds=_FOLDS, seed=seed):
            calibrated[test] = _apply(_fit(aims.calibrate, probabilities[train], labels[train]), probabilities[test])
    thresholds = {}
    for name in sorted({*aims.min_recall, *aims.min_precision}):
        k = list(classes).index(name)
        least = aims.min_recall.get(name)
        if least is not None:
            thresholds[name] = _threshold_of_recall(calibrated[:, k], labels == k, least)
        else:
            thresholds[name] = _threshold_of_precision(calibrated[:, k], labels == k, aims.min_precision[name], name)
    decisions = Decisions(calibration=calibration, costs=aims.costs, thresholds=thresholds, unknown_below=aims.unknown_below)
    return Decided(decisions, calibrated)


class Decided(NamedTuple):
    """Decisions, and the held-out probabilities as a calibration made of other groups has them, `(clips, classes)`."""

    decisions: Decisions
    calibrated: Float64


def parse_cost(text: str) -> tuple[str, Cost]:
    """The class and its costs.

    >>> parse_cost("murmur:missed=10,false=1")
    ('murmur', Cost(missed=10.0, false=1.0))
    """
    name, _, settings = text.rpartition(":")
    parts = dict(part.strip().partition("=")[::2] for part in settings.split(","))
    try:
        if name and parts and set(parts) <= set(Cost._fields):
            return name, Cost(**{field: float(parts.get(field, 1)) for field in Cost._fields})
    except ValueError:
        pass
    raise LearnError(f"the cost {text!r} cannot be read; give CLASS:missed=NUMBER,false=NUMBER, as in murmur:missed=10,false=1")


def parse_share(text: str) -> tuple[str, float]:
    """The class and the share that it is to reach.

    >>> parse_share("murmur=0.95")
    ('murmur', 0.95)
    """
    name, _, share = text.rpartition("=")
    try:
        if name:
            return name, float(share)
    except ValueError:
        pass
    raise LearnError(f"the aim {text!r} cannot be read; give CLASS=SHARE, as in murmur=0.95")


def _cost_matrix(costs: Mapping[str, Cost], classes: Sequence[str]) -> Float64:
    """`(actual, answer)`: missing the actual class and giving the answer falsely, where they have costs; 1 where neither has."""
    missed = np.array([costs[name].missed if name in costs else 0.0 for name in classes])
    false = np.array([costs[name].false if name in costs else 0.0 for name in classes])
    matrix: Float64 = missed[:, None] + false
    matrix[matrix == 0] = 1
    np.fill_diagonal(matrix, 0)
    return matrix


def _fit(kind: Kind, probabilities: Float64, labels: Labels) -> Calibration | Isotonic:
    if kind == "isotonic":
        return Isotonic.fit(probabilities, labels)
    return Calibration.fit(np.log(np.maximum(probabilities, _TINY)), labels, biased=False)


def _apply(calibration: Calibration | Isotonic, probabilities: Float64) -> Float64:
    if isinstance(calibration, Isotonic):
        return calibration.apply(probabilities)
    return calibration.apply(np.log(np.maximum(probabilities, _TINY)))


def _threshold_of_recall(probabilities: Float64, own: NDArray[np.bool_], least: float) -> float:
    """The highest that lets so large a share of the class pass."""
    ranked = np.sort(probabilities[own])[::-1]
    if not len(ranked):
        raise LearnError("a class has no held-out clip, so that no threshold can be set for it; leave it out")
    return max(_TINY, float(ranked[int(np.ceil(least * len(ranked) - 1e-9)) - 1]))


def _threshold_of_precision(probabilities: Float64, own: NDArray[np.bool_], least: float, name: str) -> float:
    """The lowest at which so large a share of what passes is of the class."""
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    precision = np.cumsum(own[order]) / np.arange(1, len(order) + 1)
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # equal probabilities pass together
    good = last[precision[last] >= least - 1e-12]
    if not len(good):
        best = float(precision[last].max())
        raise LearnError(f"no threshold gives {name!r} a precision of {least:g} on held-out groups; {best:.3f} is the best that one gives")
    return max(_TINY, float(ranked[good[-1]]))
