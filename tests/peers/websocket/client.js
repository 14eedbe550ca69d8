// A WebSocket client of the library `ws`: sends messages of many sizes to a server that echoes
// bytes, in one frame and in fragments, pings in between, and closes.
//
// usage: client.js URI    prints `ok` and the code of the server's close frame
"use strict";

const { randomBytes } = require("crypto");
const WebSocket = require("ws");

const ws = new WebSocket(process.argv[2]);
const sent = [];
let received = Buffer.alloc(0);
let pongs = 0;

function finish() {
  const all = Buffer.concat(sent);
  if (received.length < all.length || pongs < 3) return;
  if (!received.equals(all)) throw new Error("other bytes came back");
  ws.close(1000, "bye");
}

ws.on("open", () => {
  if (ws.extensions) throw new Error("nothing was to be agreed on");
  for (const size of [0, 1, 125, 126, 127, 65535, 65536, 200000]) {
    const data = randomBytes(size);
    sent.push(data, data);
    ws.send(data);
    for (let start = 0; start < size; start += 1000) {
      ws.send(data.subarray(start, start + 1000), { binary: true, fin: start + 1000 >= size });
    }
    ws.ping(randomBytes(size % 126));
  }
});
ws.on("message", (data) => {
  received = Buffer.concat([received, data]);
  finish();
});
ws.on("pong", () => {
  pongs += 1;
  finish();
});
ws.on("close", (code) => {
  console.log("ok", code);
  process.exit(0);
});
ws.on("error", (error) => {
  throw error;
});
