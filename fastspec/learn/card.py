"""A model card: what a person should know before using a bundle."""

from typing import TYPE_CHECKING, Any

from fastspec.learn.isotonic import Isotonic

if TYPE_CHECKING:
    from fastspec.learn.bundle import Bundle
    from fastspec.learn.decisions import Decisions
    from fastspec.learn.tuning import Tuned

_HEADLINES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "ROC-AUC, one against the rest",
    "log_loss": "log-loss",
}


def model_card(bundle: "Bundle") -> str:
    """The card of a bundle, in Markdown. Equal bundles have equal cards."""
    sections = [
        ("", _introduction(bundle)),
        ("Data", _data(bundle)),
        ("Features", _features(bundle)),
        ("Scores", _scores(bundle.metrics)),
        ("Answers", _answers(bundle.decisions, bundle.metrics)),
        ("Limits", _limits(bundle)),
        *([("Built on", [f"- {credit}" for credit in built_on])] if (built_on := bundle.model.credits()) else []),
        ("Made by", [f"- {name} {version}" for name, version in sorted(bundle.versions.items())]),
    ]
    return "\n\n".join((f"## {title}\n\n" if title else "") + "\n".join(lines) for title, lines in sections) + "\n"


def _introduction(bundle: "Bundle") -> list[str]:
    params = ", ".join(f"{name} {value!r}" for name, value in sorted(bundle.model.params().items())) or "none"
    plugin = f"{bundle.plugin.name} of {bundle.plugin.distribution} {bundle.plugin.version}"
    told = f"A classifier of {len(bundle.classes)} classes: {', '.join(map(_code, bundle.classes))}. It answers for each {bundle.by}."
    return [
        f"# {bundle.plugin.name}, {len(bundle.classes)} classes",
        "",
        told,
        "",
        f"Plugin: {plugin}; parameters: {params}; seed {bundle.model.seed}.",
        *_tuned(bundle.tuned),
    ]


def _tuned(tuned: "Tuned | None") -> list[str]:
    if tuned is None:
        return []
    fell = f"{_number(tuned.log_loss_before)} before, {_number(tuned.log_loss)} with the best, which flatters it"
    tried = f"the best of {tuned.trials} tried on {tuned.folds} folds of whole groups of the training clips"
    return ["", f"Of these parameters {', '.join(sorted(tuned.chosen))} were tuned: {tried}. The log-loss there was {fell}."]


def _data(bundle: "Bundle") -> list[str]:
    left_out = [f"- left out: {n:,} {_code(reason)}" for reason, n in bundle.left_out.items()] or ["- nothing was left out"]
    sounds = f"- trained on {bundle.n_clips:,} clips, {len(bundle.seen):,} of different sound"
    return [sounds, *left_out, f"- digest of the manifest: {_code(bundle.manifest_digest)}"]


def _features(bundle: "Bundle") -> list[str]:
    recipe = bundle.recipe
    frames, bands = recipe.shape
    windows = "" if recipe.clip.hop_s is None else f", a window every {recipe.clip.hop_s:g} s"
    first = f"- {'+'.join(recipe.spec.features)} at {recipe.spec.sample_rate:,} Hz: {frames} frames of {bands} bands"
    return [
        first,
        f"- clips of {recipe.clip.clip_s:g} s{windows}",
        f"- digest of the recipe, which bundle.json holds: {_code(recipe.digest())}",
    ]


def _scores(metrics: dict[str, Any] | None) -> list[str]:
    if metrics is None:
        return ["Not scored on held-out groups when it was trained: `fastspec evaluate STORE --model MODEL` scores it on other clips."]
    counts = f"{metrics['n_tested']:,} tested, {metrics['n_groups']:,} groups"
    told = f"{metrics['folds']} folds of whole groups: {counts}; 95 % intervals over groups."
    head = ["", "| score | value | from | to |", "|---|---:|---:|---:|"]
    rows = [_row(name, metrics["headline"], key) for key, name in _HEADLINES.items()]
    by_class = [_row(f"{what} of {_code(row['name'])}", row, what) for row in metrics["per_class"] for what in ("recall", "precision")]
    return [told, *head, *rows, *by_class]


def _row(name: str, scores: dict[str, Any], key: str) -> str:
    return f"| {name} | " + " | ".join(_number(scores[key + end]) for end in ("", "_low", "_high")) + " |"


def _answers(decisions: "Decisions", metrics: dict[str, Any] | None) -> list[str]:
    lines = []
    if decisions.calibration is not None:
        how = "an isotonic regression of each class" if isinstance(decisions.calibration, Isotonic) else "a temperature"
        lines.append(f"- probabilities are calibrated on held-out groups by {how}{_gain(metrics)}")
    lines += [f"- missing {_code(name)} costs {cost.missed:g}, giving it falsely {cost.false:g}" for name, cost in decisions.costs.items()]
    lines += [f"- {_code(name)} is the answer from a probability of {limit:.4g}" for name, limit in decisions.thresholds.items()]
    if decisions.unknown_below is not None:
        lines.append(f"- the answer is `unknown` where no probability reaches {decisions.unknown_below:g}")
    lines = lines or ["- the answer is the likeliest class"]
    if metrics is None:
        return lines
    rates = metrics["answers"].items()
    told = [
        f"- {_code(name)}: recall {_number(rate['recall'])}, precision {_number(rate['precision'])} of these answers"
        for name, rate in rates
    ]
    accuracy = metrics["headline"]["accuracy"]
    right = f"- right: {_number(metrics.get('right'))} of these answers, where the likeliest class is right for {_number(accuracy)}"
    return [*lines, f"- answered, not `unknown`: {_number(metrics['answered'])} of what was held out", right, *told]


def _gain(metrics: dict[str, Any] | None) -> str:
    """What calibrating did to the log-loss, where that was measured."""
    before = (metrics or {}).get("log_loss_uncalibrated")
    if metrics is None or before is None:
        return ""
    after = metrics["headline"]["log_loss"]
    return f": log-loss {after:.3f} instead of {before:.3f}{', which is worse' if after > before else ''}"


def _limits(bundle: "Bundle") -> list[str]:
    lines = ["- It knows the classes above and gives every sound one of them, also a sound of another kind."]
    if bundle.decisions.unknown_below is not None:
        lines = ["- It knows the classes above; a sound of another kind is often, not always, answered by `unknown`."]
    if bundle.metrics is not None:
        lines.append(
            "- Scores hold for groups like those of the training data; other devices, places or speakers need scores of their own."
        )
    if bundle.decisions.thresholds:
        lines.append("- Thresholds reach their aim on the held-out groups that they were set on; elsewhere they reach it roughly.")
    return lines


def _code(text: str) -> str:
    """Any text, as code: a class may be called anything."""
    plain = " ".join(text.replace("|", "/").split())
    fence = "``" if "`" in plain else "`"
    return f"{fence} {plain} {fence}" if "`" in plain else f"{fence}{plain}{fence}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
