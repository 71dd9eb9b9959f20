"""The page of the API in a browser: it works under its policy, and asks nobody but its own vertex."""

from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, expect

from cluster.cluster import Cluster
from tests.browser.conftest import HOST


def test_the_api_page_asks_nobody_else(browser: Browser, cluster: Cluster, shots: Path) -> None:
    # By a name that is not this machine's: Swagger UI leaves its validator on the internet alone on localhost only.
    url = f"http://{HOST}:{urlsplit(cluster.vertices[0].url).port}"
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{url}/docs")
    page.locator("#operations-health-get_version .opblock-summary-control").click()
    page.screenshot(path=shots / "docs.png")
    page.locator("button.try-out__btn").click()
    page.locator("button.execute").click()
    expect(page.locator(".live-responses-table .response-col_status").nth(1)).to_contain_text("200")
    page.screenshot(path=shots / "docs-executed.png")
    assert f"{url}/schema" in asked
    assert [each for each in asked if not each.startswith((f"{url}/", "data:"))] == []
    assert [each for each in said if "Content Security Policy" in each] == []
