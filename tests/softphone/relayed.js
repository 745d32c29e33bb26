/* Between the page and its switch, real or made up in the page: each is told the relay's port as the other's. */

const NextSocket = window.WebSocket;
window.WebSocket = new Proxy(NextSocket, {
  construct(_, given) {
    const socket = new NextSocket(...given);
    if (given[1] !== "sip") return socket;
    const send = socket.send.bind(socket);
    let hear = () => {};
    socket.send = (data) => send(told(data, window.relayPorts.forSwitch));
    Object.defineProperty(socket, "onmessage", {
      get: () => ({ data }) => hear({ data: told(data, window.relayPorts.forPage) }),
      set: (given) => { hear = given; },
    });
    socket.addEventListener?.("message", (event) => socket.onmessage(event));
    return socket;
  },
});

function told(message, port) {
  const [head, body] = String(message).split("\r\n\r\n");
  if (!body?.includes("\r\nm=audio ")) return message;
  const kept = body.split("\r\n").filter((line) => line && !/^a=(candidate|end-of-candidates|rtcp:)/.test(line));
  const named = kept.map((line) => line
    .replace(/^m=audio \d+/, `m=audio ${port}`)
    .replace(/^c=IN IP4 \S+/, "c=IN IP4 127.0.0.1"));
  const said = `${[...named, `a=candidate:1 1 udp 2130706431 127.0.0.1 ${port} typ host`].join("\r\n")}\r\n`;
  const length = new TextEncoder().encode(said).length;
  return `${head.replace(/^Content-Length: *\d+/im, `Content-Length: ${length}`)}\r\n\r\n${said}`;
}
