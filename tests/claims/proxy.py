"""A TCP proxy that cuts its connections, or stalls them without a word, for the claims."""

import asyncio
import threading


class Proxy:
    """Passes on to a port of the loopback whatever comes to its own."""

    def __init__(self, upstream):
        self.upstream, self.writers = upstream, set()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.port = self.do(self.start())

    def do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def start(self):
        self.flows = asyncio.Event()
        self.flows.set()
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        try:
            await self.flows.wait()
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, up_writer}
        self.writers |= both
        await asyncio.gather(self.pass_on(reader, up_writer), self.pass_on(up_reader, writer))
        self.writers -= both

    async def pass_on(self, reader, writer):
        try:
            while piece := await reader.read(65536):
                await self.flows.wait()
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def cut(self):
        """Ends all connections there are with a reset; new ones are let through."""
        self.do(self.abort())

    async def abort(self):
        for writer in self.writers:
            writer.transport.abort()

    def stall(self):
        """Lets nothing through any more, and tells nobody."""
        self.loop.call_soon_threadsafe(self.flows.clear)

    def resume(self):
        self.loop.call_soon_threadsafe(self.flows.set)
