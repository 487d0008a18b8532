"""A server seen from afar: a port of the loopback behind which every byte arrives a while later, in both directions.

Nothing is made slower but later: like a long cable, not like a thin one. Run by itself it prints its port:

    bench/delay.py PORT SECONDS      # the round trip to PORT takes SECONDS longer
"""

import queue
import socket
import sys
import threading
import time

PIECE = 1 << 18
PIECES_UNDER_WAY = 1024  # of one direction of one connection


def carry(source, target, delay):
    under_way = queue.Queue(PIECES_UNDER_WAY)

    def take():
        try:
            while piece := source.recv(PIECE):
                under_way.put((time.monotonic() + delay, piece))
        except OSError:
            pass
        under_way.put((time.monotonic() + delay, b""))

    threading.Thread(target=take, daemon=True).start()
    while True:
        due, piece = under_way.get()
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            if not piece:
                return target.shutdown(socket.SHUT_WR)
            target.sendall(piece)
        except OSError:
            source.close()  # ends take()
            while under_way.get()[1]:
                pass
            return


def lead(client, port, delay):
    time.sleep(delay)  # of the handshake
    server = socket.create_connection(("127.0.0.1", port))
    for each in (client, server):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    back = threading.Thread(target=carry, args=(server, client, delay / 2), daemon=True)
    back.start()
    carry(client, server, delay / 2)
    back.join()
    client.close()
    server.close()


def main():
    port, delay = int(sys.argv[1]), float(sys.argv[2])
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=lead, args=(client, port, delay), daemon=True).start()


if __name__ == "__main__":
    main()
