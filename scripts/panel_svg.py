"""A panel of curves as an element of a page: text that the page colours, in milliseconds."""

import html
import math

import numpy as np

from scripts.curves import Panel, thinned

WIDTH, HEIGHT = 500, 300  # units of the drawing
LEFT, RIGHT, TOP, BOTTOM = 76, 12, 28, 42  # around the curves
DASHES = {"-": "", "--": "8 4", ":": "2 3", "-.": "8 3 2 3"}  # of a line style
STEPS = (1, 2, 5, 10)  # of ticks, times a power of ten


def panel_svg(panel: Panel, looks: dict[str, dict[str, str]], x_name: str) -> str:
    """Axes with ticks, a pale curve of what was logged and a strong one of what is smoothed.

    Args:
        looks: run -> its "color" and "linestyle".
    """
    curves = [
        (label, *thinned(x, y), strong)
        for label, logged in panel.logged.items()
        for (x, y), strong in [(logged, False)] * bool(panel.smooth)
        + [(panel.smoothed(label), True)]
    ]
    across = Axis([x for _, x, _, _ in curves], LEFT, WIDTH - RIGHT)
    up = Axis([y for _, _, y, _ in curves], HEIGHT - BOTTOM, TOP)
    parts = [*_grid(across, up), *(_curve(across, up, x, y, looks[label], strong)
                                   for label, x, y, strong in curves)]  # fmt: skip
    middle, height = (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8
    parts += [_text(x_name, middle, height), _text(panel.title, middle, 17, size=13)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'style="font: 11px system-ui, sans-serif; fill: currentColor">{"".join(parts)}</svg>'
    )


class Axis:
    """From values to places in the drawing.

    Args:
        values: all that have to find room; NaN is left out.
        begin, end: where the least and the greatest value stand.
    """

    def __init__(self, values: list[np.ndarray], begin: float, end: float) -> None:
        there = np.concatenate([*values, []])
        there = there[~np.isnan(there)]
        low, high = (float(there.min()), float(there.max())) if there.size else (0.0, 1.0)
        size = max(abs(low), abs(high))
        flat = high - low <= 1e-9 * size  # but for rounding
        room = (size * 0.05 or 1.0) if flat else (high - low) * 0.04
        self.low, self.high = low - room, high + room
        self.begin, self.end = begin, end

    def place(self, values: np.ndarray | float) -> np.ndarray | float:
        """Where values stand."""
        share = (values - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> list[tuple[float, str]]:
        """Round values, four or five of them, and how they are written."""
        span = self.high - self.low
        power = float(f"1e{math.floor(math.log10(span / 4))}")
        step = next(power * factor for factor in STEPS if span / (power * factor) < 6)
        numbers = range(math.ceil(self.low / step), math.floor(self.high / step) + 1)
        largest = max(abs(self.low), abs(self.high))
        digits = min(15, max(3, math.ceil(math.log10(largest / step)) + 2))
        return [(number * step, _number(number * step, digits)) for number in numbers]


def _number(value: float, digits: int) -> str:
    """Without exponent where that is short: 20000, 1e+06."""
    whole = f"{value:.0f}"
    return whole if value == float(whole) and len(whole) < 6 else f"{value:.{digits}g}"


def _grid(across: Axis, up: Axis) -> list[str]:
    """Lines at the ticks, what they stand for, and the two axes."""
    line = '<path d="{}" style="fill: none; stroke: currentColor; stroke-opacity: {}"/>'
    parts, bottom = [], HEIGHT - BOTTOM
    for value, text in across.ticks():
        x = across.place(value)
        parts += [line.format(f"M{x:.1f} {TOP}V{bottom}", 0.15), _text(text, x, bottom + 15)]
    for value, text in up.ticks():
        y = up.place(value)
        parts.append(line.format(f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", 0.15))
        parts.append(_text(text, LEFT - 6, y + 4, anchor="end"))
    return [*parts, line.format(f"M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}", 0.6)]


def _text(text: str, x: float, y: float, anchor: str = "middle", size: int = 11) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {place}>{html.escape(text)}</text>"


def _curve(
    across: Axis, up: Axis, x: np.ndarray, y: np.ndarray, look: dict[str, str], strong: bool
) -> str:
    """A line with gaps where there are no numbers; a value between two gaps is a dot."""
    words, begun = [], False
    for there, px, py in zip(~(np.isnan(x) | np.isnan(y)), across.place(x), up.place(y),
                             strict=True):  # fmt: skip
        if there:
            words.append(f"{'L' if begun else 'M'}{px:.1f} {py:.1f}")
            words += [] if begun else ["h0"]  # seen where nothing follows
        begun = bool(there)
    width, opacity = (1.6, 1) if strong else (0.9, 0.35)
    dash = DASHES[look["linestyle"]]
    style = (
        f"fill: none; stroke: {look['color']}; stroke-width: {width}; stroke-opacity: {opacity}; "
        f"stroke-linecap: round; stroke-linejoin: round; stroke-dasharray: {dash or 'none'}"
    )
    return f'<path d="{"".join(words)}" style="{style}"/>'
