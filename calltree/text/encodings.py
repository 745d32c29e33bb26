"""Which encoding a file of Japanese text is in: a ladder of strict decodes, never a guess.

Statistical detectors were seen to read a CP932 file as another Shift_JIS and change people's names
without an error. A step of this ladder holds for every byte of the file or it does not hold.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from calltree.text.sheet_problems import Code, Problem, Refused

# The code that is shown and may be forced → Python's codec.
CODECS: Final = {
    "utf-8": "utf-8",
    "utf-8-bom": "utf-8-sig",
    "cp932": "cp932",
    "euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_ext",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
}

_CHUNK: Final = 1 << 20
_LONGEST_LINE_CHUNKS: Final = 16
_NOT_CONTROLS: Final = bytes(b for b in range(256) if b >= 0x20 and b != 0x7F) + b"\t\r\n"
_LOW: Final = bytes(range(0x80, 0xA1))
# Python's CP932 lets these bytes through as characters that no Japanese file holds.
_NOT_CP932: Final = re.compile("[\x80-\xa0\uf8f0-\uf8f3]")
_NOT_TEXT: Final = re.compile("[\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff]")
_LINE_END: Final = re.compile("[\r\n]")


@dataclass(frozen=True, slots=True)
class Decoding:
    """How to open the file: the shown code, Python's codec, and whether controls need removing."""

    code: str
    codec: str
    has_controls: bool


@dataclass(slots=True)
class _Bytes:
    nul: bool = False
    controls: bool = False
    escape_dollar: bool = False
    high: bool = False
    low_high: bool = False  # 0x80-0xA0: in every ordinary CP932 text, never in plain EUC-JP


@dataclass(frozen=True, slots=True)
class _Failure:
    offset: int
    found: bytes


def find_encoding(path: Path, forced: str | None = None) -> Decoding:
    """The encoding in which every byte of the file is text.

    Raises Refused: UNDECODABLE with the row of the furthest strict decode, NUL_CHARACTER,
    UNKNOWN_ENCODING, or NOT_A_TABLE for a file without lines.
    """
    seen = _look(path)
    if forced is not None:
        if forced not in CODECS:
            raise Refused(
                Problem(Code.UNKNOWN_ENCODING, found=forced, expected=tuple(sorted(CODECS)))
            )
        return _accept(path, (forced,), seen)
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(codecs.BOM_UTF8):
        return _accept(path, ("utf-8-bom",), seen)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _accept(path, ("utf-16",), seen)
    if seen.nul:
        return _without_bom(path, seen)
    if seen.escape_dollar and not seen.high:
        return _accept(path, ("iso-2022-jp",), seen)
    # EUC-JP also decodes as CP932 half-width katakana. Without a byte of 0x80-0xA0 there is no
    # kana, no common kanji and no 電話番号 in the CP932 reading: then EUC-JP is asked first.
    if seen.high and not seen.low_high:
        return _accept(path, ("utf-8", "euc-jp", "cp932"), seen)
    return _accept(path, ("utf-8", "cp932", "euc-jp"), seen)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _look(path: Path) -> _Bytes:
    seen = _Bytes()
    tail = b""
    without_line_end = 0
    for chunk in _chunks(path):
        seen.nul = seen.nul or b"\0" in chunk
        seen.controls = seen.controls or bool(chunk.translate(None, _NOT_CONTROLS))
        seen.escape_dollar = seen.escape_dollar or b"\x1b$" in tail + chunk
        seen.high = seen.high or not chunk.isascii()
        seen.low_high = seen.low_high or len(chunk.translate(None, _LOW)) != len(chunk)
        tail = chunk[-1:]
        # A line is held in memory as a whole; a file that has none is no table.
        ends = b"\n" in chunk or b"\r" in chunk
        without_line_end = 0 if ends else without_line_end + 1
        if without_line_end >= _LONGEST_LINE_CHUNKS:
            raise Refused(Problem(Code.NOT_A_TABLE, found="binary"))
    return seen


def _accept(path: Path, codes: tuple[str, ...], seen: _Bytes) -> Decoding:
    furthest = _Failure(-1, b"")
    for code in codes:
        failure = _failure(path, code)
        if failure is None:
            # 16-bit text has control bytes inside its characters, ISO-2022-JP has ESC.
            controls = seen.controls or code.startswith(("utf-16", "iso-2022"))
            return Decoding(code, CODECS[code], controls)
        furthest = max(furthest, failure, key=lambda f: f.offset)
    raise Refused(
        Problem(
            Code.UNDECODABLE,
            row=_row_at(path, furthest.offset),
            found=furthest.found.hex(" "),
            expected=codes,
        )
    )


def _failure(path: Path, code: str) -> _Failure | None:
    decoder = codecs.getincrementaldecoder(CODECS[code])("strict")
    position = 0
    try:
        for chunk in _chunks(path):
            position += len(chunk)
            text = decoder.decode(chunk)
            if "\0" in text:
                at = position - len(chunk) + text.index("\0")
                raise Refused(Problem(Code.NUL_CHARACTER, row=_row_at(path, at)))
            if code == "cp932" and (odd := _NOT_CP932.search(text)):
                return _Failure(position - len(chunk) + odd.start(), odd[0].encode("cp932"))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        offset = position - len(error.object) + error.start
        return _Failure(max(offset, 0), error.object[error.start : error.start + 4])
    except UnicodeError:  # UTF-16 whose stream does not begin with a BOM
        return _Failure(0, b"")
    return None


def _row_at(path: Path, offset: int) -> int:
    before, position = 0, 0
    for chunk in _chunks(path):
        part = chunk[: max(offset - position, 0)]
        before += part.count(b"\n") or part.count(b"\r")
        position += len(chunk)
        if position >= offset:
            break
    return before + 1


def _without_bom(path: Path, seen: _Bytes) -> Decoding:
    """UTF-16 that does not say so, only if one byte order gives lines of text and no NUL."""
    fitting = [code for code in ("utf-16-le", "utf-16-be") if _is_text(path, CODECS[code])]
    if len(fitting) == 1:
        return _accept(path, (fitting[0],), seen)
    for chunk_start, chunk in enumerate(_chunks(path)):
        at = chunk.find(b"\0")
        if at >= 0:
            row = _row_at(path, chunk_start * _CHUNK + at)
            raise Refused(Problem(Code.NUL_CHARACTER, row=row))
    raise Refused(Problem(Code.NUL_CHARACTER))


def _is_text(path: Path, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)("strict")
    lines = False
    try:
        for chunk in _chunks(path):
            text = decoder.decode(chunk)
            if "\0" in text or _NOT_TEXT.search(text):
                return False
            lines = lines or _LINE_END.search(text) is not None
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return lines
