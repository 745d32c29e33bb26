/* A guidance is turned into WAV (8 kHz, mono, 16 bit) here: browsers read MP3 and M4A, the server need not.
   What was chosen or recorded takes the file's place in the form; the server evens out the level. */

const RATE = 8000;
const form = document.querySelector("form[data-guidance]");
const most = Number(form.dataset.guidance);
const field = form.querySelector('input[type="file"]');
const says = form.querySelector("[data-says]");
const preview = form.querySelector("[data-preview]");
const press = form.querySelector("[data-records]");
let own = null; // the file that we put there ourselves
let recorder = null;
let turn = 0; // of what is being turned into ours, the last counts
let busy = false;
let waits = null; // who pressed 保存 before the sound was there

function say(code) {
  says.textContent = says.dataset[code] || "";
  says.classList.toggle("bad-text", ["unreadable", "long", "refused"].includes(code));
}

async function ourForm(data) {
  const read = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(data);
  if (read.duration > most) throw new RangeError("long");
  const mixed = new OfflineAudioContext(1, Math.max(1, Math.round(read.duration * RATE)), RATE);
  const source = mixed.createBufferSource();
  source.buffer = read;
  source.connect(mixed.destination);
  source.start();
  return (await mixed.startRendering()).getChannelData(0);
}

function wav(samples) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((letter, n) => bytes.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true);
  bytes.setUint16(22, 1, true);
  bytes.setUint32(24, RATE, true);
  bytes.setUint32(28, 2 * RATE, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  text(36, "data");
  bytes.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, n) => bytes.setInt16(44 + 2 * n, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new Blob([bytes], { type: "audio/wav" });
}

async function take(blob, name) {
  const mine = (turn += 1);
  busy = true;
  let samples = null;
  let fault = null;
  try {
    samples = await ourForm(await blob.arrayBuffer());
  } catch (error) {
    fault = error;
  }
  if (mine !== turn) return;
  busy = false;
  const saver = waits;
  waits = null;
  if (fault) {
    field.value = "";
    preview.hidden = true;
    say(fault instanceof RangeError ? "long" : "unreadable");
    return;
  }
  const sound = wav(samples);
  own = new File([sound], `${name.replace(/\.[^.]*$/, "")}.wav`, { type: "audio/wav" });
  const files = new DataTransfer();
  files.items.add(own);
  field.files = files.files;
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(sound);
  preview.hidden = false;
  say("taken");
  if (saver) form.requestSubmit(saver);
}

/* What was sent before would be the file as it was chosen, or nothing at all of what is being recorded. */
form.addEventListener("submit", (event) => {
  if (!busy && !recorder) return;
  event.preventDefault();
  waits = event.submitter;
  recorder?.stop();
});

field.addEventListener("change", () => {
  const [file] = field.files;
  if (file && file !== own) take(file, file.name);
});

async function record() {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch {
    say("refused");
    return;
  }
  const parts = [];
  recorder = new MediaRecorder(stream);
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  recorder.addEventListener("stop", () => {
    window.clearTimeout(late);
    for (const track of stream.getTracks()) track.stop();
    press.querySelector("span").textContent = press.dataset.record;
    const kind = recorder.mimeType;
    recorder = null;
    take(new Blob(parts, { type: kind }), "recording");
  });
  const late = window.setTimeout(() => recorder?.stop(), most * 1000 - 500);
  recorder.start();
  press.querySelector("span").textContent = press.dataset.stop;
  say("recording");
}

press.addEventListener("click", () => {
  if (recorder) recorder.stop();
  else record();
});
