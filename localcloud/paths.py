"""Where one checkout keeps what it builds and what it remembers between runs."""

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

INSTALLED: Final = ROOT / ".local"
MINISTACK: Final = INSTALLED / "ministack" / "bin" / "ministack"

STATE: Final = Path(os.environ.get("RENDERHUB_STATE", INSTALLED)).resolve()
"""The database, the queues and files of MiniStack, the logs; safe to delete while nothing runs."""

LOGS: Final = STATE / "logs"

BUILD: Final = ROOT / "build"
SITE: Final = BUILD / "site"
RENDERER: Final = ROOT / "localcloud" / "renderer"
