// What is drawn on canvases: waveforms, the strip of clips, spectrograms. Sizes are in CSS pixels.

import { AGAINST, classColour, css, FOR, magma } from "./colours.js";

const LEFT = 46; // room for the frequency axis, the same above so that times stand below each other
const BOTTOM = 34;
const TICKS_HZ = [125, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 64000];

function begin(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** A whole sound; the clip in hand is marked, and where it is played. */
export function drawOverview(canvas, { waveform, duration, clip, played }) {
  const { pen, width, height } = begin(canvas);
  const x = (seconds) => (duration ? (seconds / duration) * width : 0);
  pen.fillStyle = colour("heard");
  pen.fillRect(x(clip.start), 0, Math.max(2, x(Math.min(clip.end, duration)) - x(clip.start)), height);
  drawWaveform(pen, waveform, { left: 0, top: 0, width, height });
  drawPlayhead(pen, played, x, height);
}

function drawWaveform(pen, waveform, { left, top, width, height }) {
  const peak = waveform.reduce((most, [low, high]) => Math.max(most, -low, high), 1e-9);
  const middle = top + height / 2;
  const y = (value) => middle - (value / peak) * (height / 2 - 2);
  const step = width / waveform.length;
  pen.fillStyle = colour("wave");
  waveform.forEach(([low, high], i) => pen.fillRect(left + i * step, y(high), Math.max(step, 0.6), Math.max(1, y(low) - y(high))));
}

function drawPlayhead(pen, played, x, height, left = 0) {
  if (played === null) return;
  pen.fillStyle = colour("record");
  pen.fillRect(left + x(played) - 0.75, 0, 1.5, height);
}

/** Each clip in the colour of its likeliest class, the paler the less sure. */
export function drawStrip(canvas, { clips, duration, clipLength, chosen }) {
  const { pen, width, height } = begin(canvas);
  const x = (seconds) => (seconds / duration) * width;
  clips.forEach((clip, i) => {
    const next = clips[i + 1]?.start_s ?? Infinity;
    const end = Math.min(duration, next > clip.start_s ? next : Infinity, clip.start_s + (clip.duration_s ?? clipLength));
    pen.fillStyle = clip.top ? classColour(clip.top.index) : colour("track");
    pen.globalAlpha = clip.top ? 0.25 + 0.75 * clip.top.share : 1;
    pen.fillRect(x(clip.start_s), 3, Math.max(1, x(end) - x(clip.start_s) - 1), height - 6);
    pen.globalAlpha = 1;
    if (i === chosen) {
      pen.strokeStyle = colour("ink");
      pen.lineWidth = 2;
      pen.strokeRect(x(clip.start_s) + 1, 1, Math.max(3, x(end) - x(clip.start_s) - 2), height - 2);
    }
  });
}

/** Where the clip's waveform and its levels lie on the canvas. */
function boxes(width, height) {
  const wave = Math.min(56, height * 0.18);
  return {
    wave: { left: LEFT, top: 0, width: width - LEFT, height: wave },
    levels: { left: LEFT, top: wave + 6, width: width - LEFT, height: height - wave - 6 - BOTTOM },
  };
}

/** Seconds from the left to the right edge of the levels. */
function span({ first_s, hop_s, frames }) {
  return [first_s - hop_s / 2, first_s + (frames - 0.5) * hop_s];
}

/** One clip: waveform, levels, and over them what speaks for a class, where `why` is there. */
export function drawPicture(canvas, { picture, why, offset, played }) {
  const { pen, width, height } = begin(canvas);
  const { wave, levels } = boxes(width, height);
  const [from, to] = span(picture);
  const x = (seconds) => ((seconds - from) / (to - from)) * levels.width;
  const stop = Math.min(levels.width, x(picture.duration_s));
  drawWaveform(pen, picture.waveform, { ...wave, left: LEFT + Math.max(0, x(0)), width: Math.max(1, stop - Math.max(0, x(0))) });
  pen.imageSmoothingEnabled = false;
  pen.drawImage(paint(picture, why), levels.left, levels.top, levels.width, levels.height);
  drawTimes(pen, levels, { x, offset, from, to });
  drawBands(pen, levels, picture);
  drawPlayhead(pen, played === null || played < from || played > to ? null : played, x, height - BOTTOM, LEFT);
}

function paint(picture, why) {
  const { frames, bands } = picture;
  const image = new ImageData(frames, bands);
  for (let frame = 0; frame < frames; frame++) {
    for (let band = 0; band < bands; band++) {
      const step = picture.bytes[frame * bands + band];
      const level = (step - 1) / 254;
      let rgb = step === 0 ? [128, 128, 128] : magma(level);
      if (why) {
        const share = why.bytes[frame * bands + band] / 127;
        const grey = step === 0 ? 128 : 40 + 215 * level;
        rgb = (share > 0 ? FOR : AGAINST).map((value) => Math.round(grey + Math.abs(share) * 0.82 * (value - grey)));
      }
      image.data.set([...rgb, 255], 4 * ((bands - 1 - band) * frames + frame));
    }
  }
  const small = new OffscreenCanvas(frames, bands);
  small.getContext("2d").putImageData(image, 0, 0);
  return small;
}

function write(pen, text, x, y, align) {
  pen.fillStyle = colour("muted");
  pen.font = "12px system-ui, sans-serif";
  pen.textAlign = align;
  pen.textBaseline = "middle";
  pen.fillText(text, x, y);
}

function drawTimes(pen, box, { x, offset, from, to }) {
  const step = roundStep((to - from) / Math.max(2, box.width / 80));
  for (let time = Math.ceil((from + offset) / step) * step; time <= to + offset; time += step) {
    const at = box.left + x(time - offset);
    pen.fillStyle = colour("muted");
    pen.fillRect(at - 0.5, box.top + box.height, 1, 4);
    const inside = Math.min(box.left + box.width - 10, Math.max(box.left + 8, at));
    write(pen, `${+time.toFixed(4)}`, inside, box.top + box.height + 12, "center");
  }
  write(pen, "seconds", box.left + box.width / 2, box.top + box.height + 27, "center");
}

function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * 0.999);
}

