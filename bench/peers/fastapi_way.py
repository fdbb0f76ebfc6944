"""The way that is usually taken: a FastAPI endpoint that asks InfluxDB for each device of each connection, once a second.

It verifies no token, knows one tenant per connection by its query and asks nothing about alerts: all of that would cost
more. Queries of a connection go out together over kept connections.
"""

import asyncio
import os
from contextlib import asynccontextmanager

import aiohttp
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

POLL_SECONDS = float(os.environ["POLL_SECONDS"])
QUERY_URL = f"{os.environ['INFLUXDB_URL']}/query"
QUERY = (
    'SELECT *::field FROM "telemetry" WHERE "device_id" = $device AND time > now() - 6h '
    "ORDER BY time DESC LIMIT 1"
)


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with aiohttp.ClientSession() as session:
        app.state.session = session
        yield


app = FastAPI(lifespan=lifespan)


async def newest(session: aiohttp.ClientSession, tenant: str, device: str) -> dict | None:
    parameters = {"db": f"telemetry_{tenant}", "q": QUERY, "params": f'{{"device":"{device}"}}'}
    async with session.get(QUERY_URL, params=parameters) as response:
        response.raise_for_status()
        answer = await response.json()
    series = answer["results"][0].get("series")
    if not series:
        return None
    metrics = dict(zip(series[0]["columns"], series[0]["values"][0]))
    whole, _, fraction = metrics.pop("time").rstrip("Z").partition(".")
    return {"timestamp": f"{whole}.{fraction:0<9}Z", "metrics": metrics}


@app.websocket("/ws")
async def feed(socket: WebSocket, tenant: str) -> None:
    await socket.accept()
    try:
        request = await socket.receive_json()
        devices = request["device_ids"]
        await socket.send_json({"type": "subscribed", "device_ids": devices})
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            samples = await asyncio.gather(
                *(newest(app.state.session, tenant, device) for device in devices)
            )
            for device, sample in zip(devices, samples):
                if sample is not None:
                    message = {"type": "telemetry", "device_id": device, "data": sample}
                    await socket.send_json(message)
            due = max(due + POLL_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())
    except WebSocketDisconnect:
        pass
