"""A server seen from afar: a port of the loopback behind which every byte arrives a while later, in both directions.

Without a window nothing is made slower but later: like a long cable, not like a thin one. With one, a connection carries
that many bytes of an answer in a round trip, as TCP does where a receiver's window ends it; there is no slow start. Run by itself it prints its port:

    bench/delay.py PORT SECONDS          # the round trip to PORT takes SECONDS longer
    bench/delay.py PORT SECONDS BYTES    # and of an answer BYTES at most are under way, from being sent until it is known that they arrived
"""

import collections
import contextlib
import queue
import socket
import sys
import threading
import time

PIECE = 1 << 18
UNDER_WAY = 1 << 28  # of one direction of one connection that has no window


class Window:
    """What of one direction may be under way: bytes are given back half a round trip after they arrived."""

    def __init__(self, size, way_back):
        self.free, self.way_back, self.arrived, self.changed = size, way_back, collections.deque(), threading.Condition()

    def take(self, source):
        """What the source has, as much as there is room for."""
        with self.changed:
            while True:
                while self.arrived and self.arrived[0][0] <= time.monotonic():
                    self.free += self.arrived.popleft()[1]
                if self.free > 0:
                    break
                self.changed.wait(self.arrived[0][0] - time.monotonic() if self.arrived else None)
            room = self.free
        piece = source.recv(min(PIECE, room))
        with self.changed:
            self.free -= len(piece)
        return piece

    def give_back(self, size):
        with self.changed:
            self.arrived.append((time.monotonic() + self.way_back, size))
            self.changed.notify()


def carry(source, target, delay, window):
    under_way = queue.SimpleQueue()

    def take():
        try:
            while piece := window.take(source):
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
            window.give_back(len(piece))
        except OSError:
            window.give_back(UNDER_WAY)
            with contextlib.suppress(OSError):
                source.shutdown(socket.SHUT_RDWR)  # ends take()
            while under_way.get()[1]:
                pass
            return


def lead(client, port, delay, window):
    time.sleep(delay)  # of the handshake
    server = socket.create_connection(("127.0.0.1", port))
    for each in (client, server):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    back = threading.Thread(target=carry, args=(server, client, delay / 2, Window(window, delay / 2)), daemon=True)
    back.start()
    carry(client, server, delay / 2, Window(UNDER_WAY, delay / 2))
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
