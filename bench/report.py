"""What was measured, as a table for people: on the terminal and in ``bench/RESULTS.md``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

COLUMNS: Final = ("measured", "figure", "baseline", "which is", "ratio", "target")
_NUMBERS: Final = frozenset({"figure", "baseline", "ratio"})


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure beside its baseline.

    Attributes:
        name: What was measured.
        value: The figure.
        unit: Of the figure and of the baseline.
        baseline: What the figure is compared with; empty when it stands alone.
        baseline_value: That, measured in the same run.
        target: What the figure should reach, in words.
    """

    name: str
    value: float
    unit: str
    baseline: str = ""
    baseline_value: float | None = None
    target: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the figure's row."""
        if self.baseline_value is None:
            return self.name, _text(self.value, self.unit), "", "", "", self.target
        ratio = self.value / self.baseline_value
        value, baseline = (_text(each, self.unit) for each in (self.value, self.baseline_value))
        return self.name, value, baseline, self.baseline, f"{ratio:.2f}", self.target


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one measurement.

    Attributes:
        name: The measurement's name for ``--only``.
        title: What it is about, in one line.
        figures: The figures.
    """

    name: str
    title: str
    figures: Sequence[Figure]


def _text(value: float, unit: str) -> str:
    number = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - four digits
    return f"{number} {unit}"


def print_section(section: Section) -> None:
    """Print a measurement's figures."""
    table = Table(title=f"{section.name}: {section.title}", title_justify="left")
    for column in COLUMNS:
        table.add_column(
            column, justify="left" if column in {"measured", "", "target"} else "right"
        )
    for figure in section.figures:
        table.add_row(*figure.cells())
    Console(width=140).print(table)


def markdown(command: str, facts: Iterable[tuple[str, str]], sections: Iterable[Section]) -> str:
    """Return the whole report as Markdown.

    Args:
        command: What writes it.
        facts: What the figures depend on, by name.
        sections: The measurements.
    """
    lines = [
        "# Benchmark results",
        "",
        f"Written by `{command}`. Each figure stands beside its baseline, measured in",
        "the same run: medians of repeats that take turns. The ratio is the figure divided by the",
        "baseline: more is better for a rate, less for a time. The machine is part of the result.",
        "",
        *(f"- {name}: {value}" for name, value in facts),
    ]
    for section in sections:
        lines += ["", f"## {section.name}", "", f"{section.title}.", "", _row(COLUMNS)]
        lines.append(_row(["---"] * len(COLUMNS)))
        lines += [_row(figure.cells()) for figure in section.figures]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
