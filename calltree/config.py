"""Settings: read from the environment once, checked at start, passed around as one object."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from calltree.switch_place import SwitchPlace
from calltree.text import networks


class SettingsError(ValueError):
    """A variable of the environment cannot be used; the message says which and what to write."""


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """Where an S3-compatible store keeps recordings."""

    bucket: str
    prefix: str
    """Empty, or ends with a slash."""
    endpoint: str
    """Empty: Amazon's own."""
    region: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What the administrator decides outside the screens.

    docs/reference/commands-and-variables.md lists it.
    """

    # what holds a password is left out of repr: a traceback may print these settings
    database_url: str = field(repr=False)
    data_dir: Path
    secret_key: str = field(repr=False)
    redis_url: str | None = field(default=None, repr=False)
    esl_urls: tuple[str, ...] = field(default=(), repr=False)
    """Real switches. Empty: the practice switch, and every page says so (R-AR-5)."""
    practice_esl_url: str | None = field(default=None, repr=False)
    """Where the launcher put the practice switch; used only while `esl_urls` is empty."""
    host: str = "127.0.0.1"
    port: int = 8000
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Tokyo"))
    practice_password: str | None = field(default=None, repr=False)
    trusted_proxies: int = 0
    web_threads: int = 200
    """Threads of a web process (gunicorn.conf.py); all but 32 may hold an open page's socket."""
    switch_recordings: str | None = None
    """The recordings directory as FreeSWITCH sees it; ours is `recordings_dir`."""
    switch_directory_url: str = "http://127.0.0.1:8000/switch/directory"
    """Where FreeSWITCH asks for operators' credentials (mod_xml_curl)."""
    switch_secret: str = field(default="", repr=False)
    """Password of the user `switch` at that address (basic authentication)."""
    switch_place: SwitchPlace = field(default_factory=SwitchPlace)
    """Where the real switch stands, the first of several, for its configuration."""
    switch_places: tuple[SwitchPlace, ...] = ()
    """Where each stands, in the order of `esl_urls`; `place_of` tells."""
    switch_wss_urls: tuple[str, ...] = ()
    """Where operators' pages reach each switch, in the order of `esl_urls`; empty: `/sip` of the
    address that the page came from (the proxy passes it on), on this machine the switch itself."""
    host_name: str = ""
    """The name at which browsers reach the site over https; empty: not told."""
    ice_servers: tuple[str, ...] = field(default=(), repr=False)
    """STUN and TURN servers for pages: stun:host:port, turn:user:password@host:port."""
    backup_dir: Path | None = None
    """Where nightly backups go; None: `backups` under `data_dir`. Better on another disk."""
    backup_keep: int = 7
    """How many backups are kept there."""
    metrics_token: str | None = field(default=None, repr=False)
    """Who may read /metrics from elsewhere; None: this machine alone."""
    webhook_networks: tuple[str, ...] = ()
    """Networks of one's own that webhooks may reach, http included; else the public internet."""
    recordings_s3: BucketPlace | None = None
    """Where copies of recordings are kept instead of in `recordings_dir`."""
    clock_rate: float = 1.0
    """Practice and soak runs only: how many times faster than the wall clock time-outs run."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the variables. Raises SettingsError naming the variable and the expected form."""
        data_dir = Path(env.get("DATA_DIR") or "var").resolve()
        switches, ways = _esl_urls(env.get("ESL_URL", "")), _wss_urls(env.get("SWITCH_WSS_URL", ""))
        if len(switches) > 1 and ways and len(ways) != len(switches):
            # pages would be sent to a switch that their operator's telephone is not on
            raise SettingsError("SWITCH_WSS_URL: write one for each switch of ESL_URL")
        places = _switch_places(env, max(len(switches), 1))
        return cls(
            database_url=_database_url(env.get("DATABASE_URL"), data_dir),
            data_dir=data_dir,
            secret_key=env.get("SECRET_KEY") or _kept_secret(data_dir / "secret_key"),
            redis_url=env.get("REDIS_URL") or None,
            esl_urls=switches,
            practice_esl_url=env.get("PRACTICE_ESL_URL") or _kept_practice_url(data_dir),
            host=env.get("HOST") or "127.0.0.1",
            port=_port(env),
            timezone=_zone(env.get("SITE_TIMEZONE") or "Asia/Tokyo"),
            practice_password=env.get("PRACTICE_PASSWORD") or None,
            trusted_proxies=_number(env, "TRUSTED_PROXIES", 0),
            web_threads=_number(env, "WEB_THREADS", 200),
            switch_recordings=env.get("SWITCH_RECORDINGS") or None,
            switch_directory_url=_directory_url(env),
            switch_secret=env.get("SWITCH_SECRET") or _kept_secret(data_dir / "switch_secret"),
            switch_place=places[0],
            switch_places=places,
            switch_wss_urls=ways,
            host_name=_host_name(env),
            ice_servers=_ice_servers(env.get("ICE_SERVERS", "")),
            backup_dir=Path(env["BACKUP_DIR"]).resolve() if env.get("BACKUP_DIR") else None,
            backup_keep=max(_number(env, "BACKUP_KEEP", 7), 1),
            metrics_token=env.get("METRICS_TOKEN") or None,
            webhook_networks=_networks(env.get("WEBHOOK_NETWORKS", "")),
            recordings_s3=_bucket_place(env),
            clock_rate=_rate(env),
        )

    @property
    def practice(self) -> bool:
        """True while no real switch is configured."""
        return not self.esl_urls

    @property
    def switch_urls(self) -> tuple[str, ...]:
        """Every switch to link to: the real ones, else the practice switch, if one was started."""
        if self.esl_urls:
            return self.esl_urls
        return (self.practice_esl_url,) if self.practice_esl_url else ()

    @property
    def node_names(self) -> tuple[str, ...]:
        """The switches by name, in the order of `switch_urls`; 'practice' while none is real."""
        if self.practice:
            return ("practice",)
        return tuple(_node_name(url) for url in self.esl_urls)

    def place_of(self, node: str) -> SwitchPlace:
        """Where this switch stands; the only place there is, where several were not told."""
        if len(self.switch_places) < 2 or node not in self.node_names:
            return self.switch_place
        return self.switch_places[self.node_names.index(node)]

    def switch_wss_url(self, node: str) -> str:
        """Where browsers reach this switch, the first if it is no name of one; empty: not told."""
        if self.switch_wss_urls:
            place = self.node_names.index(node) if node in self.node_names else 0
            return self.switch_wss_urls[min(place, len(self.switch_wss_urls) - 1)]
        return f"wss://{self.host_name}/sip" if self.host_name else ""

    @property
    def recordings_dir(self) -> Path:
        """Where the switch writes and the jobs read raw recordings."""
        return self.data_dir / "recordings"

    @property
    def uploads_dir(self) -> Path:
        """Files that managers uploaded, as they came."""
        return self.data_dir / "uploads"

    @property
    def exports_dir(self) -> Path:
        """Files made for download; swept nightly."""
        return self.data_dir / "exports"

    @property
    def backups_dir(self) -> Path:
        """Where backups are written and looked for."""
        return self.backup_dir or self.data_dir / "backups"

    def flask_config(self) -> dict[str, Any]:
        """The settings that Flask and its extensions read by their own names."""
        return {
            "SECRET_KEY": self.secret_key,
            "SQLALCHEMY_DATABASE_URI": self.database_url,
            # a failed statement goes to the log, what people typed does not
            "SQLALCHEMY_ENGINE_OPTIONS": {"hide_parameters": True},
            "SESSION_COOKIE_NAME": "calltree",
            "SESSION_COOKIE_HTTPONLY": True,
            "SESSION_COOKIE_SAMESITE": "Lax",
            "SESSION_COOKIE_SECURE": self.trusted_proxies > 0,
            "WTF_CSRF_TIME_LIMIT": None,
            "RATELIMIT_STORAGE_URI": _limits_url(self.redis_url),
            "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
            "MAX_CONTENT_LENGTH": 66 * 1024 * 1024,
            "BABEL_DEFAULT_LOCALE": "ja",
            "BABEL_DEFAULT_TIMEZONE": str(self.timezone),
            "BABEL_TRANSLATION_DIRECTORIES": "translations",
        }


