// Answers as a table.

/** The rows as `fastspec predict` writes them. */
export function csv(heard, model) {
  const rows = heard.toReversed().flatMap((sound) => sound.answer?.predictions ?? [{ path: sound.name, start_s: 0, predicted: null, probabilities: null, status: sound.problem.status ?? "failed", channel: null }]);
  const each = rows.some((row) => row.channel !== null);
  const names = ["path", "start_s", "predicted", ...model.classes.map((name) => `p_${name}`), "status", ...(each ? ["channel"] : [])];
  const lines = rows.map((row) => [
    row.path,
    number(row.start_s),
    row.predicted,
    ...model.classes.map((name) => number(row.probabilities?.[name])),
    row.status,
    ...(each ? [row.channel] : []),
  ]);
  return [names, ...lines].map((cells) => `${cells.map(quoted).join(",")}\n`).join("");
}

/** A number as Python writes it. */
function number(value) {
  if (value === null || value === undefined) return null;
  if (value !== 0 && Math.abs(value) < 1e-4) return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

function quoted(cell) {
  const text = cell === null || cell === undefined ? "" : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
