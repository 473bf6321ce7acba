"""Arrow values as text, the way DuckDB casts them to VARCHAR (see README.md for the few own rules).

Works on whole arrays, never through Python's datetime: Arrow holds dates and nanoseconds that it cannot.
"""

from __future__ import annotations

import math
import re
import uuid

import pyarrow as pa
import pyarrow.types as types

DATE_INFINITY = 2147483647
TIMESTAMP_INFINITY = 9223372036854775807
UNIT_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def table_texts(table: pa.Table) -> list[list[str]]:
    """The table's rows, each cell as text."""
    columns = []
    for column in table.columns:
        texts: list[str | None] = []
        for chunk in column.chunks:
            texts.extend(array_texts(chunk))
        columns.append([cell_text(text) for text in texts])
    return [list(row) for row in zip(*columns)] if columns else []


def cell_text(text: str | None) -> str:
    """A value of the result file: NULL, (empty), and no line break or tab in it."""
    if text is None:
        return "NULL"
    if text == "":
        return "(empty)"
    for plain, escaped in (("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(plain, escaped)
    return text


def type_letter(data_type: pa.DataType) -> str:
    """I: integer. R: holds floating point somewhere (compared with a tolerance). T: all else."""
    if types.is_integer(data_type):
        return "I"
    return "R" if holds_floating(data_type) else "T"


def holds_floating(data_type: pa.DataType) -> bool:
    if types.is_floating(data_type):
        return True
    if isinstance(data_type, pa.BaseExtensionType):
        return holds_floating(data_type.storage_type)
    if types.is_dictionary(data_type):
        return holds_floating(data_type.value_type)
    if types.is_map(data_type):
        return holds_floating(data_type.key_type) or holds_floating(data_type.item_type)
    return any(holds_floating(data_type.field(i).type) for i in range(data_type.num_fields))


def array_texts(array: pa.Array) -> list[str | None]:
    """Each value as text; None for NULL."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return extension_texts(array)
    if types.is_null(kind):
        return [None] * len(array)
    if types.is_dictionary(kind):
        return array_texts(array.dictionary_decode())
    if types.is_temporal(kind):
        return temporal_texts(array)
    if types.is_list(kind) or types.is_large_list(kind):
        return list_texts(array, array.offsets.to_pylist())
    if types.is_fixed_size_list(kind):
        size = kind.list_size
        start = array.offset
        return list_texts(array, [(start + i) * size for i in range(len(array) + 1)])
    if types.is_map(kind):
        return map_texts(array)
    if types.is_struct(kind):
        return struct_texts(array)
    if types.is_union(kind):
        return union_texts(array)
    return scalar_texts(array)


def scalar_texts(array: pa.Array) -> list[str | None]:
    kind = array.type
    values = array.to_pylist()
    if types.is_boolean(kind):
        convert = lambda value: "true" if value else "false"
    elif types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind):
        convert = str
    elif types.is_string_view(kind):
        convert = str
    elif types.is_float32(kind) or types.is_float16(kind):
        convert = lambda value: float_text(value, 6)
    elif types.is_float64(kind):
        convert = lambda value: float_text(value, 10)
    elif types.is_decimal(kind):
        convert = lambda value: format(value, "f")
    elif types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        convert = blob_text
    elif types.is_fixed_size_binary(kind):
        convert = blob_text
    else:
        raise TypeError(f"no text for Arrow type {kind}")
    return [None if value is None else convert(value) for value in values]


def float_text(value: float, digits: int) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return f"{value:.{digits}g}"


def blob_text(value: bytes) -> str:
    return "".join(
        chr(byte) if 32 <= byte <= 126 and byte not in b"\\'\"" else f"\\x{byte:02X}" for byte in value
    )


def extension_texts(array: pa.Array) -> list[str | None]:
    if array.type.extension_name == "arrow.uuid":
        return [None if v is None else str(uuid.UUID(bytes=v)) for v in array.storage.to_pylist()]
    return array_texts(array.storage)


# ---- date and time


def temporal_texts(array: pa.Array) -> list[str | None]:
    kind = array.type
    if types.is_interval(kind):
        return [None if value is None else interval_text(*value) for value in array.to_pylist()]
    if types.is_date32(kind):
        raw, convert = array.view(pa.int32()), date_text
    elif types.is_date64(kind):
        raw, convert = array.view(pa.int64()), lambda value: date_text(value // 86_400_000)
    elif types.is_time32(kind):
        raw, convert = array.view(pa.int32()), lambda value: time_text(value, UNIT_PER_SECOND[kind.unit])
    elif types.is_time64(kind):
        raw, convert = array.view(pa.int64()), lambda value: time_text(value, UNIT_PER_SECOND[kind.unit])
    elif types.is_timestamp(kind):
        suffix = "+00" if kind.tz else ""
        raw = array.view(pa.int64())
        convert = lambda value: timestamp_text(value, UNIT_PER_SECOND[kind.unit], suffix)
    else:
        raise TypeError(f"no text for Arrow type {kind}")
    return [None if value is None else convert(value) for value in raw.to_pylist()]


def date_text(days: int) -> str:
    if abs(days) == DATE_INFINITY:
        return "infinity" if days > 0 else "-infinity"
    year, month, day = civil(days)
    if year > 0:
        return f"{year:04d}-{month:02d}-{day:02d}"
    return f"{1 - year:04d}-{month:02d}-{day:02d} (BC)"


def civil(days: int) -> tuple[int, int, int]:
    """Year, month, day of the proleptic Gregorian calendar, for days since 1970-01-01."""
    days += 719_468
    era, day_of_era = divmod(days, 146_097)
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year_of_era + era * 400 + (month <= 2), month, day


def time_text(value: int, per_second: int) -> str:
    seconds, fraction = divmod(value, per_second)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if fraction:
        width = len(str(per_second)) - 1
        text += "." + f"{fraction:0{width}d}".rstrip("0")
    return text


def timestamp_text(value: int, per_second: int, suffix: str) -> str:
    if abs(value) == TIMESTAMP_INFINITY:
        return "infinity" if value > 0 else "-infinity"
    days, rest = divmod(value, 86_400 * per_second)
    date = date_text(days)
    bc = " (BC)" if date.endswith("(BC)") else ""
    return f"{date.removesuffix(' (BC)')}{bc} {time_text(rest, per_second)}{suffix}"


def interval_text(months: int, days: int, nanoseconds: int) -> str:
    parts = []
    sign = -1 if months < 0 else 1
    for count, unit in (
        (sign * (abs(months) // 12), "year"),
        (sign * (abs(months) % 12), "month"),
        (days, "day"),
    ):
        if count:
            parts.append(f"{count} {unit}{'' if abs(count) == 1 else 's'}")
    if nanoseconds or not parts:
        text = time_text(abs(nanoseconds) // 1000, 1_000_000)
        parts.append("-" + text if nanoseconds < 0 else text)
    return " ".join(parts)


# ---- nested


def inner_texts(array: pa.Array) -> list[str]:
    """Texts of values inside a nested one: NULL is written out, strings are quoted."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if types.is_dictionary(kind):
        kind = kind.value_type
    texts = array_texts(array)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return ["NULL" if text is None else "'" + text.replace("'", "''") + "'" for text in texts]
    return ["NULL" if text is None else text for text in texts]


def list_texts(array: pa.Array, offsets: list[int]) -> list[str | None]:
    values = inner_texts(array.values)
    valid = array.is_valid().to_pylist()
    return [
        "[" + ", ".join(values[offsets[i] : offsets[i + 1]]) + "]" if valid[i] else None
        for i in range(len(array))
    ]


def map_texts(array: pa.Array) -> list[str | None]:
    keys, items = inner_texts(array.keys), inner_texts(array.items)
    offsets = array.offsets.to_pylist()
    valid = array.is_valid().to_pylist()
    result: list[str | None] = []
    for i in range(len(array)):
        pairs = range(offsets[i], offsets[i + 1]) if valid[i] else ()
        text = "{" + ", ".join(f"{keys[j]}={items[j]}" for j in pairs) + "}"
        result.append(text if valid[i] else None)
    return result


def struct_texts(array: pa.Array) -> list[str | None]:
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    fields = [inner_texts(array.field(i)) for i in range(len(names))]
    valid = array.is_valid().to_pylist()
    unnamed = all(name == "" for name in names)
    result: list[str | None] = []
    for i in range(len(array)):
        if not valid[i]:
            result.append(None)
        elif unnamed:
            result.append("(" + ", ".join(field[i] for field in fields) + ")")
        else:
            pairs = (f"'{name}': {field[i]}" for name, field in zip(names, fields))
            result.append("{" + ", ".join(pairs) + "}")
    return result


def union_texts(array: pa.Array) -> list[str | None]:
    codes = array.type.type_codes
    members = [array_texts(array.field(i)) for i in range(len(codes))]
    tags = array.type_codes.to_pylist()
    dense = array.type.mode == "dense"
    positions = array.offsets.to_pylist() if dense else range(len(array))
    return [members[codes.index(tag)][position] for tag, position in zip(tags, positions)]


# ---- comparison

NUMBER = re.compile(r"-?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|inf\b|nan\b)")


def equal_cells(expected: str, got: str, letter: str, tolerance: float) -> bool:
    """Equal, or for R: equal but for numbers within the relative tolerance."""
    if expected == got:
        return True
    if letter != "R" or NUMBER.sub("#", expected) != NUMBER.sub("#", got):
        return False
    pairs = zip(NUMBER.findall(expected), NUMBER.findall(got))
    return all(close(float(left), float(right), tolerance) for left, right in pairs)


def close(left: float, right: float, tolerance: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    if math.isinf(left) or math.isinf(right):
        return left == right
    return abs(left - right) <= tolerance * max(abs(left), abs(right), 1e-9)


def sort_rows(rows: list[list[str]], letters: str) -> list[list[str]]:
    """The canonical order: exact columns first, so that a last digit of a double moves no row."""
    exact = [i for i, letter in enumerate(letters) if letter != "R"]
    rough = [i for i, letter in enumerate(letters) if letter == "R"]
    return sorted(rows, key=lambda row: ([row[i] for i in exact], [rough_key(row[i]) for i in rough]))


def rough_key(text: str) -> tuple[int, float, str]:
    try:
        number = float(text)
    except ValueError:
        return (1, 0.0, text)
    if math.isnan(number):
        return (1, 0.0, text)
    return (0, float(f"{number:.6g}"), "-" if text.startswith("-") else "+")
