"""Chromium, where the machine has one: pages as people see them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Where it is; None where there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name)) is not None), None)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """The browser, without a window, until the context is left."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments, timeout=120_000)
        yield browser
        browser.close()
