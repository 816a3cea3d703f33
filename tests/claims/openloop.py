"""Requests sent when they are due, whatever became of those before, and what was answered when."""

import asyncio
import dataclasses
import gc
import time

PATIENCE_S = 60
TICK_S = 0.005


@dataclasses.dataclass(slots=True)
class Answer:
    """Times are seconds of one clock; a request that got no answer has its error instead of a status."""

    due: float
    sent: float
    done: float = 0.0
    status: int | str = 0
    body: bytes = b""

    def latency_ms(self):
        """From when it was due: what waited to be sent waited too."""
        return (self.done - self.due) * 1e3


def send(port, path, bodies, rate):
    """POSTs the bodies at a fixed rate; the answers in their order, and how late the loop ran at times, in ms."""
    return asyncio.run(OpenLoop(port, path).run(bodies, rate))


class OpenLoop:
    def __init__(self, port, path):
        self.port, self.idle, self.late_ms = port, [], []
        self.head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"

    async def run(self, bodies, rate):
        requests = [f"{self.head}content-length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
        # A collection would hold all requests up.
        gc.collect()
        gc.disable()
        watch = asyncio.create_task(self.watch())
        try:
            return await self.send_all(requests, rate), self.late_ms
        finally:
            watch.cancel()
            gc.enable()
            for _, writer in self.idle:
                writer.close()

    async def send_all(self, requests, rate):
        start, calls = time.monotonic() + 0.05, []
        for number, request in enumerate(requests):
            due = start + number / rate
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            calls.append(asyncio.create_task(self.call(request, due)))
        return await asyncio.gather(*calls)

    async def call(self, request, due):
        answer = Answer(due, time.monotonic())
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer.status, answer.body = await self.exchange(request)
        except (OSError, EOFError, TimeoutError) as error:
            answer.status = repr(error)
        answer.done = time.monotonic()
        return answer

    async def exchange(self, request):
        """On the connection that was used last and is still open, or on a new one."""
        while self.idle:
            reader, writer = self.idle.pop()
            if not reader.at_eof():
                break
            writer.close()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length))
        self.idle.append((reader, writer))
        return int(head.split(b" ", 2)[1]), body

    async def watch(self):
        """How late what is due at some moment is done: by so much the times may be wrong."""
        while True:
            due = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            self.late_ms.append((time.monotonic() - due) * 1e3)