def _database_url(given: str | None, data_dir: Path) -> str:
    if not given:
        return f"sqlite:///{data_dir / 'calltree.db'}"
    scheme, _, rest = given.partition("://")
    if scheme in {"postgres", "postgresql"}:
        return f"postgresql+psycopg://{rest}"
    if scheme == "sqlite":
        path = rest.removeprefix("/")
        # Flask-SQLAlchemy would put a relative path under its instance folder.
        return f"sqlite:///{Path(path).resolve()}"
    if scheme == "postgresql+psycopg":
        return given
    raise SettingsError("DATABASE_URL: write sqlite:///path/to/file.db or postgresql://…")


def _limits_url(redis_url: str | None) -> str:
    """Return the address as the limits library spells it (unix sockets differ from redis-py's)."""
    if not redis_url:
        return "memory://"
    return redis_url.replace("unix://", "redis+unix://", 1)


def _kept_secret(path: Path) -> str:
    """Return the secret made on first start; sessions and links must survive a restart."""
    try:
        return path.read_text()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    secret = secrets.token_urlsafe(48)
    try:
        with path.open("x") as file:
            path.chmod(0o600)
            file.write(secret)
    except FileExistsError:  # another role starting in the same moment was first
        return path.read_text()
    return secret


def _kept_practice_url(data_dir: Path) -> str | None:
    """The practice switch of the launcher that runs on this DATA_DIR, for commands beside it."""
    try:
        return (data_dir / "run" / "practice_url").read_text().strip() or None
    except FileNotFoundError:
        return None


