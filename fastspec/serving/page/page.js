// The page: sounds go to the server one after the other; what it says of the chosen one is shown.

import { classColour } from "./colours.js";
import { csv } from "./csv.js";
import { describePlace, drawOverview, drawPicture, drawStrip, LEGEND_COLOURS } from "./draw.js";
import { ask, predict, unpack } from "./server.js";
import { record } from "./sound.js";
import { element, percent, seconds, megabytes } from "./words.js";

const SHOWN_SHARES = 8;
const $ = (id) => document.getElementById(id);

const heard = []; // { name, blob, url, note, answer or problem, clip, pictures, whys }
const waiting = [];
let model = null;
let chosen = null;
let explaining = false;
let working = false;
let recorder = null;
let allShares = false;

// --- sounds -------------------------------------------------------------------------------------------------------------------------

function add(files) {
  for (const file of files) waiting.push({ name: file.name || "sound", blob: file, url: URL.createObjectURL(file), clip: 0, pictures: new Map(), whys: new Map() });
  work();
}

async function work() {
  if (working) return;
  working = true;
  for (let sound; (sound = waiting.shift()); ) {
    say(`Listening to ${sound.name} …`);
    try {
      sound.answer = await predict(sound, model);
    } catch (error) {
      sound.problem = error;
    }
    heard.unshift(sound);
    choose(sound);
  }
  working = false;
}

function choose(sound) {
  chosen = sound;
  allShares = false;
  document.body.classList.add("answered");
  $("problem").hidden = !sound.problem;
  $("result").hidden = !sound.answer;
  if (sound.problem) {
    $("problem").textContent = `${sound.name}: ${sound.problem.message}`;
    say("");
  } else {
    showAnswer(sound);
    showSound(sound);
    const row = headline(sound);
    say(`${sound.name}: ${row.predicted}, ${percent(shareOf(row))}`);
  }
  showHeard();
}

/** The row of the recording, or of the clip in hand where clips are answered for. */
function headline(sound) {
  const { predictions } = sound.answer;
  if (predictions.length === 1) return predictions[0];
  const clip = sound.answer.clips[sound.clip];
  return predictions.find((row) => row.start_s === clip.start_s && row.channel === clip.channel) ?? predictions[0];
}

// --- the answer ---------------------------------------------------------------------------------------------------------------------

function showAnswer(sound) {
  const row = headline(sound);
  $("predicted").textContent = row.predicted ?? row.status;
  $("decision").textContent = [row.decision ?? sound.answer.clips[sound.clip].reason, row.seen ? "the model learned from this very sound" : null].filter(Boolean).join("; ");
  const ranked = ranking(row.probabilities ?? {});
  $("shares").replaceChildren(...ranked.slice(0, allShares ? ranked.length : SHOWN_SHARES).map((entry) => shareItem(entry, row.predicted)));
  $("limit").hidden = model.unknown_below === null && Object.keys(model.thresholds).length === 0;
  $("more").hidden = ranked.length <= SHOWN_SHARES;
  $("more").textContent = allShares ? "Show fewer" : `Show all ${ranked.length}`;
}

function ranking(probabilities) {
  return Object.entries(probabilities)
    .map(([name, share]) => ({ name, share, index: model.classes.indexOf(name) }))
    .sort((a, b) => b.share - a.share);
}

function shareItem({ name, share, index }, predicted) {
  const item = element("li", name === predicted ? "first" : "");
  const bar = element("div", "bar");
  const fill = element("i");
  fill.style.width = `${100 * share}%`;
  fill.style.background = classColour(index);
  bar.append(fill);
  bar.ariaHidden = "true";
  const limit = model.thresholds[name] ?? model.unknown_below;
  if (limit !== null && limit !== undefined) {
    const mark = element("b");
    mark.style.left = `${100 * limit}%`;
    bar.append(mark);
    bar.title = `threshold ${percent(limit)}`;
  }
  item.append(element("span", "label", name), element("span", "share", percent(share)), bar);
  return item;
}

function shareOf(row) {
  const shares = row.probabilities ?? {};
  return shares[row.predicted] ?? Math.max(0, ...Object.values(shares));
}

