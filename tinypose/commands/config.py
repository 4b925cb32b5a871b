"""`tinypose config`: look at a config as the other commands see it."""

import typer
import yaml

from tinypose.commands.options import ConfigOption, OverrideOption

app = typer.Typer(help="Look at configs.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Look at configs."""


@app.command()
def show(config: ConfigOption, override: OverrideOption = []) -> None:  # noqa: B006 (typer copies it)
    """Print the config with what it inherits, the overrides and the defaults."""
    from tinypose.detection.config import load_any_config

    loaded = load_any_config(config, override)
    print(yaml.safe_dump(loaded.model_dump(mode="json"), sort_keys=False), end="")
