"""A WebSocket server of the library `websockets`: echoes each message, in fragments if it is
long, and pings before it does.

usage: server.py PORT    prints `listening`, and for each connection how it was closed
"""

import asyncio
import sys

import websockets


async def fragments(data):
    for start in range(0, len(data), 10_000):
        yield data[start : start + 10_000]


async def serve(ws, *_):
    try:
        async for message in ws:
            await asyncio.wait_for(await ws.ping(b"are you there"), 10)
            await ws.send(fragments(message) if len(message) > 10_000 else message)
            if message == b"close":
                await ws.close(1000, "as you wish")
    except websockets.ConnectionClosed:
        pass
    print("closed", ws.close_code, flush=True)


async def main(port):
    async with websockets.serve(serve, "127.0.0.1", port, max_size=None):
        print("listening", flush=True)
        await asyncio.Future()


asyncio.run(main(int(sys.argv[1])))
