/* A switch inside the page: it takes the page's call and speaks, until it is told to be silent. */

class FarEnd {
  OPEN = 1;
  readyState = 1;

  constructor() {
    window.setTimeout(() => this.onopen());
  }

  close() {}

  send(text) {
    const kind = text.split(" ")[0];
    if (kind === "REGISTER") this.answer(text, { Contact: `${head(text, "Contact")};expires=120` });
    if (kind === "INVITE") this.pickUp(text);
    if (kind === "BYE") this.answer(text);
  }

  async pickUp(text) {
    const pc = new RTCPeerConnection();
    const speech = await navigator.mediaDevices.getUserMedia({ audio: true });
    window.farEndSpeaks = pc.addTrack(speech.getAudioTracks()[0], speech);
    await pc.setRemoteDescription({ type: "offer", sdp: text.split("\r\n\r\n")[1] });
    await pc.setLocalDescription(await pc.createAnswer());
    while (pc.iceGatheringState !== "complete") {
      await new Promise((done) => window.setTimeout(done, 20));
    }
    const fields = { Contact: "<sip:agent@far.invalid;transport=ws>" };
    fields["Content-Type"] = "application/sdp";
    this.answer(text, fields, pc.localDescription.sdp);
  }

  answer(text, more = {}, body = "") {
    const same = ["Via", "From", "Call-ID", "CSeq"].map((name) => [name, head(text, name)]);
    const to = head(text, "To");
    const fields = [...same, ["To", to.includes("tag=") ? to : `${to};tag=far`]];
    fields.push(...Object.entries(more), ["Content-Length", new Blob([body]).size]);
    const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const data = `SIP/2.0 200 OK\r\n${lines}\r\n${body}`;
    window.setTimeout(() => this.onmessage({ data }));
  }
}

function head(text, name) {
  return text.match(new RegExp(`^${name}: (.*)$`, "m"))[1].trim();
}

/* Stops the packets themselves: a silent room would still send some. */
window.farEndSounds = async (active) => {
  const given = window.farEndSpeaks.getParameters();
  given.encodings[0].active = active;
  await window.farEndSpeaks.setParameters(given);
};

const RealSocket = window.WebSocket;
window.WebSocket = new Proxy(RealSocket, {
  construct: (_, given) => (given[1] === "sip" ? new FarEnd() : new RealSocket(...given)),
});
