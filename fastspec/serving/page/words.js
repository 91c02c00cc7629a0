// Numbers and elements as people read them.

/** An element of the page. */
export function element(kind, className = "", text = "") {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export function percent(share) {
  const value = 100 * share;
  return `${value > 99.9 && value < 100 ? "> 99.9" : value.toFixed(1)} %`;
}

export function seconds(value) {
  return value < 60 ? `${value.toFixed(2)} s` : [`${Math.floor(Math.round(value) / 60)} min`, Math.round(value) % 60 && `${Math.round(value) % 60} s`].filter(Boolean).join(" ");
}

export function megabytes(bytes) {
  return `${+(bytes / 1048576).toFixed(1)} MiB`;
}