function drawBands(pen, box, { bands, bands_hz: hz, block }) {
  const y = (band) => box.top + box.height * (1 - (band + 0.5) / bands);
  let last = Infinity;
  for (const { band, text } of hz ? frequencyTicks(hz) : numberTicks(bands, block)) {
    if (last - y(band) < 16) continue;
    last = y(band);
    pen.fillStyle = colour("muted");
    pen.fillRect(box.left - 4, last - 0.5, 4, 1);
    write(pen, text, box.left - 7, last, "right");
  }
  pen.save();
  pen.translate(7, box.top + box.height / 2);
  pen.rotate(-Math.PI / 2);
  write(pen, hz ? "kHz" : block === "chroma" ? "pitch class" : block, 0, 0, "center");
  pen.restore();
}

function frequencyTicks(hz) {
  const places = TICKS_HZ.map((value) => ({ band: bandOf(hz, value), text: `${value / 1000}` }));
  const even = hz.length > 2 && Math.abs(hz[2] - 2 * hz[1] + hz[0]) < 0.2 && hz.at(-1) - hz.at(-2) < 1.01 * (hz[1] - hz[0]) + 0.2;
  if (!even) return places.filter(({ band }) => band !== null);
  const step = roundStep(hz.at(-1) / 8);
  const values = Array.from({ length: Math.floor(hz.at(-1) / step) + 1 }, (_, i) => i * step);
  return values.map((value) => ({ band: bandOf(hz, value), text: `${+(value / 1000).toFixed(3)}` })).filter(({ band }) => band !== null);
}

/** Where a frequency lies among the bands; null where it does not. */
function bandOf(hz, value) {
  const above = hz.findIndex((middle) => middle >= value);
  if (above < 0) return null;
  if (above === 0) return hz[0] === value ? 0 : null;
  return above - 1 + (value - hz[above - 1]) / (hz[above] - hz[above - 1]);
}

function numberTicks(bands, block) {
  const naturals = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
  if (block === "chroma" && bands % 12 === 0) return Object.entries(naturals).map(([text, place]) => ({ band: (place * bands) / 12, text }));
  const step = Math.max(1, roundStep(bands / 8));
  return Array.from({ length: Math.ceil(bands / step) }, (_, i) => ({ band: i * step, text: `${i * step}` }));
}

/** What lies under a pointer, in words; null beside the levels. */
export function describePlace(canvas, { picture, why, offset }, event) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  const box = boxes(width, height).levels;
  const across = (event.clientX - left - box.left) / box.width;
  const up = 1 - (event.clientY - top - box.top) / box.height;
  if (across < 0 || across >= 1 || up < 0 || up >= 1) return null;
  const frame = Math.floor(across * picture.frames);
  const band = Math.floor(up * picture.bands);
  const step = picture.bytes[frame * picture.bands + band];
  const level = picture.low + ((step - 1) / 254) * (picture.high - picture.low);
  const hz = picture.bands_hz?.[band];
  const place = hz === undefined ? `${picture.block} ${band}` : hz < 1000 ? `${hz.toFixed(0)} Hz` : `${(hz / 1000).toFixed(2)} kHz`;
  const words = [`${(offset + picture.first_s + frame * picture.hop_s).toFixed(2)} s`, place];
  words.push(step === 0 ? "not a number" : `${level.toFixed(picture.unit ? 0 : 2)} ${picture.unit ?? ""}`.trim());
  if (why) words.push(`${((why.bytes[frame * picture.bands + band] / 127) * why.most).toFixed(2)} log-odds`);
  return words.join(" · ").replaceAll("-", "−");
}

export const LEGEND_COLOURS = { for: css(FOR), against: css(AGAINST) };
