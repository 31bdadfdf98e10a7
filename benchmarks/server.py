"""A server with 100 ms of latency: 1,000 cases at concurrency 64 against the ideal of 16 rounds.

    python benchmarks/server.py [--cases 1000] [--concurrency 64] [--latency 0.1] [--repeats 3]

The server is a process of its own on loopback. The time goes from the first request to the last
output in the cache, slow start included; the ideal is what the server's latency alone takes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import systems
from harness.cache import Cache
from harness.runner import Batch, Runner
from harness.types import Case, ModelSpec, SystemSpec

REPLY = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "an answer of a few words"},
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11},
}


def serve(latency_s: float, port: Connection) -> None:
    """Answer every request after the same time."""
    body = json.dumps(REPLY).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer = head.encode() + body

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:  # the client has what it wants
                return writer.close()
            length = int(line.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            await asyncio.sleep(latency_s)
            writer.write(answer)

    async def main() -> None:
        server = await asyncio.start_server(one, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def measure(port: int, cases: int, concurrency: int, folder: Path) -> float:
    """Return the seconds that all cases take, through a fresh cache."""
    model = ModelSpec(
        name="m",
        kind="openai",
        source="m",
        options={"base_url": f"http://127.0.0.1:{port}/v1", "concurrency": concurrency},
    )
    spec = SystemSpec(name="s", kind="prompt", rung="prompt", folder=folder, model=model)
    questions = [Case(id=f"c{i}", input=f"question {i}") for i in range(cases)]
    runner = Runner(load=systems.load, cache=Cache(folder / f"{time.monotonic_ns()}.db"))
    started = time.perf_counter()
    answers = runner.run(Batch(spec=spec, fingerprint="f", cases=questions))
    took = time.perf_counter() - started
    assert all(a.output is not None and a.output.error is None for a in answers.values())
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(options.latency, theirs), daemon=True
    )
    server.start()
    port = ours.recv()
    ideal = math.ceil(options.cases / options.concurrency) * options.latency
    with tempfile.TemporaryDirectory() as name:
        measure(port, options.concurrency, options.concurrency, Path(name))  # imports
        took, used = [], []
        for _ in range(options.repeats):
            before = time.process_time()
            took.append(measure(port, options.cases, options.concurrency, Path(name)))
            used.append(time.process_time() - before)
    server.terminate()
    print("| cases | concurrency | ideal s | median s | ratio | of it processor s |")
    print("|---|---|---|---|---|---|")
    median = statistics.median(took)
    print(
        f"| {options.cases:,} | {options.concurrency} | {ideal:.2f} | {median:.2f} |"
        f" {median / ideal:.2f} | {statistics.median(used):.2f} |"
    )


if __name__ == "__main__":
    main()
