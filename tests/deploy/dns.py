"""A name server for a test's network: dns.py ADDRESS < ZONE, where ZONE is JSON, addresses by name. Answers for IPv4 on port
53; a name that is there has no other records, one that is not does not exist. Prints a line when it listens."""

import json
import random
import socket
import struct
import sys

ADDRESS_RECORD, EXISTS_NOT = 1, 3


def question(message: bytes) -> tuple[str, int, bytes]:
    """The name asked for, the type, and the question as it stands."""
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode())
        at += 1 + message[at]
    [kind] = struct.unpack_from(">H", message, at + 1)
    return ".".join(labels).lower(), kind, message[12 : at + 5]


def answer(message: bytes, zone: dict[str, list[str]]) -> bytes:
    name, kind, asked = question(message)
    addresses = list(zone.get(name, [])) if kind == ADDRESS_RECORD else []
    random.shuffle(addresses)
    code = 0 if name in zone else EXISTS_NOT
    [flags] = struct.unpack_from(">H", message, 2)
    header = message[:2] + struct.pack(">HHHHH", 0x8480 | (flags & 0x0100) | code, 1, len(addresses), 0, 0)
    records = [
        b"\xc0\x0c" + struct.pack(">HHIH", ADDRESS_RECORD, 1, 1, 4) + socket.inet_aton(address) for address in addresses
    ]
    return header + asked + b"".join(records)


def main() -> None:
    zone = json.load(sys.stdin)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((sys.argv[1], 53))
    print("listening", flush=True)
    while True:
        message, client = server.recvfrom(4096)
        try:
            server.sendto(answer(message, zone), client)
        except (IndexError, UnicodeDecodeError, struct.error):
            pass  # no question


if __name__ == "__main__":
    main()
