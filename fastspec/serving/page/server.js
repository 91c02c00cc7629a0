// The server, asked.

import { convert } from "./sound.js";
import { megabytes } from "./words.js";

/** Why there is no answer; `status` as in a store's ledger, where the sound is to blame. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** What an endpoint says of a sound; waits its turn where the server is full. */
export async function ask(path, blob, query) {
  for (;;) {
    let response;
    try {
      response = await fetch(`${path}?${new URLSearchParams(query)}`, { method: "POST", body: blob });
    } catch {
      const readable = await blob.slice(0, 1).arrayBuffer().catch(() => null);
      throw new Refused(readable ? "the server cannot be reached; is it still running?" : "this browser cannot read the file; was it moved?");
    }
    if (response.ok) return response.json();
    if (response.status === 429) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * Number(response.headers.get("retry-after") ?? 1)));
      continue;
    }
    const problem = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
    throw new Refused(problem.error, problem.status);
  }
}

/** What the model says of a sound. One that only the browser can read is converted first. */
export async function predict(sound, model) {
  if (sound.blob.size > model.upload_bytes) {
    throw new Refused(`the sound has ${megabytes(sound.blob.size)}, and at most ${megabytes(model.upload_bytes)} are taken here; cut or compress it`);
  }
  try {
    return await ask("api/predict", sound.blob, { name: sound.name });
  } catch (error) {
    if (error.status !== "unreadable") throw error;
    const converted = await convert(sound.blob).catch(() => null);
    if (converted === null) throw error;
    sound.blob = converted;
    sound.note = "decoded by this browser";
    return ask("api/predict", converted, { name: sound.name });
  }
}

/** The numbers in a text of base64. */
export function unpack(text, Bytes) {
  return new Bytes(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}
