"""Two classifiers on the same recordings: how far one is ahead, and how sure that is."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.tasks import Task

Row = Mapping[str, Any]


class Rival(NamedTuple):
    """What the best classifier of a task is compared with.

    Attributes:
        entrant: its name in the table.
        kinds: of the classifiers of which the best is taken.
        lead: by how much that one is to be ahead.
        tasks: where; all, when none is named.
    """

    entrant: str
    kinds: tuple[str, ...]
    lead: float
    tasks: tuple[str, ...] = ()


RIVALS = (
    Rival("eGeMAPS, svm", ("plugin",), 0.0),
    Rival("aisfx, logistic", ("plugin", "with torch"), 0.03, ("drums",)),
)
COLUMNS = {
    "task": "task",
    "best": "best",
    "rival": "beside",
    "shown": "ahead by ± standard error",
    "lead": "line",
    "met": "met",
}


def run_pairs(rows: Sequence[Row], tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """For each task and rival how far the best is ahead; a line is met when the lead is at most one standard error below it.

    Rows that an earlier version kept do not tell what was right in each group: how far is then left out.
    """
    pairs = []
    for task in tasks:
        of_task = [row for row in rows if row["task"] == task.name]
        for rival in RIVALS:
            able = [row for row in of_task if row["kind"] in rival.kinds]
            beside = next((row for row in of_task if row["entrant"] == rival.entrant), None)
            if able and beside is not None and (not rival.tasks or task.name in rival.tasks):
                best = max(able, key=lambda row: row["accuracy"])
                told = {"task": task.name, "best": best["entrant"], "rival": rival.entrant, "lead": rival.lead}
                if "groups" in best and "groups" in beside:
                    lead, error = paired_lead(best["groups"], beside["groups"])
                    told |= {"ahead_by": lead, "standard_error": error, "met": lead >= rival.lead - error}
                pairs.append(told)
    return pairs


def paired_lead(ours: Mapping[str, Sequence[float]], theirs: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """The difference of two accuracies on the same recordings, and its standard error over groups.

    With d[g] the difference of right answers in group g of n[g] recordings, the lead is D = sum d / sum n, and its standard error that of
    a ratio over G groups: sqrt(G / (G - 1) sum (d - D n)^2) / sum n. What is hard for both in a group is in neither.

    Args:
        ours: right answers and recordings of each group.
        theirs: likewise, of the same groups.

    >>> paired_lead({"a": [9, 10], "b": [7, 10]}, {"a": [8, 10], "b": [6, 10]})
    (0.1, 0.0)
    """
    right = np.array([[ours[group][0], theirs[group][0], ours[group][1]] for group in ours], np.float64)
    difference, size = right[:, 0] - right[:, 1], right[:, 2]
    lead = difference.sum() / size.sum()
    spread = ((difference - lead * size) ** 2).sum() * len(size) / max(1, len(size) - 1)
    return float(lead), float(np.sqrt(spread) / size.sum())
