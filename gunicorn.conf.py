"""The web server: one thread per open socket and some for pages (docs/performance.md)."""

import gc
import logging
import os
import signal
import sys

_host = os.environ.get("HOST") or "127.0.0.1"
_port = os.environ.get("PORT") or "8000"
bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
# gevent loses part of a large frame to a slow reader; gthread's sockets are blocking
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS") or 2)
threads = int(os.environ.get("WEB_THREADS") or 200)
# more would let one worker take sockets for which no thread is left, and its pages hang
worker_connections = threads
timeout = 60
# open sockets hold a worker this long at most; the hub has closed them with 1012 before
graceful_timeout = 5
# none is kept idle with as many connections as threads, but this is also how long a connection
# may wait with its first request: a browser opens them beforehand
keepalive = 5
# a worker that ends after n requests would cut calls' screens at random
max_requests = 0
# threads and Redis connections must be born in the worker
preload_app = False
control_socket_disable = True
# uploads and the database are nobody else's on this machine
umask = 0o027
accesslog = None


def _worth_saying(record):
    """Leave out the one warning that is wrong here: that no connection is kept idle is meant."""
    return not record.getMessage().startswith("No keepalived connections can be handled.")


logging.getLogger("gunicorn.error").addFilter(_worth_saying)


def post_worker_init(worker):
    """On SIGTERM tell open pages at once to connect elsewhere, then stop as gunicorn does."""
    # a thread back from the database asks for the interpreter: by default one that draws a page
    # keeps it 5 ms more, at each statement, and the one writer's turn grows tenfold
    sys.setswitchinterval(0.0005)
    # what was imported stays for good: not walked through again by each full collection, for
    # which all threads wait (80 ms, in the middle of somebody's press)
    gc.collect()
    gc.freeze()
    hub = worker.wsgi.extensions["calltree.live"]
    go_on = signal.getsignal(signal.SIGTERM)

    def stop(number, frame):
        hub.stop()
        go_on(number, frame)

    signal.signal(signal.SIGTERM, stop)
    signal.siginterrupt(signal.SIGTERM, False)