// --- the sound ----------------------------------------------------------------------------------------------------------------------

function showSound(sound) {
  const { recording, clips } = sound.answer;
  $("sound-title").textContent = sound.name;
  const kind = recording.channels === 1 ? "mono" : recording.channels === 2 ? "stereo" : `${recording.channels} channels`;
  const facts = [seconds(recording.duration_s), `${+(recording.sample_rate / 1000).toFixed(3)} kHz`, kind, recording.format.replaceAll("_", " ")];
  if (sound.note) facts.push(sound.note);
  if (recording.truncated) facts.push("broken off: it cannot be decoded to its end");
  $("facts").textContent = facts.join(" · ");
  $("player").hidden = false;
  $("player").src = sound.url;
  $("clips").hidden = clips.length < 2;
  $("clip").max = clips.length - 1;
  $("clip").value = sound.clip;
  $("overview").ariaLabel = `Waveform of ${sound.name}, ${seconds(recording.duration_s)}`;
  showClip(sound);
}

async function showClip(sound) {
  const clip = sound.answer.clips[sound.clip];
  const best = ranking(clip.probabilities ?? {})[0];
  const place = `Clip ${sound.clip + 1} of ${sound.answer.clips.length}, from ${clip.start_s.toFixed(2)} s${clip.channel === null ? "" : `, channel ${clip.channel + 1}`}`;
  $("clip-text").textContent = `${place}: ${best ? `${best.name} ${percent(best.share)}` : `${clip.status}, ${clip.reason}`}`;
  $("clip").setAttribute("aria-valuetext", $("clip-text").textContent);
  if (sound.answer.predictions.length > 1) showAnswer(sound);
  fillTargets(best);
  draw();
  const number = sound.clip;
  try {
    if (clip.status === "ok") await fetchPicture(sound, number, clip);
  } catch (error) {
    if (sound === chosen && number === sound.clip) $("legend").textContent = error.message;
    return;
  }
  if (sound === chosen && number === sound.clip) draw();
}

function fillTargets(best) {
  const options = model.classes.map((name) => new Option(name, name, false, name === best?.name));
  $("target").replaceChildren(...options);
  $("target").disabled = !explaining;
}

function place(clip) {
  return clip.channel === null ? { start_s: clip.start_s } : { start_s: clip.start_s, channel: clip.channel };
}

async function fetchPicture(sound, number, clip) {
  if (!sound.pictures.has(number)) {
    const picture = await ask("api/spectrogram", sound.blob, place(clip));
    sound.pictures.set(number, { ...picture, bytes: unpack(picture.levels, Uint8Array) });
  }
  const key = `${number} ${$("target").value}`;
  if (!explaining || sound.whys.has(key)) return;
  if (sound === chosen) $("legend").textContent = `Hiding parts of it, to see what speaks for ${$("target").value} …`;
  const why = await ask("api/explain", sound.blob, { ...place(clip), target: $("target").value });
  sound.whys.set(key, { ...why, bytes: unpack(why.importance, Int8Array) });
}

/** What is drawn of the chosen sound; `why` only while it is asked for. */
function scene() {
  const clip = chosen.answer.clips[chosen.clip];
  const picture = chosen.pictures.get(chosen.clip) ?? null;
  const why = explaining ? (chosen.whys.get(`${chosen.clip} ${$("target").value}`) ?? null) : null;
  const player = $("player");
  const played = player.paused && player.currentTime === 0 ? null : player.currentTime;
  return { clip, picture, why, offset: clip.start_s, played };
}

function draw() {
  if (!chosen?.answer) return;
  const { clip, picture, why, offset, played } = scene();
  const { recording, clips } = chosen.answer;
  const duration = recording.duration_s;
  const end = clip.start_s + (clip.duration_s ?? model.clip_s);
  drawOverview($("overview"), { waveform: recording.waveform, duration, clip: { start: clip.start_s, end }, played });
  if (clips.length > 1) {
    const tops = clips.map((each) => ({ ...each, top: ranking(each.probabilities ?? {})[0] }));
    drawStrip($("strip"), { clips: tops, duration, clipLength: model.clip_s, chosen: chosen.clip });
    $("strip").ariaLabel = `The likeliest class of each clip: ${tops.map(({ top, status }) => top?.name ?? status).join(", ")}`;
  }
  if (picture) {
    drawPicture($("picture"), { picture, why, offset, played: played === null ? null : played - offset });
    $("picture").ariaLabel = `${picture.block} picture of ${chosen.name} from ${offset.toFixed(2)} s`;
    showLegend(picture, why);
  } else {
    const canvas = $("picture");
    canvas.width = canvas.width; // erases it
    $("legend").textContent = "";
  }
}

