/* The softphone in the operator's top bar. It lives as long as the page: moving around swaps #main only.
   Microphone, leg and quality are modules of their own; this one decides what is wrong, says it, and tells
   the server, which lets nobody stand by who could not hear or be heard. */

import { Leg } from "./leg.js";
import { Microphone } from "./microphone.js";
import { chosenSound, keepSound } from "./sound.js";
import { Quality } from "./quality.js";

const REPORT_MS = 10000;
const RETRY_MS = 3000;
const SOCKET_GRACE_MS = 2000;
const UNKNOWN_LEG_MS = 6000;
const PATH_CHANNEL = new BroadcastChannel("calltree.path"); // the check of the computer is another page
const SETTLED_MS = 1500; // by then the server knows of a leg that was just made

const panel = document.getElementById("softphone-panel");
const microphone = new Microphone();
const quality = new Quality();
const sound = chosenSound();
const audio = new Audio();
audio.autoplay = true;

let leg = null;
let address = ""; // of the switch that the leg is on
let elsewhere = false; // another page is the operator's
let over = false;
let beginning = false;
let downSince = 0;
let unknownSince = 0;
let reported = "";
let shown = "";

const keep = () => keepSound(sound);

const at = (name) => panel.querySelector(`[data-${name}]`);
const word = (code) => panel.querySelector("template").content.querySelector(`[data-code="${code}"]`)?.textContent || "";
const inCall = () => document.querySelector("#operator-state:is(.dialling, .talking, .held)") !== null;
const talking = () => document.querySelector("#operator-state.talking") !== null;

async function post(address, values = {}) {
  const headers = JSON.parse(document.body.getAttribute("hx-headers:inherited") || "{}");
  headers["X-Page-Id"] = sessionStorage.getItem("calltree.page") || "";
  return fetch(address, { method: "POST", headers, body: new URLSearchParams(values), redirect: "manual" });
}

/* ---- the leg ---- */

async function begin() {
  if (over || beginning) return;
  beginning = true;
  try {
    if (!microphone.stream && !(await microphone.open(sound.microphone, sound.processing))) return;
    const answer = await post(panel.dataset.connect);
    if (answer.ok) connect(await answer.json());
    else if (answer.status === 409) elsewhere = true;
    else if (answer.type === "opaqueredirect" || answer.status === 401) over = true;
    else throw new Error(`status ${answer.status}`);
  } catch {
    window.setTimeout(begin, RETRY_MS);
  } finally {
    beginning = false;
    show();
  }
}

function connect(given) {
  leg?.stop();
  elsewhere = false;
  address = given.url;
  const mine = new Leg(given, microphone.stream);
  leg = mine;
  mine.addEventListener("change", () => {
    if (mine.connected) downSince = 0;
    else downSince ||= performance.now();
    if (mine.live) window.setTimeout(report, SETTLED_MS);
    else quality.forget();
    show();
  });
  mine.addEventListener("track", (event) => {
    audio.srcObject = event.detail;
    audio.play().catch(() => {});
  });
  mine.addEventListener("expired", () => {
    window.setTimeout(() => leg === mine && begin(), RETRY_MS);
  });
}

function stop() {
  leg?.stop();
  leg = null;
  show();
}

/* The server knows no leg, or another page's, or wants it on another switch: ours is made anew. */
function compare(known) {
  if (known.url !== address && !inCall()) {
    begin();
    return;
  }
  if (!leg?.live || !known.heard || ["parked", "joined"].includes(known.leg)) {
    unknownSince = 0;
    if (["parked", "joined"].includes(known.leg)) refresh();
    return;
  }
  unknownSince ||= performance.now();
  if (performance.now() - unknownSince > UNKNOWN_LEG_MS) {
    unknownSince = 0;
    leg.redial();
  }
}

/* The call box was drawn while the leg was away, and the push that followed met the page being swapped. */
function refresh() {
  const box = document.querySelector("#call-status:is(.idle, .ended):has(#call-now button:disabled)");
  if (box) window.htmx.ajax("GET", box.dataset.anew, { source: box, target: box, swap: "none" });
}

async function report() {
  if (over || elsewhere || !leg) return;
  const values = { microphone: microphone.state(), trouble: trouble() };
  reported = JSON.stringify(values);
  try {
    const answer = await post(panel.dataset.report, values);
    if (answer.ok) compare(await answer.json());
    else if (answer.status === 409) {
      elsewhere = true;
      stop();
    } else if (answer.type === "opaqueredirect" || answer.status === 401) {
      // signed out or forced out; a call that goes on is not the customer's fault
      if (!inCall()) {
        over = true;
        stop();
      }
    }
  } catch {
    // the page's own bar says that the server is away
  }
}

/* ---- what is wrong ---- */

function trouble() {
  const lost = document.getElementById("lost-bar");
  const down = downSince && performance.now() - downSince > SOCKET_GRACE_MS;
  if (!navigator.onLine || (lost && !lost.hidden && down)) return "network";
  const mic = microphone.state();
  if (mic && mic !== "ok" && mic !== "mic_silent") return mic;
  if (down) return "switch";
  if (leg && leg.connected && !leg.registered && !leg.live) return "unregistered";
  if (leg?.path === "bad") return "no_path";
  if (leg?.live && talking() && quality.silent) return "no_audio";
  if (mic === "mic_silent") return mic;
  if (leg?.live && inCall() && quality.unstable) return "unstable";
  return "";
}

function state() {
  if (over) return "ended";
  if (elsewhere) return "elsewhere";
  if (!leg?.live) return "connecting";
  return "live";
}

