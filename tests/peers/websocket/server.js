// A WebSocket server of the library `ws`: echoes each message, and pings before it does.
//
// usage: server.js PORT    prints `listening`, each ping that came, and how connections closed
"use strict";

const WebSocket = require("ws");

const server = new WebSocket.Server({ host: "127.0.0.1", port: Number(process.argv[2]) });
server.on("listening", () => console.log("listening"));
server.on("connection", (ws) => {
  ws.on("message", (data) => {
    ws.ping("are you there");
    ws.send(data.subarray(0, 10), { binary: true, fin: false });
    ws.send(data.subarray(10), { binary: true, fin: true });
    if (data.toString() === "close") ws.close(1000, "as you wish");
  });
  ws.on("ping", () => console.log("pinged"));
  ws.on("close", (code) => console.log("closed", code));
});
