#!/usr/bin/env python3
"""Makes web/openapi.json, the description of the HTTP interface: its schemas from the messages of
proto/ballista/profile.proto, its paths from the table below.

    generate_openapi.py           writes web/openapi.json
    generate_openapi.py --check   fails where it is not up to date

Python 3.11 and its standard library only.
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "web/openapi.json"
# Messages of job.proto that profiles contain.
FROM_JOB = ("TaskMetrics", "OperatorMetrics")
NUMBERS = {"uint32": 32, "uint64": 64, "int32": 32, "int64": 64, "sint64": 64}
FIELD = re.compile(r"^\s*(repeated )?([\w.]+) (\w+) = \d+;\s*(?://\s*(.*))?$")


def snake(name):
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper()


def parse(path):
    """Messages ({name: (comment, [(repeated, type, name, comment)])}) and enums ({name: [value]})."""
    messages, enums, comment = {}, {}, []
    block = None
    for line in path.read_text().splitlines():
        stripped = line.strip()
        if start := re.match(r"^(message|enum) (\w+) \{(\})?$", line):
            kind, name, empty = start.groups()
            block = messages.setdefault(name, (" ".join(comment), [])) if kind == "message" else enums.setdefault(name, [])
            if empty:
                block = None
            comment = []
        elif line.startswith("}"):
            block = None
        elif stripped.startswith("//"):
            comment.append(stripped[2:].strip())
        elif isinstance(block, tuple) and (field := FIELD.match(line)):
            repeated, kind, name, note = field.groups()
            block[1].append((bool(repeated), kind, name, " ".join([*comment, note or ""]).strip()))
            comment = []
        elif isinstance(block, list) and (value := re.match(r"^\s*(\w+) = \d+;", line)):
            block.append(value[1])
            comment = []
        elif not stripped:
            comment = []
    return messages, enums


def schema_of(kind):
    if kind in NUMBERS:
        return {"type": "integer", "minimum": 0} if kind.startswith("u") else {"type": "integer"}
    if kind in ("double", "float"):
        return {"type": "number"}
    if kind in ("bool", "string"):
        return {"type": "boolean" if kind == "bool" else "string"}
    return {"$ref": f"#/components/schemas/{kind.split('.')[-1]}"}


def schemas():
    messages, enums = parse(ROOT / "proto/ballista/profile.proto")
    others, _ = parse(ROOT / "proto/ballista/job.proto")
    messages |= {name: others[name] for name in FROM_JOB}
    result = {}
    for name, values in enums.items():
        prefix = snake(name) + "_"
        result[name] = {"type": "string", "enum": [value.removeprefix(prefix).lower() for value in values]}
    for name, (comment, fields) in messages.items():
        properties, required = {}, []
        for repeated, kind, field, note in fields:
            schema = schema_of(kind)
            if repeated:
                schema = {"type": "array", "items": schema}
            if note and "$ref" not in schema:
                schema["description"] = note
            properties[field] = schema
            # Messages that are not set are left out.
            if repeated or kind.split(".")[-1] not in messages:
                required.append(field)
        result[name] = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        if comment:
            result[name]["description"] = comment
    return result


def parameter(name, where, description, **schema):
    return {"name": name, "in": where, "description": description, "required": where == "path", "schema": schema}


JOB = parameter("job", "path", "The job's id.", type="string")
PAGE = [
    parameter("offset", "query", "How many to leave out.", type="integer", minimum=0, default=0),
    parameter("limit", "query", "How many to give.", type="integer", minimum=0, maximum=5000, default=100),
]
ERRORS = {"400": "What was asked for is wrong.", "401": "Credentials are missing or wrong.", "404": "There is no such thing."}

# path, method, what it is, answer (a schema, or a media type), parameters
PATHS = [
    ("/health", "get", "The process serves. Needs no credentials.", "text/plain", []),
    ("/health/live", "get", "As /health: the process serves. Needs no credentials.", "text/plain", []),
    ("/health/ready", "get", "Whether it takes work (200) or not (503), and why not. Needs no credentials.", "Readiness", []),
    ("/version", "get", "Of the program, and of what it says to its peers.", "VersionInfo", []),
    ("/metrics", "get", "Metrics for Prometheus (docs/metrics.md).", "text/plain", []),
    ("/openapi.json", "get", "This description.", "application/json", []),
    ("/", "get", "The page.", "text/html", []),
    ("/api/cluster", "get", "The cluster at a glance.", "ClusterOverview", []),
    ("/api/executors", "get", "The executors that this scheduler knows, by id.", "ExecutorList", []),
    ("/api/executors/{executor}/drain", "post", "Has an executor finish what it has and leave.", "Done",
     [parameter("executor", "path", "Its id, or host:port.", type="string")]),
    ("/api/jobs", "get", "Jobs that are there and those of the history, the latest first.", "JobList",
     [parameter("state", "query", "Only those in this state.", type="string",
                enum=["queued", "running", "finished", "failed", "cancelled"]),
      parameter("text", "query", "Only those with this in the statement's first 500 bytes, the job's or the session's id; "
                "letters' case aside.", type="string", maxLength=1000), *PAGE]),
    ("/api/jobs/{job}", "get", "One job in a few figures.", "JobSummary", [JOB]),
    ("/api/jobs/{job}/overview", "get", "Its profile without the lists of tasks.", "QueryProfile", [JOB]),
    ("/api/jobs/{job}/profile", "get", "Its whole profile; what the page can show from a file.", "QueryProfile", [JOB]),
    ("/api/jobs/{job}/stages", "get", "Its stages, without their tasks.", "StageList", [JOB]),
    ("/api/jobs/{job}/stages/{stage}", "get", "One stage with its tasks.", "StageProfile",
     [JOB, parameter("stage", "path", "Its number.", type="integer", minimum=0)]),
    ("/api/jobs/{job}/tasks", "get", "Its tasks in rows, by stage and index.", "TaskList",
     [JOB, parameter("stage", "query", "Of this stage alone.", type="integer", minimum=0), *PAGE]),
    ("/api/jobs/{job}/plan", "get", "Its plan as EXPLAIN shows it.", "text/plain", [JOB]),
    ("/api/jobs/{job}/cancel", "post", "Cancels it.", "Done", [JOB]),
    ("/api/config", "get", "The scheduler's options; names of files with secrets are masked.", "ConfigList", []),
]  # fmt: skip


def content(kind):
    if "/" in kind:
        schema = {} if kind == "application/json" else {"type": "string"}
        return {kind: {"schema": schema}}
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind}"}}}


def paths():
    result = {}
    for path, method, summary, answer, parameters in PATHS:
        responses = {"200": {"description": summary, "content": content(answer)}}
        if path == "/health/ready":
            responses["503"] = {"description": "It takes no work.", "content": content(answer)}
        if path.startswith("/api"):
            for code, description in ERRORS.items():
                responses[code] = {"description": description, "content": content("ErrorAnswer")}
        if path.endswith("/drain"):
            responses["403"] = {"description": "It is for administrators alone.", "content": content("ErrorAnswer")}
        operation = {"summary": summary, "responses": responses}
        if parameters:
            operation["parameters"] = parameters
        if path.startswith("/health"):
            operation["security"] = []
        result.setdefault(path, {})[method] = operation
    return result


def document():
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Ballista scheduler",
            "version": "1",
            "description": "docs/rest.md is the guide. Times with _us are microseconds, with _ms milliseconds; bytes are "
            "bytes. With --auth-file every path but those below /health needs a user's password or token.",
        },
        "paths": paths(),
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "password": {"type": "http", "scheme": "basic"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
        "security": [{}, {"password": []}, {"token": []}],
    }


def main():
    text = json.dumps(document(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        if not OUTPUT.exists() or OUTPUT.read_text() != text:
            sys.exit(f"{OUTPUT.relative_to(ROOT)} is not up to date: run scripts/generate_openapi.py")
    else:
        OUTPUT.write_text(text)


if __name__ == "__main__":
    main()
