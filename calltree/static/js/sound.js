/* Which devices this operator's telephone uses, kept in the browser. */

const KEPT = "calltree.sound"; // joined.js, which is no module, reads it too

export function chosenSound() {
  const usual = { microphone: "", speaker: "", volume: 1, processing: true };
  try {
    return { ...usual, ...JSON.parse(localStorage.getItem(KEPT) || "{}") };
  } catch {
    return usual;
  }
}

export function keepSound(sound) {
  localStorage.setItem(KEPT, JSON.stringify(sound));
}
