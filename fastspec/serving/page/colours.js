// Magma by S. van der Walt and N. Smith (CC0), even in lightness; and Okabe and Ito's colours that colour-blind people can tell apart.
const STOPS = "000004 030312 0a0822 130d34 1d1147 29115a 36106b 440f76 50127c 5d177f 691c81 762181 822681 8f2a81 9c2e7f a9337d b6367a c33b75 cf4070 db476a e65164 ee5c5e f46a5c f9785d fb8861 fd9668 fea571 feb47b fec287 fed194 fde0a1 fceeb0 fcfdbf"
  .split(" ")
  .map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
const CLASSES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a", "#b8a900"];

export const FOR = [213, 94, 0];
export const AGAINST = [0, 114, 178];

/** Red, green and blue of a level from 0 to 1. */
export function magma(level) {
  const place = Math.max(0, Math.min(1, level)) * (STOPS.length - 1);
  const below = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[below].map((value, k) => Math.round(value + (place - below) * (STOPS[below + 1][k] - value)));
}

/** The colour of a class, by its place among the model's classes. */
export function classColour(index) {
  return CLASSES[index % CLASSES.length];
}

export function css([red, green, blue]) {
  return `rgb(${red} ${green} ${blue})`;
}