/* ---- showing ---- */

function show() {
  const wrong = elsewhere || over ? "" : trouble();
  const code = wrong || state();
  if (code !== shown) {
    shown = code;
    panel.dataset.state = code;
    at("word").textContent = word(wrong ? "trouble" : code);
    at("says").textContent = word(code);
    at("says").classList.toggle("bad-text", Boolean(wrong));
    at("button").classList.toggle("bad", Boolean(wrong) && wrong !== "unregistered");
  }
  alarm();
  const values = JSON.stringify({ microphone: microphone.state(), trouble: wrong });
  if (leg && values !== reported) report();
}

/* The red sentence in the call box; the box is pushed again and again, so it is filled again. */
function alarm() {
  const wrong = panel.dataset.state in SENTENCES ? panel.dataset.state : "";
  for (const box of document.querySelectorAll("[data-softphone-trouble]")) {
    const hidden = !wrong;
    if (box.hidden !== hidden) box.hidden = hidden;
    const said = box.querySelector("span");
    if (wrong && said.textContent !== word(wrong)) said.textContent = word(wrong);
  }
}

const SENTENCES = Object.fromEntries(
  [...panel.querySelector("template").content.querySelectorAll("[data-trouble]")]
    .map((line) => [line.dataset.code, true]),
);

function drawQuality() {
  const has = Boolean(leg?.live) && leg.path === "ok";
  at("quality").value = has ? quality.grade() : 0;
  at("loss").textContent = has ? (quality.loss * 100).toFixed(1) : "–";
  at("jitter").textContent = has ? Math.round(quality.jitter * 1000) : "–";
  at("round").textContent = has ? Math.round(quality.roundTrip * 1000) : "–";
}

async function watch() {
  if (leg?.pc) {
    await quality.take(leg.pc).catch(() => {});
    if (!inCall()) quality.rest();
    // the socket came back: the leg is redone as soon as nobody is on it, or when it is dead
    if (leg?.stale && (!inCall() || quality.silent)) leg.redial();
  }
  drawQuality();
  show();
  PATH_CHANNEL.postMessage({ path: leg?.path || "", roundTrip: quality.roundTrip });
}

function drawLevel() {
  const level = microphone.level() ?? quality.micLevel;
  microphone.hear(level);
  for (const meter of panel.querySelectorAll("[data-level]")) meter.value = Math.min(1, (level || 0) * 2);
}

/* ---- devices ---- */

async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) || [];
  for (const [name, kind] of [["microphone", "audioinput"], ["speaker", "audiooutput"]]) {
    const select = at(`choose-${name}`);
    const first = select.options[0];
    const options = devices
      .filter((device) => device.kind === kind && device.deviceId && device.deviceId !== "default")
      .map((device) => new Option(device.label || device.deviceId.slice(0, 8), device.deviceId));
    select.replaceChildren(first, ...options);
    select.value = options.some((option) => option.value === sound[name]) ? sound[name] : "";
  }
}

async function openMicrophone() {
  if (await microphone.open(sound.microphone, sound.processing)) {
    if (leg) await leg.use(microphone.stream);
    else begin();
    listDevices();
  }
  show();
}

async function useSpeaker() {
  await audio.setSinkId?.(sound.speaker).catch(() => {});
}

function wire() {
  at("choose-microphone").addEventListener("change", (event) => {
    sound.microphone = event.target.value;
    keep();
    openMicrophone();
  });
  at("choose-speaker").addEventListener("change", (event) => {
    sound.speaker = event.target.value;
    keep();
    useSpeaker();
  });
  at("volume").value = sound.volume;
  audio.volume = sound.volume;
  at("volume").addEventListener("input", (event) => {
    sound.volume = audio.volume = Number(event.target.value);
    keep();
  });
  at("processing").checked = sound.processing;
  at("processing").addEventListener("change", (event) => {
    sound.processing = event.target.checked;
    keep();
    openMicrophone();
  });
  at("again").addEventListener("click", () => {
    elsewhere = false;
    if (leg) leg.redial();
    else begin();
  });
  navigator.mediaDevices?.addEventListener("devicechange", () => {
    listDevices();
    if (microphone.problem && microphone.problem !== "mic_denied") openMicrophone();
  });
  navigator.permissions?.query({ name: "microphone" }).then((permission) => {
    permission.addEventListener("change", () => {
      if (permission.state === "granted" && !microphone.stream) openMicrophone();
      else if (permission.state === "denied") show();
    });
  }).catch(() => {});
  microphone.addEventListener("change", show);
  for (const name of ["online", "offline"]) window.addEventListener(name, show);
  document.addEventListener("htmx:after:swap", alarm);
  // pressed to go to another switch: the answer tells which
  document.addEventListener("submit", (event) => {
    if (event.target.closest("#switch-lost")) window.setTimeout(report, SETTLED_MS);
  });
  window.addEventListener("pagehide", () => leg?.stop());
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) window.location.reload(); // its leg was ended when it was put away
  });
}

/* The telephone belongs to the page of the call screen, not to a customer's page in a window of its own. */
let started = false;

function start() {
  if (started) return;
  started = true;
  panel.hidden = false;
  wire();
  useSpeaker();
  begin().then(listDevices);
  window.setInterval(drawLevel, 100);
  window.setInterval(watch, 1000);
  window.setInterval(report, REPORT_MS);
  new MutationObserver(alarm).observe(document.body, { subtree: true, childList: true });
}

if (sessionStorage.getItem("calltree.desk")) start();
else document.addEventListener("calltree:desk", start);
