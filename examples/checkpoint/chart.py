"""Step times as a picture: one row for each way to checkpoint, one dot for each step, a logarithmic scale."""

import math

WIDTH, ROW, LEFT, TOP = 900, 110, 170, 50
SCALE = (0.1, 1, 10, 100, 1000, 10_000)  # milliseconds


def chart(found: dict[str, list[float]]) -> str:
    """An SVG of milliseconds by step."""
    height = TOP + ROW * len(found) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="16">Time of each training step (ms, logarithmic), with five checkpoints</text>',
    ]
    low, high = math.log10(SCALE[0]), math.log10(max(10 * SCALE[0], *(max(times) for times in found.values())))
    for row, (name, times) in enumerate(found.items()):
        bottom = TOP + ROW * (row + 1) - 15
        parts.append(f'<text x="10" y="{bottom - ROW / 2 + 20:.0f}">{name}</text>')
        for tick in SCALE:
            if math.log10(tick) <= high:
                y = _height(tick, low, high, bottom)
                parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
                parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" font-size="9" fill="#666">{tick:g}</text>')
        for step, time in enumerate(times):
            x = LEFT + (WIDTH - 20 - LEFT) * step / len(times)
            y = _height(time, low, high, bottom)
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.3" fill="{"#b3261e" if time == max(times) else "#1f5fa8"}"/>')
        worst = times.index(max(times))
        x = LEFT + (WIDTH - 20 - LEFT) * worst / len(times)
        parts.append(f'<text x="{x + 5:.1f}" y="{_height(max(times), low, high, bottom) + 4:.1f}" fill="#b3261e">{max(times):.1f}</text>')
    parts.append(f'<text x="{LEFT}" y="{height - 12}">step 0</text>')
    parts.append(f'<text x="{WIDTH - 20}" y="{height - 12}" text-anchor="end">step {max(map(len, found.values()))}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _height(time: float, low: float, high: float, bottom: float) -> float:
    """Where a time stands in its row."""
    return bottom - (ROW - 30) * (max(math.log10(max(time, 1e-9)), low) - low) / (high - low)