def _esl_urls(given: str) -> tuple[str, ...]:
    urls = tuple(url.strip() for url in given.split(",") if url.strip())
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme != "esl" or not parts.hostname:
            raise SettingsError("ESL_URL: write esl://:password@host:8021, several with commas")
    return urls


def _node_name(url: str) -> str:
    parts = urlsplit(url)
    host = re.sub(r"[^a-z0-9.-]", "-", (parts.hostname or "").lower())[:48]
    return host if parts.port in (None, 8021) else f"{host}-{parts.port}"


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(env.get(name) or default)
    except ValueError:
        raise SettingsError(f"{name}: write a whole number") from None


def _port(env: Mapping[str, str]) -> int:
    port = _number(env, "PORT", 8000)
    if not 0 < port < 65536:
        raise SettingsError("PORT: write a number from 1 to 65535")
    return port


def _directory_url(env: Mapping[str, str]) -> str:
    url = env.get("SWITCH_DIRECTORY_URL") or f"http://127.0.0.1:{_port(env)}/switch/directory"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise SettingsError("SWITCH_DIRECTORY_URL: write http://host:port/switch/directory")
    return url


def _switch_places(env: Mapping[str, str], switches: int) -> tuple[SwitchPlace, ...]:
    try:
        return SwitchPlace.each(env, switches)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _wss_urls(given: str) -> tuple[str, ...]:
    urls = tuple(url.strip() for url in given.split(",") if url.strip())
    for url in urls:
        # it stands in a header of every page: nothing but an address may
        if not re.fullmatch(r"wss?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?", url):
            raise SettingsError("SWITCH_WSS_URL: write wss://host/sip, several with commas")
    return urls


def _host_name(env: Mapping[str, str]) -> str:
    given = env.get("CALLTREE_HOST", "")
    if given and not re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", given):
        raise SettingsError("CALLTREE_HOST: write a host name such as calltree.example.jp")
    return given


def _ice_servers(given: str) -> tuple[str, ...]:
    servers = tuple(server.strip() for server in given.split(",") if server.strip())
    for server in servers:
        if not re.fullmatch(r"stuns?:[^@\s]+|turns?:[^:@\s]+:[^@\s]+@[^@\s]+", server):
            raise SettingsError("ICE_SERVERS: write stun:host:3478 or turn:user:password@host:3478")
    return servers


def _bucket_place(env: Mapping[str, str]) -> BucketPlace | None:
    given = env.get("RECORDINGS_S3")
    if not given:
        return None
    parts, endpoint = urlsplit(given), env.get("RECORDINGS_S3_ENDPOINT", "")
    path = parts.path.strip("/")
    fine = re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc)
    if parts.scheme != "s3" or not fine or not re.fullmatch(r"[A-Za-z0-9._/-]*", path):
        raise SettingsError("RECORDINGS_S3: write s3://bucket or s3://bucket/folder")
    if endpoint and (urlsplit(endpoint).scheme not in {"http", "https"} or "@" in endpoint):
        raise SettingsError("RECORDINGS_S3_ENDPOINT: write https://host or https://host:port")
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "ap-northeast-1"
    return BucketPlace(parts.netloc, f"{path}/" if path else "", endpoint, region)


def _networks(given: str) -> tuple[str, ...]:
    try:
        return tuple(networks.read(one) for one in given.split(",") if one.strip())
    except ValueError:
        raise SettingsError(
            "WEBHOOK_NETWORKS: write 192.168.10.0/24, several with commas"
        ) from None


def _rate(env: Mapping[str, str]) -> float:
    try:
        rate = float(env.get("CLOCK_RATE") or 1)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1000:
        raise SettingsError("CLOCK_RATE: write a number above 0, 1 for real time")
    return rate


def _zone(name: str) -> ZoneInfo:
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise SettingsError("SITE_TIMEZONE: write Asia/Tokyo, or leave it out") from None
    if name != "Asia/Tokyo":  # every record keeps the day of Japan that it belongs to
        raise SettingsError("SITE_TIMEZONE: days are those of Asia/Tokyo; leave it out")
    return zone
