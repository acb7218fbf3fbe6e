"""How the sidecar is served: a gunicorn worker whose loop reads and writes, so that no slow client keeps a thread.

`arrival` tells when a whole request is there, `connection` keeps one client, `worker` is the loop and its threads.
"""
