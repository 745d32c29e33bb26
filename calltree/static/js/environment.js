/* ご利用環境チェック: what this computer and its network can do, each line green or red (R-AR-1). */

import { Microphone } from "./microphone.js";
import { chosenSound } from "./sound.js";

const CHROME_FROM = 120; // what the pages' markup and styles need
const SLOW_MS = 300;
const TRIES = 5;
const SOCKET_MS = 15000;
const RECORD_MS = 3000;

const TELEPHONE_MS = 5000; // a page with a telephone tells of it every second

const room = document.getElementById("environment");
const words = document.getElementById("environment-words").content;
const microphone = new Microphone();
const sound = chosenSound(); // what the telephone uses is tried, not what the browser would

const word = (code) => words.querySelector(`[data-code="${code}"]`)?.textContent || "";

function say(check, mark, text) {
  const line = room.querySelector(`[data-check="${check}"]`);
  const badge = line.querySelector("[data-mark]");
  badge.className = `badge ${{ ok: "ok", bad: "bad" }[mark] || "mute"}`;
  badge.textContent = word(mark);
  line.querySelector("[data-says]").textContent = text || word(`${check}.${mark}`);
}

function checkBrowser() {
  const brands = navigator.userAgentData?.brands || [];
  const chromium = brands.find((brand) => brand.brand === "Chromium");
  const version = Number(chromium?.version || 0);
  const works = version >= CHROME_FROM && "RTCPeerConnection" in window && "mediaDevices" in navigator;
  say("browser", works ? "ok" : "bad", works ? `Chromium ${version}` : "");
}

function checkScreen() {
  const size = `${window.innerWidth} × ${window.innerHeight}`;
  const works = window.screen.width >= 1280 && window.screen.height >= 720;
  say("screen", works ? "ok" : "bad", works ? size : `${size} ${word("screen.bad")}`);
}

async function checkLatency() {
  const times = [];
  try {
    for (let round = 0; round < TRIES; round += 1) {
      const began = performance.now();
      await fetch(room.dataset.alive, { cache: "no-store" });
      times.push(performance.now() - began);
    }
  } catch {
    say("latency", "bad");
    return;
  }
  const middle = Math.round(times.sort((a, b) => a - b)[Math.floor(TRIES / 2)]);
  say("latency", middle < SLOW_MS ? "ok" : "bad", middle < SLOW_MS ? `${middle} ms` : `${middle} ms ${word("latency.bad")}`);
}

function checkSocket(check, address, protocol) {
  const began = performance.now();
  const url = new URL(address, window.location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url, protocol ? [protocol] : []);
  const late = window.setTimeout(() => socket.close(), SOCKET_MS);
  let opened = false;
  socket.addEventListener("open", () => {
    opened = true;
    say(check, "ok", `${Math.round(performance.now() - began)} ms`);
    socket.close();
  });
  socket.addEventListener("close", () => {
    window.clearTimeout(late);
    if (!opened) say(check, "bad");
  });
}

/* Sound goes another way than the signalling, and firewalls often close it: the telephone itself knows. */
function checkPath() {
  let late = 0;
  const unknown = () => say("path", "none", word("path.ask"));
  new BroadcastChannel("calltree.path").addEventListener("message", ({ data }) => {
    window.clearTimeout(late);
    late = window.setTimeout(unknown, TELEPHONE_MS);
    if (data.path === "ok") say("path", "ok", `${Math.round(data.roundTrip * 1000)} ms`);
    else say("path", data.path || "wait", word(`path.${data.path || "wait"}`));
  });
  unknown();
}

async function tryMicrophone() {
  say("microphone", "wait", word("microphone.ask"));
  await microphone.open(sound.microphone, sound.processing);
}

function drawLevel() {
  const level = microphone.level();
  microphone.hear(level);
  room.querySelector("[data-level]").value = Math.min(1, (level || 0) * 2);
  const state = microphone.state();
  if (state) say("microphone", state === "ok" ? "ok" : "bad", word(`microphone.${state}`));
}

async function echo() {
  if (!microphone.stream) await tryMicrophone();
  if (!microphone.stream) return;
  const recorder = new MediaRecorder(microphone.stream);
  const pieces = [];
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  recorder.addEventListener("stop", async () => {
    const url = URL.createObjectURL(new Blob(pieces, { type: recorder.mimeType }));
    const audio = new Audio(url);
    audio.addEventListener("ended", () => URL.revokeObjectURL(url));
    await toSpeaker(audio);
    audio.play();
    room.dataset.played = String(pieces.reduce((sum, piece) => sum + piece.size, 0));
  });
  recorder.start();
  window.setTimeout(() => recorder.stop(), RECORD_MS);
}

async function toSpeaker(player) {
  await player.setSinkId?.(sound.speaker).catch(() => {}); // not here today: as the telephone does
}

async function tone() {
  const context = new AudioContext();
  await toSpeaker(context);
  const oscillator = context.createOscillator();
  const gain = context.createGain();
  oscillator.frequency.value = 440;
  gain.gain.value = 0.2;
  oscillator.connect(gain).connect(context.destination);
  oscillator.start();
  oscillator.stop(context.currentTime + 1.5);
  oscillator.addEventListener("ended", () => context.close());
}

const TRIES_OF = {
  microphone: tryMicrophone,
  echo,
  tone,
  heard: () => say("speaker", "ok"),
  unheard: () => say("speaker", "bad"),
};

room.addEventListener("click", (event) => {
  const asked = event.target.closest("[data-try]");
  if (asked) TRIES_OF[asked.dataset.try]();
});

checkBrowser();
checkScreen();
checkLatency();
checkSocket("live", room.dataset.live, "");
if (room.dataset.switch) {
  checkSocket("switch", room.dataset.switch, "sip");
  checkPath();
} else {
  for (const check of ["switch", "path"]) say(check, "none", word("switch.none"));
}
say("microphone", "wait", word("microphone.ask"));
say("speaker", "wait", word("speaker.ask"));
window.addEventListener("resize", checkScreen);
window.setInterval(drawLevel, 100);
