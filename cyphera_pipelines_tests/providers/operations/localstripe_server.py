"""A program: localstripe, listening on a free port of this machine, which it prints. It keeps nothing on disk."""

import socket

from aiohttp import web
from localstripe import resources
from localstripe.server import app

resources.Store.dump_to_disk = lambda _self: None
with socket.create_server(("127.0.0.1", 0)) as listening:
    print(listening.getsockname()[1], flush=True)
    web.run_app(app, sock=listening, print=None)
