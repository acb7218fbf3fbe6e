"""How the sidecar is served: a gunicorn worker whose loop reads, answers and writes, and waits for no client and no call.

`arrival` tells when a whole request is there, `connection` keeps one client and `clients` all of them, `application` asks
for the answer, `turns` are the threads that have the loop in turn, and `worker` is the loop.
"""
