// Node with npm:ws as people write it: every socket is sent every string, in a loop. It verifies and reads nothing.
const { ws, texts } = JSON.parse(process.argv[2]);
const { WebSocketServer } = require(ws);

const HIGH_WATER_BYTES = 256 * 1024;
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
let isRunning = false;

function sendAll() {
  if (!isRunning) return;
  for (const socket of server.clients) {
    if (socket.readyState !== 1 || socket.bufferedAmount > HIGH_WATER_BYTES) continue;
    for (const text of texts) socket.send(text);
  }
  setImmediate(sendAll);
}

const questions = {
  port: () => ({ port: server.address().port }),
  run: () => {
    isRunning = true;
    sendAll();
    return {};
  },
  hold: () => {
    isRunning = false;
    return {};
  },
};

server.once("listening", () => {
  let rest = "";
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) console.log(JSON.stringify(questions[JSON.parse(line)[0]]()));
  });
  process.stdin.on("end", () => process.exit(0));
});
