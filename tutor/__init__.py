"""The course's support package: the commands, and what makes MAX quick. Never what is taught."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
