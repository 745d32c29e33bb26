"""Taking an uploaded file in, under a name of ours, and giving its rejected rows back."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from flask import Response
from flask_babel import gettext as _
from werkzeug.datastructures import FileStorage

from calltree.extensions import settings
from calltree.text.sheets_out import CsvTable, Encoding


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as it lies there."""

    filename: str
    stored_name: str
    size_bytes: int


@contextmanager
def kept(file: FileStorage, otherwise: str) -> Iterator[Stored]:
    """Store a file; it is removed again if the block raises, for it would be nobody's.

    `otherwise` is its name where the browser gave none.
    """
    # a line feed in a name would break the header of its download
    plain = "".join(c for c in file.filename or "" if c.isprintable())
    name = Path(plain.replace("\\", "/")).name or otherwise
    folder = settings().uploads_dir
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{secrets.token_hex(16)}.upload"
    with file.stream:  # a large one is a temporary file
        file.save(path)
    try:
        yield Stored(name, path.name, path.stat().st_size)
    except Exception:  # raised again: a file that nobody took over is not left lying
        path.unlink(missing_ok=True)
        raise


def rejects_file(
    filename: str, encoding: Encoding, header: Sequence[str], rows: Iterable[list[object]]
) -> Response:
    """Give rejected rows as a file in the encoding of the one they came in, named after it."""
    charset = "shift_jis" if encoding == "cp932" else "utf-8"
    chunks = CsvTable(encoding).chunks(header, rows)
    response = Response(chunks, mimetype=f"text/csv; charset={charset}")
    kind = _("rejected")
    spelled = quote(f"{Path(filename).stem}_{kind}.csv", safe="")  # a header is ASCII
    response.headers["Content-Disposition"] = (
        f"attachment; filename=rejects.csv; filename*=UTF-8''{spelled}"
    )
    return response
