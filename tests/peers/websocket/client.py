"""A WebSocket client of the library `websockets`: sends messages of many sizes to a server that
echoes bytes, in one frame and in fragments, pings in between, and closes.

usage: client.py URI    prints `ok` and the code of the server's close frame
"""

import asyncio
import os
import sys

import websockets

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 200_000]


async def fragments(data):
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


async def receive(ws, length):
    got = b""
    while len(got) < length:
        message = await ws.recv()
        got += message.encode() if isinstance(message, str) else message
    return got


async def main(uri):
    async with websockets.connect(uri, max_size=None, compression="deflate") as ws:
        assert not ws.extensions, "nothing was to be agreed on"
        for size in SIZES:
            data = os.urandom(size)
            await ws.send(data)
            assert await receive(ws, size) == data, size
            if size:
                await ws.send(fragments(data))
                assert await receive(ws, size) == data, size
        await ws.send("text is bytes")
        assert await receive(ws, 13) == b"text is bytes"
        for payload in [b"", b"x", b"y" * 125]:
            await asyncio.wait_for(await ws.ping(payload), 10)
        await ws.close(1000, "bye")
        print("ok", ws.close_code)


asyncio.run(asyncio.wait_for(main(sys.argv[1]), 30))
