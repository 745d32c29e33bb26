"""The text of an originate: variables, endpoints and what to do once it is up.

Parsed as FreeSWITCH does it, traps included: a quote that is not closed swallows the rest, a space
outside quotes ends the dial string, a comma outside braces dials a second number at once.
"""

from dataclasses import dataclass, field

USAGE = (
    "-USAGE: <call url> <exten>|&<application_name>(<app_args>) "
    "[<dialplan>] [<context>] [<cid_name>] [<cid_num>] [<timeout_sec>]\n"
)


class DialError(Exception):
    """The dial string cannot be used; the text is the hangup cause or the usage."""


@dataclass
class Target:
    """One endpoint: `sofia/gateway/<gw>/<digits>`, `sofia/<profile>/…` or `user/<id>`."""

    kind: str
    number: str
    gateway: str = ""
    variables: dict[str, str] = field(default_factory=dict)


@dataclass
class App:
    """One application of an inline chain."""

    name: str
    data: str = ""


@dataclass
class Request:
    """A whole originate."""

    targets: list[Target]
    variables: dict[str, str]
    apps: list[App]
    extension: str = ""
    dialplan: str = "XML"
    context: str = "default"
    timeout: int = 60


def split_outside(text: str, separator: str, *, brackets: bool = True) -> list[str]:
    """Split where the separator stands outside quotes and (unless told not to) brackets."""
    parts, depth, quoted, current = [], 0, False, ""
    escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "'":
            quoted = not quoted
        elif brackets and not quoted and character in "{[(<":
            depth += 1
        elif brackets and not quoted and character in "}])>":
            depth = max(depth - 1, 0)
        elif character == separator and not quoted and depth == 0:
            parts.append(current)
            current = ""
            continue
        current += character
    if quoted:
        raise DialError(USAGE)
    return [*parts, current]


def words(text: str) -> list[str]:
    """Arguments apart by blanks; quotes keep them together and are taken off the outside."""
    return [_unquote(part) for part in split_outside(text.strip(), " ", brackets=False) if part]


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "s": " ", "'": "'", '"': '"', "\\": "\\"}


def cleaned(text: str) -> str:
    """An argument as the switch's splitter leaves it: pairs of `'` and backslashes are eaten."""
    kept, quoted, position = "", False, 0
    while position < len(text):
        character = text[position]
        escaped = _ESCAPES.get(text[position + 1 : position + 2]) if character == "\\" else None
        position += 1
        if escaped is not None:
            kept += escaped
            position += 1
        elif character == "'" and (quoted or "'" in text[position:]):
            quoted = not quoted
        else:
            kept += character
    return kept


def _unquote(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text


def variables_of(text: str) -> dict[str, str]:
    """The inside of `{…}`: `a=b,c='d e'`, or with a separator of its own, `^^:a=b:c=d`."""
    separator = ","
    if text.startswith("^^") and len(text) > 2:
        separator, text = text[2], text[3:]
    found = {}
    for pair in split_outside(text, separator):
        name, equals, value = pair.partition("=")
        if equals and name.strip():
            found[name.strip()] = _unquote(value).replace("\\'", "'").replace("\\,", ",")
    return found


def leading_variables(text: str) -> tuple[dict[str, str], str]:
    """Take every leading `{…}`, `[…]` or `<…>` off a dial string."""
    closing = {"{": "}", "[": "]", "<": ">"}
    found: dict[str, str] = {}
    while text[:1] in closing:
        end = text.find(closing[text[0]])
        if end < 0:
            raise DialError("DESTINATION_OUT_OF_ORDER")
        found |= variables_of(text[1:end])
        text = text[end + 1 :].lstrip()
    return found, text


def target_of(text: str) -> Target:
    """Read one endpoint. Raises `DialError(CHAN_NOT_IMPLEMENTED)` for a kind there is not."""
    variables, rest = leading_variables(text.strip())
    kind, _, path = rest.partition("/")
    if kind == "sofia":
        profile, _, user = path.partition("/")
        if profile == "gateway":
            gateway, _, number = user.partition("/")
            return Target("gateway", number, gateway, variables)
        return Target("sofia", user.partition("@")[0], profile, variables)
    if kind == "user":
        return Target("user", path.partition("@")[0], "", variables)
    if kind == "error":
        raise DialError(path.upper() or "NORMAL_CLEARING")
    raise DialError("CHAN_NOT_IMPLEMENTED")


def inline_apps(text: str) -> list[App]:
    """An inline chain: `app:data,app:data`, or with its own separator, `m:^:app:data^app:data`.

    Commas in data break it, exactly as they do on a real switch.
    """
    separator = ","
    if text.startswith("m:") and len(text) > 4 and text[3] == ":":
        separator, text = text[2], text[4:]
    apps = []
    for part in text.split(separator):
        name, _, data = part.strip().partition(":")
        if name:
            apps.append(App(name, _unquote(data)))
    return apps


def parse(text: str) -> Request:
    """Read the arguments of `originate`. Raises `DialError`."""
    if not text.strip():
        raise DialError(USAGE)
    arguments = words(text)
    if len(arguments) < 2:
        raise DialError(USAGE)
    variables, rest = leading_variables(arguments[0])
    targets = [target_of(part) for part in split_outside(rest, ",")]
    action = arguments[1]
    apps, extension = [], ""
    if action.startswith("&"):
        name, _, data = action[1:].partition("(")
        apps = [App(name, data.removesuffix(")"))]
    elif len(arguments) > 2 and arguments[2] == "inline":
        apps = inline_apps(action)
    else:
        extension = action
    timeout = variables.get("originate_timeout") or (arguments[6] if len(arguments) > 6 else "60")
    return Request(
        targets,
        variables,
        apps,
        extension,
        arguments[2] if len(arguments) > 2 else "XML",
        arguments[3] if len(arguments) > 3 else "default",
        int(timeout) if timeout.isdecimal() else 60,
    )
