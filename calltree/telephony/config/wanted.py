"""What a configuration is rendered from: settings and trunks, read once and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from sqlalchemy.orm import Session

from calltree.config import Settings
from calltree.models.trunks import CallerIdForm, Transport, TrunkKind
from calltree.services import campaign_sounds, site_sounds, trunks
from calltree.services.inbound_fallbacks import Fallback, fallbacks
from calltree.services.site_sounds import SiteSound
from calltree.switch_place import SwitchPlace, is_switch_path
from calltree.telephony.commands import said_file
from calltree.telephony.esl import EslUrl
from calltree.telephony.nodes import nodes

FILES = {
    SiteSound.HOLD_MUSIC: "music/tune.wav",
    SiteSound.WAITING: "guidance.wav",
    SiteSound.APOLOGY: "apology.wav",
}
"""Where a site's sound stands below `sounds/`."""


class ConfigError(ValueError):
    """The configuration cannot be made; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One trunk as the switch needs to know it."""

    name: str
    title: str
    proxy: str
    realm: str = ""
    transport: Transport = Transport.UDP
    registers: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    caller_id_form: CallerIdForm = CallerIdForm.FROM


@dataclass(frozen=True, slots=True)
class Wanted:
    """One switch's configuration before it is written down."""

    node: str
    esl: EslUrl
    place: SwitchPlace
    directory_url: str
    secret: str = field(repr=False)
    recordings: str
    gateways: tuple[Gateway, ...]
    test_carrier: bool = False
    fallbacks: tuple[Fallback, ...] = ()
    """What becomes of calls that come in while CALLTREE is away."""
    sounds: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Chosen WAV files in place of ours, by their names below `sounds/`."""

    @classmethod
    def read(
        cls, session: Session, settings: Settings, *, node: str = "", test_carrier: bool = False
    ) -> Self:
        """Read what is wanted of a node (the first, if none is named). Raises ConfigError."""
        if settings.practice:
            raise ConfigError("Set ESL_URL first, such as esl://:password@127.0.0.1:8021.")
        try:
            found = [known for known in nodes(settings) if node in ("", known.name)]
        except ValueError as error:
            raise ConfigError(f"ESL_URL: {error}") from None
        if not found:
            raise ConfigError(f"ESL_URL names no switch {node}: {' '.join(settings.node_names)}")
        recordings = settings.switch_recordings or str(settings.recordings_dir)
        if not is_switch_path(recordings):
            raise ConfigError("SWITCH_RECORDINGS: write an absolute path without spaces.")
        return cls(
            node=found[0].name,
            esl=found[0].url,
            place=settings.place_of(found[0].name),
            directory_url=settings.switch_directory_url,
            secret=settings.switch_secret,
            recordings=recordings,
            gateways=tuple(
                Gateway(
                    name=trunk.gateway,
                    title=trunk.name,
                    proxy=trunk.proxy,
                    realm=trunk.realm,
                    transport=trunk.transport,
                    registers=trunk.kind is TrunkKind.REGISTERED,
                    username=trunk.username,
                    password=trunk.password,
                    caller_id_form=trunk.caller_id_form,
                )
                for trunk in trunks.all_trunks(session)
                if trunk.enabled
            ),
            test_carrier=test_carrier,
            fallbacks=tuple(fallbacks(session)),
            sounds={
                **{FILES[sound]: wav for sound, wav in site_sounds.waves(session).items()},
                **{said_file(one): wav for one, wav in campaign_sounds.waves(session).items()},
            },
        )