function showLegend(picture, why) {
  if (why) {
    const chips = [["for", `speaks for ${why.target}`], ["against", "speaks against it"]].map(([side, text]) => {
      const chip = element("span", "chip");
      chip.style.background = LEGEND_COLOURS[side];
      const entry = element("span", "entry");
      entry.append(chip, text);
      return entry;
    });
    const strength = `strongest ${why.most.toFixed(2)} log-odds; ${why.target} has ${percent(why.probability)} in this clip`;
    $("legend").replaceChildren(...chips, element("span", "entry", strength));
  } else if (!explaining) {
    const unit = picture.unit ? ` ${picture.unit}` : "";
    const end = chosen.answer.clips[chosen.clip].start_s + picture.duration_s;
    const stretch = `${chosen.answer.clips[chosen.clip].start_s.toFixed(2)} to ${end.toFixed(2)} s`;
    const range = `${picture.low.toFixed(0)} to ${picture.high.toFixed(0)}${unit}`.replaceAll("-", "−");
    $("legend").textContent = `What the model hears, shaded above: ${stretch}; ${picture.bands} bands of ${range}`;
  }
}

function pickClip(event) {
  const { recording, clips } = chosen.answer;
  const box = event.currentTarget.getBoundingClientRect();
  const time = ((event.clientX - box.left) / box.width) * recording.duration_s;
  const before = clips.findLastIndex((clip) => clip.start_s <= time);
  setClip(Math.max(0, before));
  if (Number.isFinite($("player").duration)) $("player").currentTime = time;
}

function setClip(number) {
  if (number === chosen.clip) return;
  chosen.clip = number;
  $("clip").value = number;
  showClip(chosen);
}

function explain(wanted) {
  explaining = wanted;
  $("show-levels").ariaPressed = String(!wanted);
  $("show-why").ariaPressed = String(wanted);
  $("target").disabled = !wanted;
  if (chosen?.answer) showWhy();
}

async function showWhy() {
  const sound = chosen;
  draw();
  try {
    await fetchPicture(sound, sound.clip, sound.answer.clips[sound.clip]);
  } catch (error) {
    $("legend").textContent = error.message;
    return;
  }
  if (sound === chosen) draw();
}

// --- all sounds ---------------------------------------------------------------------------------------------------------------------

function showHeard() {
  $("heard").hidden = heard.length === 0;
  $("rows").replaceChildren(...heard.map(heardRow));
}

function heardRow(sound) {
  const row = element("tr");
  if (sound === chosen) row.ariaCurrent = "true";
  const button = element("button", "", sound.name);
  button.type = "button";
  button.addEventListener("click", () => choose(sound));
  const name = element("td");
  name.append(button);
  if (sound.problem) {
    row.append(name, element("td", "bad", sound.problem.status ?? "not heard"), element("td"), element("td"));
    return row;
  }
  const { predictions, recording } = sound.answer;
  const several = predictions.length > 1;
  const answer = several ? `${predictions.length} clips` : predictions[0].predicted;
  const share = several ? "" : percent(shareOf(predictions[0]));
  row.append(name, element("td", "", answer), element("td", "number", share), element("td", "number", seconds(recording.duration_s)));
  return row;
}

function download() {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([csv(heard, model)], { type: "text/csv" }));
  link.download = "predictions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function clear() {
  heard.forEach((sound) => URL.revokeObjectURL(sound.url));
  heard.length = 0;
  chosen = null;
  $("player").removeAttribute("src");
  for (const id of ["result", "heard", "problem"]) $(id).hidden = true;
  document.body.classList.remove("answered");
  say("");
  $("choose").focus();
}

