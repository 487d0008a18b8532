"""A server seen from afar: a port of the loopback behind which every byte arrives a while later, in both directions.

Without a window nothing is made slower but later: like a long cable, not like a thin one. With one, a connection carries
that many bytes of an answer in a round trip, as TCP does where a receiver's window ends it. Run by itself it prints its port:

    bench/delay.py PORT SECONDS          # the round trip to PORT takes SECONDS longer
    bench/delay.py PORT SECONDS BYTES    # and of an answer BYTES at most are under way, from being sent until it is known that they arrived
"""

import collections
import queue
import socket
import sys
import threading
import time

PIECE = 1 << 18
UNDER_WAY = 1 << 28  # of one direction of one connection


class Window:
    """What of one direction may be sent: the bytes of a round trip, given back when it is over."""

    def __init__(self, size, round_trip):
        self.free, self.round_trip, self.sent = size, round_trip, collections.deque()

    def room(self):
        while self.sent and (self.free == 0 or self.sent[0][0] <= time.monotonic()):
            back, size = self.sent.popleft()
            time.sleep(max(0.0, back - time.monotonic()))
            self.free += size
        return self.free

    def take(self, size):
        self.free -= size
        self.sent.append((time.monotonic() + self.round_trip, size))


def carry(source, target, delay, window):
    under_way = queue.SimpleQueue()

    def take():
        try:
            while piece := source.recv(min(PIECE, window.room())):
                window.take(len(piece))
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


def lead(client, port, delay, window):
    time.sleep(delay)  # of the handshake
    server = socket.create_connection(("127.0.0.1", port))
    for each in (client, server):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    back = threading.Thread(target=carry, args=(server, client, delay / 2, Window(window, delay)), daemon=True)
    back.start()
    carry(client, server, delay / 2, Window(UNDER_WAY, delay))
    back.join()
    client.close()
    server.close()


def main():
    port, delay = int(sys.argv[1]), float(sys.argv[2])
    window = int(sys.argv[3]) if len(sys.argv) > 3 else UNDER_WAY
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=lead, args=(client, port, delay, window), daemon=True).start()


if __name__ == "__main__":
    main()
