/* The players of recordings: the waveform shows how far it is and is clicked to go there; speeds; steps back
   and forward. Works for players that are put into the page later, too. */
(() => {
  "use strict";

  const player = (element) => element.closest?.("[data-player]");
  const audioOf = (room) => room.querySelector("audio");

  /* A file served in pieces may not know its end before it is played: the server's length counts then. */
  function lengthOf(audio) {
    return Number.isFinite(audio.duration) && audio.duration > 0
      ? audio.duration
      : Number(audio.dataset.length) || 0;
  }

  function draw(audio) {
    const room = player(audio);
    const heard = room?.querySelector("[data-heard]");
    if (!heard) return;
    const width = heard.ownerSVGElement.viewBox.baseVal.width;
    const share = lengthOf(audio) ? Math.min(audio.currentTime / lengthOf(audio), 1) : 0;
    heard.setAttribute("width", String(width * share));
  }

  function goTo(audio, seconds) {
    const target = Math.max(0, Math.min(seconds, lengthOf(audio)));
    if (audio.readyState > 0) {
      audio.currentTime = target;
      return;
    }
    audio.addEventListener("loadedmetadata", () => { audio.currentTime = target; }, { once: true });
    audio.load();
    audio.play();
  }

  document.addEventListener("click", (event) => {
    const room = player(event.target);
    if (!room) return;
    if (event.target.closest("[data-shut]")) {
      room.remove(); // an audio element that leaves the page stops
      return;
    }
    const audio = audioOf(room);
    if (!audio) return;
    const wave = event.target.closest("[data-wave]");
    if (wave) {
      const box = wave.getBoundingClientRect();
      goTo(audio, ((event.clientX - box.left) / box.width) * lengthOf(audio));
    }
    const step = event.target.closest("[data-skip]");
    if (step) goTo(audio, audio.currentTime + Number(step.dataset.skip));
    const speed = event.target.closest("[data-speed]");
    if (speed) {
      audio.defaultPlaybackRate = Number(speed.dataset.speed);
      audio.playbackRate = Number(speed.dataset.speed);
      for (const other of room.querySelectorAll("[data-speed]")) {
        other.setAttribute("aria-pressed", String(other === speed));
      }
    }
  });

  /* Media events do not bubble; they are caught on the way down. */
  for (const name of ["timeupdate", "seeked", "loadedmetadata", "ended"]) {
    document.addEventListener(name, (event) => {
      if (event.target instanceof HTMLAudioElement) draw(event.target);
    }, true);
  }

  /* Two voices at once help nobody: starting one player pauses the others. */
  document.addEventListener("play", (event) => {
    for (const audio of document.querySelectorAll("[data-player] audio")) {
      if (audio !== event.target) audio.pause();
    }
  }, true);
})();
