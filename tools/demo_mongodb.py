#!/usr/bin/env python3
"""A MongoDB database out, dropped, back, compared; called by demo.sh with the program, in its environment."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/servers")]

from mongo_server import WHICH, MongoServer  # noqa: E402

DOCUMENTS = 10_000


def main():
    def run(*args):
        print("$ holdfast", *args, flush=True)
        subprocess.run([sys.argv[1], *args], check=True)

    server = MongoServer()
    mongo = server.mongo
    mongo.insert("shop", "orders", *[{"_id": f"order {i:06}", "customer": i % 97, "text": f"text of {i} " * 8} for i in range(DOCUMENTS)])
    mongo.command("shop", {"createIndexes": "orders", "indexes": [{"key": {"customer": 1}, "name": "customer"}]})
    print(f"{WHICH}, database shop: {DOCUMENTS} documents")
    run("backup", "--name", "shop", server.url("shop"))
    for i in range(0, DOCUMENTS, 100):
        mongo.set("shop", "orders", f"order {i:06}", customer=-1)
    run("backup", "--name", "shop", server.url("shop"))
    before, indexes = mongo.content("shop"), mongo.indexes("shop", "orders")
    mongo.command("shop", {"dropDatabase": 1})
    run("restore", "latest", "--source", "shop", "--to", server.url())
    equal = mongo.content("shop") == before and mongo.indexes("shop", "orders") == indexes
    print("MongoDB: all documents and indexes equal" if equal else "MongoDB: DIFFERENT", flush=True)
    server.remove()
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