function say(text) {
  $("status").textContent = text;
}

// --- the microphone -----------------------------------------------------------------------------------------------------------------

async function toggleRecording() {
  $("record").disabled = true;
  try {
    await (recorder ? stopRecording() : startRecording());
  } catch (error) {
    $("problem").hidden = false;
    $("problem").textContent = error.name === "NotAllowedError" ? "The microphone may not be used; allow it in the browser's settings of this page." : `Recording failed: ${error.message}`;
  }
  $("record").disabled = false;
}

async function startRecording() {
  recorder = await record((level, length) => {
    $("meter").firstElementChild.style.transform = `scaleX(${level})`;
    $("record-text").textContent = `Stop ${length.toFixed(0)} s`;
    if (length > model.seconds - 1 && !$("record").disabled) toggleRecording();
  });
  $("record").classList.add("recording");
  $("meter").hidden = false;
  say("Recording …");
}

async function stopRecording() {
  const taken = recorder;
  recorder = null;
  $("record").classList.remove("recording");
  $("record-text").textContent = "Record";
  $("meter").hidden = true;
  const time = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
  add([new File([await taken.stop()], `recording ${time}.wav`, { type: "audio/wav" })]);
}

// --- wiring -------------------------------------------------------------------------------------------------------------------------

function wireFiles() {
  $("choose").addEventListener("click", () => $("files").click());
  $("files").addEventListener("change", () => {
    add([...$("files").files]);
    $("files").value = "";
  });
  let depth = 0;
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => { if (carriesFiles(event)) $("veil").hidden = ++depth === 0; });
  addEventListener("dragleave", (event) => { if (carriesFiles(event)) $("veil").hidden = --depth === 0; });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    $("veil").hidden = true;
    add([...event.dataTransfer.files]);
  });
  addEventListener("paste", (event) => add([...event.clipboardData.files]));
}

function wireView() {
  $("record").addEventListener("click", toggleRecording);
  $("show-levels").addEventListener("click", () => explain(false));
  $("show-why").addEventListener("click", () => explain(true));
  $("target").addEventListener("change", showWhy);
  $("clip").addEventListener("input", () => setClip(Number($("clip").value)));
  $("overview").addEventListener("click", pickClip);
  $("strip").addEventListener("click", pickClip);
  $("more").addEventListener("click", () => {
    allShares = !allShares;
    showAnswer(chosen);
  });
  $("download").addEventListener("click", download);
  $("clear").addEventListener("click", clear);
  $("picture").addEventListener("pointermove", (event) => {
    const shown = scene();
    $("readout").textContent = (shown.picture && describePlace($("picture"), shown, event)) ?? "";
  });
  $("picture").addEventListener("pointerleave", () => { $("readout").textContent = ""; });
  $("player").addEventListener("error", () => { $("player").hidden = true; });
  for (const kind of ["play", "seeked", "pause", "ended"]) $("player").addEventListener(kind, follow);
  addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

/** Move the playhead, and go on for as long as the sound is played. */
function follow() {
  draw();
  if (!$("player").paused) requestAnimationFrame(follow);
}

async function start() {
  wireFiles();
  wireView();
  model = await (await fetch("api/model")).json();
  const names = model.classes.slice(0, 6).join(", ") + (model.classes.length > 6 ? ", …" : "");
  $("model").textContent = `${model.plugin}: ${model.classes.length} classes (${names})`;
  if (matchMedia("(pointer: coarse)").matches) $("invite").textContent = "Choose sounds, or record one";
  $("hint").textContent = `This model tells ${names} apart: see which it hears in a sound, how surely, and why.`;
  document.title = `fastspec · ${model.plugin}`;
  $("limits").textContent = `WAV, FLAC, Ogg, MP3, AIFF and what your browser can play; up to ${megabytes(model.upload_bytes)} and ${seconds(model.seconds)} each`;
  if (!navigator.mediaDevices?.getUserMedia) {
    $("record").disabled = true;
    $("record").title = "Browsers record only on pages of this machine (localhost) or over HTTPS.";
  }
  document.body.dataset.ready = "yes";
}

start();
