"""What a command loads: each verb starts without what it does not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from icworkshop_gui.formats.create import SourceFile, create_torrent

UNUSED = (
    "aiohttp",
    "yarl",
    "yaml",
    "icworkshop_gui.cli.packages",
    "icworkshop_gui.cli.publish",
    "icworkshop_gui.server",
)


def test_a_torrent_that_is_complete_needs_no_http_and_nothing_of_packages(tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.write_bytes(b"x" * 40_000)
    torrent = tmp_path / "content.torrent"
    torrent.write_bytes(create_torrent("content", [SourceFile((), 40_000, lambda: content.open("rb"))]))
    code = (
        "import sys\n"
        "from icworkshop_gui.cli.__main__ import main\n"
        "try:\n"
        f"    main(['torrent', 'download', {str(torrent)!r}, '--to', {str(tmp_path)!r}, '--no-trackers', '--no-dht',\n"
        f"          '--no-lsd', '--data-dir', {str(tmp_path / 'data')!r}])\n"
        "except SystemExit as ended:\n"
        "    print('ended', ended.code)\n"
        f"print('loaded', [name for name in {UNUSED!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.splitlines()[-2:] == ["ended 0", "loaded []"], done.stdout + done.stderr


def test_every_verb_is_in_the_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "icworkshop_gui.cli", "--help"], capture_output=True, text=True, timeout=30, check=True
    )
    assert all(f"\n    {verb} " in done.stdout for verb in ("search", "install", "publish", "torrent"))
