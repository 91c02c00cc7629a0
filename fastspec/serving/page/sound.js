// Sounds in the browser: recorded, decoded, encoded as 16-bit WAV.

const RATE = 48000;

/** The bytes of a WAV file of one channel, 16 bits a sample. `samples` is a Float32Array from -1 to 1. */
export function encodeWav(samples, sampleRate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, 2 * sampleRate, true); // bytes a second
  view.setUint16(32, 2, true); // bytes a frame
  view.setUint16(34, 16, true); // bits
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, i) => view.setInt16(44 + 2 * i, Math.round(Math.max(-1, Math.min(1, sample)) * 32767), true));
  return new Blob([view.buffer], { type: "audio/wav" });
}

/** A file that this browser can play, as WAV: its channels' mean. Rejects where it cannot. */
export async function convert(blob) {
  const decoder = new OfflineAudioContext(1, 1, RATE);
  const sound = await decoder.decodeAudioData(await blob.arrayBuffer());
  const mono = new Float32Array(sound.length);
  for (let k = 0; k < sound.numberOfChannels; k++) {
    sound.getChannelData(k).forEach((sample, i) => { mono[i] += sample / sound.numberOfChannels; });
  }
  return encodeWav(mono, sound.sampleRate);
}

/** Record the microphone until `stop()`, which gives a WAV file; `onLevel(level, seconds)` hears how loud it is, from 0 to 1. */
export async function record(onLevel) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const recorder = new MediaRecorder(stream);
  const pieces = [];
  recorder.ondataavailable = (event) => pieces.push(event.data);
  const samples = new Float32Array(analyser.fftSize);
  const start = performance.now();
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    onLevel(Math.min(1, Math.max(...samples.map(Math.abs))), (performance.now() - start) / 1000);
  }, 80);
  recorder.start();
  return {
    async stop() {
      clearInterval(timer);
      const ended = new Promise((resolve) => { recorder.onstop = resolve; });
      recorder.stop();
      await ended;
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
      return convert(new Blob(pieces, { type: recorder.mimeType }));
    },
  };
}
