"""Protobuf by hand: the few messages that Flight SQL's tests need."""

PREFIX = "type.googleapis.com/arrow.flight.protocol.sql."


def varint(number):
    out = bytearray()
    number &= (1 << 64) - 1
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number, value):
    """Bytes or text, or a whole number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def packed(message, body=b""):
    """In a google.protobuf.Any."""
    return field(1, PREFIX + message) + field(2, body)


def fields(data):
    """The fields of a message: (number, bytes or whole number or the bytes of a double)."""
    found = []
    at = 0

    def read():
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(data):
        key = read()
        if key & 7 == 0:
            found.append((key >> 3, read()))
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            size = read() if size is None else size
            found.append((key >> 3, bytes(data[at : at + size])))
            at += size
    return found


def one(data, number, default=b""):
    return next((value for each, value in fields(data) if each == number), default)


def unpacked(data):
    """What a google.protobuf.Any holds."""
    return one(data, 2)
