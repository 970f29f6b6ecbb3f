"""What the tests of pages ask of Chromium."""

from shutil import which
from typing import Any

import pytest
from selenium.webdriver import Chrome

NEEDS_CHROMIUM = pytest.mark.skipif(
    not (which("chromium") and which("chromedriver")), reason="needs Chromium and its driver: apt-get install chromium chromium-driver"
)
FAINT = """
    const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgba = colour => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return context.getImageData(0, 0, 1, 1).data;
    };
    const behind = element => {
        for (let at = element; at; at = at.parentElement) {
            const colour = rgba(getComputedStyle(at).backgroundColor);
            if (colour[3] === 255) return colour;
        }
        throw new Error("nothing behind " + element.outerHTML);
    };
    const light = colour => [0.2126, 0.7152, 0.0722].reduce((sum, weight, n) => {
        const part = colour[n] / 255;
        return sum + weight * (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    }, 0);
    const contrast = element => {
        let ink = rgba(getComputedStyle(element).color), paper = behind(element), opacity = 1;
        for (let at = element; at; at = at.parentElement) opacity *= getComputedStyle(at).opacity;
        ink = [0, 1, 2].map(n => ink[n] * opacity + paper[n] * (1 - opacity));
        const [low, high] = [light(ink), light(paper)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const own = element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    const shown = [...document.body.querySelectorAll("*")].filter(element => element.checkVisibility() && own(element));
    return [shown.length, shown.filter(element => contrast(element) < 4.5).map(element => contrast(element) + " " + element.outerHTML)];
"""


def look(browser: Chrome, width: int, scheme: str) -> None:
    """Make the window `width` CSS pixels wide and the system "light" or "dark"."""
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})


def log(browser: Chrome, kind: str) -> list[dict[str, Any]]:
    """What the browser logged since this was last asked."""
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries
