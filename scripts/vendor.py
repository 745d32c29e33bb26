"""Fetch the browser assets that pages load, pinned by version and checked by digest.

Run by a developer (`make vendor`) when a version changes; what it writes is committed, so
neither a build nor a running site needs the network. Needs `npm` on PATH; no package script is
ever run. JsSIP publishes no file that a page could load, so it is bundled here, once, by a pinned
esbuild from pinned parts: the same bytes on every machine, or the digest refuses them.

    python scripts/vendor.py           fetch, check, write
    python scripts/vendor.py --check   compare what is committed with the table, fetch nothing
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATIC_VENDOR = ROOT / "calltree" / "static" / "vendor"
TEST_VENDOR = ROOT / "tests" / "vendor"
SPRITE_NAME = "sprite.svg"
PARTS_LICENCES = "LICENSES-of-parts"
ESBUILD = "esbuild@0.28.2"


@dataclass(frozen=True)
class Bundle:
    """One module made of a package and the parts it needs, each at its own version."""

    name: str
    sha256: str
    parts: tuple[tuple[str, str, str], ...]  # package, version, its licence's file
    licences: str
    """sha256 of the parts' licences in one file."""


@dataclass(frozen=True)
class Package:
    """One published package: which of its files we keep, under which name, with which digest."""

    name: str
    version: str
    files: dict[str, tuple[str, str]]  # path in the package -> (name we keep, sha256)
    room: Path = STATIC_VENDOR
    icons: tuple[str, ...] = field(default=())
    sprite_sha256: str = ""
    bundle: Bundle | None = None

    @property
    def spec(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def folder(self) -> Path:
        return self.room / f"{self.name.removeprefix('@').replace('/', '-')}@{self.version}"

    def digests(self) -> dict[str, str]:
        """File name under `folder` -> sha256, for every file that is committed."""
        kept = dict(self.files.values())
        if self.icons:
            kept[SPRITE_NAME] = self.sprite_sha256
        if self.bundle:
            kept |= {self.bundle.name: self.bundle.sha256, PARTS_LICENCES: self.bundle.licences}
        return kept


ICONS = (
    "activity",
    "alert-triangle",
    "arrow-right",
    "ban",
    "bell",
    "broadcast",
    "calendar",
    "chart-bar",
    "check",
    "chevron-down",
    "chevron-right",
    "circle-check",
    "clock",
    "copy",
    "database",
    "device-floppy",
    "dialpad",
    "download",
    "edit",
    "external-link",
    "eye",
    "file-import",
    "file-text",
    "folder",
    "folders",
    "headset",
    "help",
    "history",
    "home",
    "inbox",
    "info-circle",
    "keyboard",
    "lifebuoy",
    "list",
    "lock",
    "logout",
    "menu-2",
    "microphone",
    "microphone-off",
    "phone",
    "phone-call",
    "phone-incoming",
    "phone-off",
    "phone-outgoing",
    "player-pause",
    "player-play",
    "player-skip-forward",
    "plus",
    "refresh",
    "report",
    "search",
    "settings",
    "speakerphone",
    "target",
    "trash",
    "upload",
    "user",
    "users",
    "wifi-off",
    "x",
)

PACKAGES = (
    Package(
        "htmx.org",
        "4.0.1",
        {
            "dist/htmx.min.js": (
                "htmx.min.js",
                "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
            ),
            "dist/ext/hx-ws.min.js": (
                "hx-ws.min.js",
                "a7c11e4eca05417d6299bb40aaacca01572e44605389fc4d5ef12be408a4d03b",
            ),
            "LICENSE": (
                "LICENSE",
                "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
            ),
        },
    ),
    Package(
        "@digital-go-jp/design-tokens",
        "1.1.9",
        {
            "dist/tokens.css": (
                "tokens.css",
                "ec3fb5b1e881d1bdf076feff29fe15a32269353c7a9cef40194f1eff0c3d7a90",
            ),
            "LICENSE": (
                "LICENSE",
                "9add7703fc9b3b9c8fe60608b141c5a56c5cba9ceafc257bca450852d153f6f3",
            ),
        },
    ),
    Package(
        "@tabler/icons",
        "3.51.0",
        {
            "LICENSE": (
                "LICENSE",
                "b740a1d46122672da62833e97f7e7c8a13fa85cbc7445b584b297cc00dde93db",
            )
        },
        icons=ICONS,
        sprite_sha256="c3ca475f67f4da4c64ca1a99c2f501b65fcdb14db94f5cba23f9d0f8dea1f388",
    ),
    Package(
        "jssip",
        "3.13.8",
        {
            "LICENSE.md": (
                "LICENSE",
                "2541fbb7ab0f3b83e6405084d9428cf04dc560165ddd6ff4ea6628abb2e53ca4",
            )
        },
        bundle=Bundle(
            "jssip.min.js",
            "bb88ccce5a91645fff3434c68bf0157fa72b9755f463d58c0722b955c2a86c8a",
            (
                ("debug", "4.4.3", "LICENSE"),
                ("events", "3.3.0", "LICENSE"),
                ("ms", "2.1.3", "license.md"),
                ("sdp-transform", "2.15.0", "LICENSE"),
            ),
            "d09b9917ee80a01d51b328caff560177d0430598e8012319def1016fea1b6574",
        ),
    ),
    # Accessibility checks in browser tests; never served.
    Package(
        "axe-core",
        "4.14.1",
        {
            "axe.min.js": (
                "axe.min.js",
                "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
            ),
            "LICENSE": (
                "LICENSE",
                "af175b9d96ee93c21a036152e1b905b0b95304d4ae8c2c921c7609100ba8df7e",
            ),
        },
        room=TEST_VENDOR,
    ),
)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def download(package: Package, into: Path) -> Path:
    """Return the path of the package's tarball; `npm pack` runs none of its scripts."""
    subprocess.run(
        ["npm", "pack", "--silent", "--ignore-scripts", package.spec],
        cwd=into,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (tarball,) = into.glob("*.tgz")
    return tarball


def member(archive: tarfile.TarFile, path: str) -> bytes:
    opened = archive.extractfile(f"package/{path}")
    if opened is None:
        raise FileNotFoundError(path)
    return opened.read()


def sprite(archive: tarfile.TarFile, icons: tuple[str, ...]) -> bytes:
    """Return one SVG with a <symbol> for each icon, so a page loads every icon at once."""
    symbols = []
    for icon in icons:
        source = member(archive, f"icons/outline/{icon}.svg").decode()
        found = re.search(r"<svg[^>]*>(.*)</svg>", source, re.DOTALL)
        if found is None:
            raise ValueError(f"{icon} is not an SVG")
        # The first path of older icons is an invisible box.
        shapes = re.sub(r'<path stroke="none"[^>]*/>', "", found.group(1))
        shapes = " ".join(shapes.split())
        symbols.append(
            f'<symbol id="{icon}" viewBox="0 0 24 24" fill="none" stroke="currentColor"'
            f' stroke-width="2" stroke-linecap="round" stroke-linejoin="round">{shapes}</symbol>'
        )
    body = "\n".join(symbols)
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{body}\n</svg>\n'.encode()


def bundled(package: Package, bundle: Bundle) -> dict[str, bytes]:
    """Return the bundle as an ES module whose default is the package's, and the parts' licences."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "package.json").write_text("{}")
        parts = [f"{name}@{version}" for name, version, _ in bundle.parts]
        subprocess.run(
            ["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund",
             "--save-exact", package.spec, *parts, ESBUILD],
            cwd=folder, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        (folder / "entry.mjs").write_text(f'export {{ default }} from "{package.name}";\n')
        subprocess.run(
            ["node_modules/.bin/esbuild", "entry.mjs", "--bundle", "--format=esm", "--minify",
             "--platform=browser", "--target=chrome120", "--legal-comments=none",
             "--define:process.env.NODE_ENV='production'", "--log-level=error",
             f"--outfile={bundle.name}"],
            cwd=folder, check=True,
        )  # fmt: skip
        licences = [
            f"== {name} {version}\n{(folder / 'node_modules' / name / file).read_text()}"
            for name, version, file in bundle.parts
        ]
        return {
            bundle.name: (folder / bundle.name).read_bytes(),
            PARTS_LICENCES: "\n".join(licences).encode(),
        }


def fetch(package: Package) -> list[str]:
    """Write the package's files; return one line for each digest that does not match."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        tarfile.open(download(package, Path(scratch))) as archive,
    ):
        contents = {name: member(archive, path) for path, (name, _) in package.files.items()}
        if package.icons:
            contents[SPRITE_NAME] = sprite(archive, package.icons)
        if package.bundle:
            contents |= bundled(package, package.bundle)
    wrong = [
        f"{package.spec} {name}: expected {package.digests()[name] or '(none)'}, got {sha256(data)}"
        for name, data in contents.items()
        if sha256(data) != package.digests()[name]
    ]
    if wrong:
        return wrong
    for old in package.room.glob(package.folder.name.rpartition("@")[0] + "@*"):
        shutil.rmtree(old)
    package.folder.mkdir(parents=True)
    for name, data in contents.items():
        (package.folder / name).write_bytes(data)
    return []


def check(package: Package) -> list[str]:
    """Return one line for each committed file that is missing or differs from the table."""
    lines = []
    for name, expected in package.digests().items():
        path = package.folder / name
        if not path.is_file():
            lines.append(f"{package.spec} {name}: missing")
        elif sha256(path.read_bytes()) != expected:
            lines.append(f"{package.spec} {name}: differs from the table")
    return lines


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="fetch nothing, compare only")
    parser.add_argument("package", nargs="*", help="these alone; all when none is named")
    options = parser.parse_args(arguments)
    work = check if options.check else fetch
    asked = [p for p in PACKAGES if not options.package or p.name in options.package]
    wrong = [line for package in asked for line in work(package)]
    for line in wrong:
        sys.stderr.write(line + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
