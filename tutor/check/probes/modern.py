"""The probes of the modern track."""

from typing import Any

from tutor.check.probes.base import make_config, plain_fields, public
from tutor.check.probes.engine import EngineProbes
from tutor.check.sandbox.errors import ContractError


def described(config: Any) -> dict[str, Any]:
    """The fields of a LlamaConfig and their values, and its n_positions."""
    return {**plain_fields(config), "n_positions": getattr(config, "n_positions", None)}


class ModernProbes(EngineProbes):
    """What a check of any step can ask of it, those of the modern track among them."""

    # Modern 01

    def llama_config(self, **options: Any) -> dict[str, Any]:
        """The fields of a LlamaConfig and their values, and its n_positions."""
        return described(make_config(self.step, "LlamaConfig", (), options))

    def read_config(self, entries: dict[str, Any]) -> dict[str, Any]:
        """The same of the LlamaConfig that read_config makes of the entries of a config.json."""
        config = public(self.step, "read_config")(entries)
        if not isinstance(config, public(self.step, "LlamaConfig")):
            raise ContractError(f"read_config returned {type(config).__name__}, not a LlamaConfig")
        return described(config)
