#!/usr/bin/env python3
"""Makes the first corpus of each fuzz target from seeds/ (messages as text, by protoc) and from real files: run it
after a change of the messages, then tests/fuzz/run. Needs .deps (scripts/setup) for pyarrow."""

import pathlib
import subprocess
import sys
import tempfile

import pyarrow as pa

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def encode(message, text):
    return subprocess.run(
        ["protoc", f"-I{ROOT}/proto", f"--encode={message}", str(proto_of(message))],
        input=text.encode(), stdout=subprocess.PIPE, check=True, cwd=ROOT / "proto",
    ).stdout  # fmt: skip


def proto_of(message):
    package = message.split(".")[1]
    return ROOT / "proto/ballista" / {"plan": "plan.proto", "job": "job.proto", "control": "control.proto",
                                       "dataframe": "dataframe.proto"}[package]


def write(target, name, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def seeds():
    """seeds/TARGET-NAME.txt: the message's name, the first byte or nothing, then the message."""
    for path in sorted((HERE / "seeds").glob("*.txt")):
        head, text = path.read_text().split("\n", 1)
        message, *first = head.split()
        target, name = path.stem.split("-", 1)
        write(target, name, bytes(int(one) for one in first) + encode(message, text))


def ipc():
    batches = {
        0: pa.record_batch({"a": pa.array([1, None, 3], pa.int64()), "s": ["x", None, "yy"]}),
        1: pa.record_batch({"l": pa.array([[1], None, []], pa.list_(pa.int32())), "t": [{"x": True}, None, {"x": None}]}),
        2: pa.record_batch({"d": pa.array(["x", "y", "x"]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string()))}),
    }  # fmt: skip
    for choice, batch in batches.items():
        for codec, compression in enumerate((None, "lz4", "zstd")):
            options = pa.ipc.IpcWriteOptions(compression=compression)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
                writer.write_batch(batch)
            stream = sink.getvalue().to_pybytes()
            write("ipc", f"stream-{choice}-{compression}", bytes([128 + choice]) + stream)
            piece = stream if choice == 2 else batch.serialize()
            data = piece if isinstance(piece, bytes) else piece.to_pybytes()
            write("ipc", f"piece-{choice}-{compression}", bytes([choice + 4 * codec]) + data)


def substrait():
    """The plans of tests/clients/substrait_test.py: DataFusion's, and a few of Ibis's, which writes older messages."""
    sys.path.insert(0, str(ROOT / "tests/clients"))
    import substrait_test

    producer = substrait_test.datafusion.SessionContext()
    for name, path in substrait_test.tpc_data.tables(substrait_test.FOLDER).items():
        producer.register_parquet(name, str(path))
    queries = {f"tpch-{number}": sql for number, sql in substrait_test.tpc_data.queries("tpch").items()}
    queries |= {name.replace(" ", "-"): sql for name, (sql, _) in substrait_test.MORE.items()}
    for name, sql in queries.items():
        write("substrait", name, substrait_test.substrait.Serde.serialize_bytes(sql, producer))
    with tempfile.TemporaryDirectory() as folder:
        substrait_test.write_ibis_plans(folder)
        for number in (1, 3, 13, 16, 18):
            write("substrait", f"ibis-{number}", pathlib.Path(folder, f"{number}.plan").read_bytes())


def config():
    for number, program in enumerate(("scheduler", "executor")):
        text = (ROOT / f"docs/examples/{program}.toml").read_text()
        options = [line[1:] for line in text.splitlines() if line.startswith("#") and " = " in line and "." not in line[:4]]
        write("config", f"{program}-file", bytes([3 * number]) + "\n".join(options).encode())
        flags = [f"--{key.replace('_', '-')}={value.strip(chr(34))}" for key, value in (one.split(" = ", 1) for one in options)]
        write("config", f"{program}-flags", bytes([3 * number + 1]) + "\n".join(flags).encode())
        names = [f"BALLISTA_{program.upper()}_{key.upper()}={value}" for key, value in (o.split(" = ", 1) for o in options)]
        write("config", f"{program}-environment", bytes([3 * number + 2]) + "\n".join(names).encode())
    for name, text in {
        "odd-sizes": "memory_limit = '1.5GiB'\nshuffle_memory_limit = \"99%\"\n", "nested": "a.b.c = [[1, {x = 2}]]\n",
        "dates": "port = 1979-05-27T07:32:00Z\n", "broken": "port = \nport = 'x\n", "help": "--help\n--version\n",
        "numbers": "port = 0xffff_ffff\nthreads = -1\nlocal = 1.5e400\n",
    }.items():  # fmt: skip
        write("config", name, bytes([4 if name == "help" else 3]) + text.encode())


def control():
    for name, first, data in (
        ("bearer", 8, b"Bearer 0123456789abcdef0123456789abcdef"), ("basic", 8, b"Basic YWxpY2U6cGFzcw=="),
        ("session", 8, b"Bearer session.99999999999.alice." + b"0" * 64), ("users", 9, b"a token sha256:" + b"0" * 64),
        ("users-more", 9, b"# x\na password $y$j9T$a$b\nb token sha256:" + b"f" * 64 + b"\n"),
        ("path", 10, b"/usr/lib/../lib/./x"), ("path-link", 10, b"/usr/lib/ssl/../../bin"), ("path-file", 10, b"file:///usr/lib/a"),
    ):  # fmt: skip
        write("control", name, bytes([first]) + data)


if __name__ == "__main__":
    for make in (seeds, substrait, ipc, config, control):
        make()
    print({folder.name: len(list(folder.iterdir())) for folder in sorted((HERE / "corpus").iterdir())})
    sys.exit(0)
