"""What every page and fragment must fulfil, whatever it shows."""

import re
from collections import Counter
from functools import cache

import html5lib
from bs4 import BeautifulSoup, Tag
from html5lib.constants import E as MEANINGS

from calltree import catalogues

# written out, so that a change of the policy is a change of a test
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self' wss:; object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'none'; form-action 'self'"
)
CONTAINERS = {
    "tr": "tbody",
    "td": "tr",
    "th": "tr",
    "thead": "table",
    "tbody": "table",
    "option": "select",
    "li": "ul",
    "dt": "dl",
    "dd": "dl",
}
REFERENCES = {"for", "aria-labelledby", "aria-describedby", "aria-controls", "list", "form"}
UNLABELLED = {"hidden", "submit", "button", "reset", "image"}
SPOKEN_ATTRIBUTES = ("title", "aria-label", "placeholder", "alt", "data-confirm")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]")
UNFILLED = re.compile(r"\{\{|\{%|%\(\w+\)[sd]|\bUndefined\b")
VALUE = re.compile(r'="[^"]*"')
WORDS = re.compile(r">[^<]+")
TELLING = re.compile(
    r"&[#\w]*;?|[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
"""What can be wrong in a text by itself: references and characters that HTML knows not."""
LONG_ENOUGH = 8  # characters of Japanese that are no domain word by themselves


def check_page(
    text: str, headers: dict[str, str], locale: str, soup: BeautifulSoup | None = None
) -> None:
    """Assert all of it for a whole page; `soup` is `text` if somebody has read it already."""
    assert headers.get("Content-Security-Policy") == CONTENT_SECURITY_POLICY
    _check_html(text, None)
    soup = soup or BeautifulSoup(text, "html.parser")
    html = soup.find("html")
    assert isinstance(html, Tag)
    assert html.get("lang") == locale, f"<html lang> is {html.get('lang')}, not {locale}"
    assert soup.title is not None
    assert soup.title.get_text(strip=True).strip("– ").removesuffix("– CALLTREE").strip(), (
        "no title"
    )
    assert soup.find("main"), "no <main>"
    body = soup.body
    assert body is not None
    assert "X-CSRFToken" in str(body.get("hx-headers:inherited")), "htmx would send no CSRF token"
    _check_parts(soup, locale, whole=True)


def check_fragment(
    text: str, headers: dict[str, str], locale: str, soup: BeautifulSoup | None = None
) -> None:
    """Assert what can be asserted for a part of a page."""
    assert headers.get("Content-Security-Policy") == CONTENT_SECURITY_POLICY
    soup = soup or BeautifulSoup(text, "html.parser")
    first = soup.find(True)
    container = CONTAINERS.get(first.name, "div") if isinstance(first, Tag) else "div"
    _check_html(text, container)
    _check_parts(soup, locale, whole=False)


def _skeleton(text: str) -> str:
    """Return a page without its words: all that makes it valid or not, and nothing else."""
    tags = VALUE.sub(lambda value: '="' + "".join(TELLING.findall(value[0])) + '"', text)
    return WORDS.sub(lambda words: ">" + "".join(TELLING.findall(words[0])), tags)


VALID: set[tuple[str | None, int]] = set()
"""Skeletons already read: html5lib takes longer to read a page than the product to make it."""


def _check_html(text: str, container: str | None) -> None:
    read = (container, hash(_skeleton(text)))
    if read in VALID:
        return
    parser = html5lib.HTMLParser()
    if container is None:
        parser.parse(text)
    else:
        parser.parseFragment(text, container=container)
    lines = text.splitlines()
    faults = [
        f"line {line}: {MEANINGS.get(code, code) % values} near {lines[line - 1].strip()[:100]!r}"
        for (line, _column), code, values in parser.errors
        if line <= len(lines)
    ]
    assert not faults, "invalid HTML:\n" + "\n".join(faults)
    VALID.add(read)


def _check_parts(soup: BeautifulSoup, locale: str, *, whole: bool) -> None:
    tags = [node for node in soup.descendants if isinstance(node, Tag)]
    spoken = _spoken(soup, tags)
    faults = [
        *_double_ids(tags),
        *_inline_code(tags),
        *_without_label(tags),
        *_without_name(tags),
        *_without_token(tags),
        *_broken_references(tags, whole=whole),
        *_clashing_keys(tags),
        *_unfilled(spoken),
        *_untranslated(spoken, locale),
    ]
    assert not faults, "\n".join(faults)


def _short(tag: Tag) -> str:
    return str(tag)[:120].replace("\n", " ")


def _named(tags: list[Tag], *names: str) -> list[Tag]:
    return [tag for tag in tags if tag.name in names]


def _double_ids(tags: list[Tag]) -> list[str]:
    counts = Counter(str(tag["id"]) for tag in tags if "id" in tag.attrs)
    return [f"id {name!r} {count} times" for name, count in counts.items() if count > 1]


def _inline_code(tags: list[Tag]) -> list[str]:
    faults = [f"inline script: {_short(tag)}" for tag in _named(tags, "script") if tag.string]
    faults += [f"inline style: {_short(tag)}" for tag in _named(tags, "style")]
    for tag in tags:
        for name, value in tag.attrs.items():
            inline = name == "style" or name.startswith(("on", "hx-on"))
            evaluated = name.startswith("hx-") and str(value).lstrip().startswith(
                ("js:", "javascript:")
            )
            filtered = name.startswith("hx-trigger") and "[" in str(value)
            if inline or evaluated or filtered:
                faults.append(f"the policy blocks {name}: {_short(tag)}")
    return faults


def _without_label(tags: list[Tag]) -> list[str]:
    targets = {tag.get("for") for tag in _named(tags, "label")}
    faults = []
    for field in _named(tags, "input", "select", "textarea"):
        if field.name == "input" and field.get("type", "text") in UNLABELLED:
            continue
        named = field.get("aria-label") or field.get("aria-labelledby")
        if not (named or field.get("id") in targets or field.find_parent("label")):
            faults.append(f"no label: {_short(field)}")
    return faults


def _without_name(tags: list[Tag]) -> list[str]:
    faults = [
        f"nothing to read out: {_short(tag)}"
        for tag in _named(tags, "button", "a")
        if not (tag.get_text(strip=True) or tag.get("aria-label") or tag.get("aria-labelledby"))
        and not tag.find("img", alt=True)
    ]
    return faults + [
        f"no alt: {_short(tag)}" for tag in _named(tags, "img") if "alt" not in tag.attrs
    ]


def _without_token(tags: list[Tag]) -> list[str]:
    return [
        f"no CSRF token in: {_short(form)}"
        for form in _named(tags, "form")
        if str(form.get("method", "get")).lower() == "post"
        and not form.find("input", {"name": "csrf_token"})
    ]


def _clashing_keys(tags: list[Tag]) -> list[str]:
    """Keys that two presses of one page have; a dialog has its own, Escape closes what is open."""
    dialogs = {id(tag) for dialog in _named(tags, "dialog") for tag in dialog.find_all(True)}
    keys = Counter(
        str(tag["data-key"]).casefold()
        for tag in tags
        if "data-key" in tag.attrs and tag["data-key"] != "Escape" and id(tag) not in dialogs
    )
    return [f"key {key!r} {count} times" for key, count in keys.items() if count > 1]


def _broken_references(tags: list[Tag], *, whole: bool) -> list[str]:
    if not whole:  # a fragment may name what stands around it
        return []
    ids = {str(tag["id"]) for tag in tags if "id" in tag.attrs}
    faults = []
    for tag in tags:
        for attribute in REFERENCES & tag.attrs.keys():
            value = tag[attribute]
            names = value if isinstance(value, list) else str(value).split()
            missing = [name for name in names if name not in ids]
            if missing:
                faults.append(f"{attribute} names {missing}, which is not there: {_short(tag)}")
    return faults


def _spoken(soup: BeautifulSoup, tags: list[Tag]) -> list[str]:
    """Every text a person reads or hears, but for what is marked translate="no"."""
    texts = []
    silent = {id(node) for tag in tags if tag.get("translate") == "no" for node in tag.descendants}
    for node in soup.find_all(string=True):
        parent = node.parent
        if parent is None or parent.name in {"script", "style", "[document]"}:
            continue
        if id(node) not in silent:
            texts.append(" ".join(str(node).split()))
    for tag in tags:
        texts += [" ".join(str(tag[name]).split()) for name in SPOKEN_ATTRIBUTES if tag.get(name)]
        if tag.name == "input" and tag.get("type") in {"submit", "button"}:
            texts.append(" ".join(str(tag.get("value", "")).split()))
    return [text for text in texts if text]


def _unfilled(spoken: list[str]) -> list[str]:
    return [f"not filled in: {text}" for text in spoken if UNFILLED.search(text)]


@cache
def _patterns(locale: str) -> tuple[frozenset[str], re.Pattern[str]]:
    """Words that are wrong as a whole text, and sentences that are wrong anywhere in one."""
    words, sentences = set(), ["(?!)"]
    for _, message in catalogues.messages():
        pairs = zip(_several(message.id), _several(message.string), strict=False)
        for identifier, japanese in pairs:
            wrong = identifier if locale == "ja" else japanese
            if identifier == japanese or not wrong:
                continue
            plain = " ".join(wrong.split())
            if not PLACEHOLDER.search(plain) and locale == "ja":
                words.add(plain)
            pattern = ".{1,80}?".join(re.escape(piece) for piece in PLACEHOLDER.split(plain))
            if _is_sentence(plain, locale):
                sentences.append(pattern)
            elif locale == "ja" and len(re.findall("[A-Za-z]", PLACEHOLDER.sub("", plain))) > 2:
                sentences.append(f"^{pattern}$")
    return frozenset(words), re.compile("|".join(sentences))


def _several(text: object) -> list[str]:
    return [text] if isinstance(text, str) else [str(one) for one in (text or ())]


def _is_sentence(text: str, locale: str) -> bool:
    fixed = PLACEHOLDER.sub("", text).strip()
    if locale == "ja":
        return len(fixed.split()) > 1 and len(fixed) > LONG_ENOUGH
    return len(fixed) > LONG_ENOUGH


def _untranslated(spoken: list[str], locale: str) -> list[str]:
    """Texts that stand in the other language: an English id on a Japanese page, or the reverse.

    Ids are known from the catalogue, so a customer's English name is no fault; a domain word that
    is Japanese by name is none on an English page.
    """
    return [f"not in {locale}: {text[:120]}" for text in spoken if _is_foreign(text, locale)]


@cache  # most of a page stands on every page
def _is_foreign(text: str, locale: str) -> bool:
    words, sentences = _patterns(locale)
    return text in words or sentences.search(text) is not None
