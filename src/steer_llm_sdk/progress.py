"""A bar on the terminal, drawn by ``rich`` where that is installed and asked for."""

from __future__ import annotations

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.bulk import Progress


class ProgressBar:
    """Shows how far many prompts have come, on the standard error; only where that is a terminal.

    Args:
        total: How many prompts there are; None where that is not known.

    Raises:
        ConfigurationError: ``rich`` is not installed.
    """

    def __init__(self, total: int | None) -> None:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar
        except ImportError:
            raise ConfigurationError(
                "on_progress='bar' needs the extra 'progress' "
                '(pip install "steer-llm-sdk[progress]")'
            ) from None
        console = Console(stderr=True)
        self._bar = Bar(
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total)
        # Where there is no terminal, rich before 14.3 ends even a disabled bar with an empty line.
        if not self._bar.disable:
            self._bar.start()

    def __call__(self, progress: Progress) -> None:
        """Draw it anew."""
        self._bar.update(self._task, completed=progress.done, description=_describe(progress))

    def close(self) -> None:
        """Leave the bar as it stands."""
        if not self._bar.disable:
            self._bar.stop()


def _describe(progress: Progress) -> str:
    said = [f"{progress.prompt_tokens + progress.completion_tokens:,} tokens"]
    if progress.cost_usd is not None:
        said.append(f"${progress.cost_usd:.4f}")
    if progress.failed:
        said.append(f"{progress.failed} failed")
    return ", ".join(said)
