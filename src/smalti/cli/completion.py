"""`smalti completion`: what bash, zsh and fish need to complete verbs, options, datasets and versions."""

import click
from click.shell_completion import get_completion_class

from smalti.cli.output import say

__all__ = ["completion"]

_HINTS = {
    "bash": "smalti completion bash > ~/.local/share/bash-completion/completions/smalti",
    "zsh": "smalti completion zsh > a folder of $fpath, as _smalti",
    "fish": "smalti completion fish > ~/.config/fish/completions/smalti.fish",
}


@click.command(epilog="\b\n" + "\n".join(_HINTS.values()))
@click.argument("shell", type=click.Choice(list(_HINTS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete smalti: verbs, options, datasets and DATASET@VERSION."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"{shell} is not a shell that can complete")
    if shell == "bash":
        say("COMP_WORDBREAKS=${COMP_WORDBREAKS//@}  # DATASET@VERSION is one word")
    say(found(context.find_root().command, {}, "smalti", "_SMALTI_COMPLETE").source())
