"""The diffusion explorer: the Python side, the arithmetic of its page, and the page in a browser."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest
import torch
import traitlets

from sfbc_core.book.widgets import DiffusionExplorer
from sfbc_core.book.widgets.diffusion_explorer import noise_quantiles
from sfbc_core.diffusion import GaussianMixture, VPSchedule, dpm_solver

THREE = GaussianMixture([0.2, 0.5, 0.3], [-1.0, 0.1, 0.9], [0.05, 0.2, 0.1])
HOSTILE = "A flow </script><b>of</b> samples"


def make(**options) -> DiffusionExplorer:
    return DiffusionExplorer(THREE, start=np.linspace(-2, 2, 9), **({"steps": 5, "title": HOSTILE} | options))


def unpack(text):
    return np.frombuffer(base64.b64decode(text), "<f8")


# ---- the Python side ----


def test_numbers_are_those_of_the_packages_solver():
    explorer = DiffusionExplorer(steps=8, order=3, spacing="log_snr", prediction="data")
    mixture, start = GaussianMixture([0.5, 0.5], [-0.55, 0.55], 0.1), torch.from_numpy(noise_quantiles(200))[:, None]
    end = dpm_solver(mixture.noise, start, VPSchedule(), 8, order=3, spacing="log_snr", prediction="data")
    exact = mixture.flow(start[:, 0], 1.0, 1e-3)
    times, states = explorer.paths()
    np.testing.assert_array_equal(states[-1], end[:, 0].numpy())
    assert len(times) == 4 and (times[0], times[-1]) == (1.0, 1e-3)  # steps of order 3, 3 and 2
    assert explorer.summary() == pytest.approx(
        {
            "shown_time": 1e-3,
            "rms_error": (end[:, 0] - exact).square().mean().sqrt().item(),
            "off_data": mixture.off_data(end).sum().item(),
        }
    )


def test_samples_are_shown_where_the_last_step_ended():
    explorer = make(order=1, steps=4)
    times, _ = explorer.paths()
    for time, shown in ((1.0, 0), (times[1], 1), (times[1] - 0.01, 1), (times[3], 3), (1e-3, 4)):
        explorer.time = float(time)
        assert explorer.summary()["shown_time"] == times[shown]


def test_noise_quantiles_lie_as_the_noise_does():
    points = noise_quantiles(200)
    np.testing.assert_allclose(points, -points[::-1], atol=1e-12)
    np.testing.assert_allclose(torch.special.ndtr(torch.from_numpy(points)) * 200, np.arange(200) + 0.5)


def test_start_and_exact_ends_travel_in_full_precision():
    data = make().data
    np.testing.assert_array_equal(unpack(data["start"]), np.linspace(-2, 2, 9))
    expected = THREE.flow(torch.linspace(-2, 2, 9, dtype=torch.float64), 1.0, 1e-3)
    np.testing.assert_allclose(unpack(data["exact"]), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixture": GaussianMixture([1.0], [[0.0, 0.0]], 1.0)}, "1 dimension.*got 2"),
        ({"start": np.zeros((2, 2))}, r"start must have shape \(N,\).*got \(2, 2\)"),
        ({"start": np.zeros(0)}, r"got \(0,\)"),
        ({"start": np.array([0.0, np.nan])}, "start must be finite; got 1 NaN"),
        ({"max_steps": 0}, "max_steps must be at least 1; got 0"),
    ],
)
def test_refuses_bad_input(options, message, untyped):
    with pytest.raises(ValueError, match=message):
        DiffusionExplorer(**options)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", 0, "steps must be between 1 and 50; got 0"),
        ("steps", 51, "steps must be between 1 and 50; got 51"),
        ("order", 4, "order"),
        ("spacing", "even", "spacing"),
        ("prediction", "score", "prediction"),
        ("time", 1.5, r"time must be between 0.001 and 1.0; got 1.5"),
        ("time", float("nan"), "time must be between"),
    ],
)
def test_traits_are_checked_at_the_start_and_later(name, value, message):
    with pytest.raises(traitlets.TraitError, match=message):
        make(**{name: value})
    explorer = make()
    before = getattr(explorer, name)
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(explorer, name, value)
    assert getattr(explorer, name) == before


def test_fragment_is_safe_complete_and_light():
    explorer = make(order=2, spacing="edm", prediction="data", time=0.5)
    html = explorer.to_html()
    assert not re.search(r"https?://", html)
    assert html.count("</script>") == 2
    payload = json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)[1])
    assert payload["state"] == {"steps": 5, "order": 2, "spacing": "edm", "prediction": "data", "time": 0.5}
    alt = re.search(r'<img alt="([^"]*)"', html)[1]
    numbers = explorer.summary()
    assert "D = 5, order 2, edm, data prediction" in alt and f"t = {numbers['shown_time']:.3g}" in alt
    assert f"end points is {numbers['rms_error']:.3g}, and {numbers['off_data']} of 9" in alt
    bundle, _ = explorer._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "text/html", "image/png", "text/plain"} <= bundle.keys()
    assert bundle["text/plain"] == "DiffusionExplorer(9 samples, D = 5, order 2, edm, data prediction, time=0.5)"
    usual = DiffusionExplorer()
    assert len(json.dumps(usual.data)) < 10e3 and len(usual.to_html()) < 150e3


def test_what_chapter_3_says_of_it_is_so():
    def error(**options):
        return DiffusionExplorer(**options).summary()["rms_error"]

    assert error(steps=11) > 5 * error(steps=10)
    times, states = DiffusionExplorer(steps=5).paths()
    after_first = GaussianMixture([0.5, 0.5], [-0.55, 0.55], 0.1).flow(
        torch.from_numpy(states[0]), 1.0, times[1].item()
    )
    assert len(times) == 3
    assert np.sqrt(((states[1] - after_first.numpy()) ** 2).mean()) < 0.05 * error(steps=5)
    alone = {name: error(steps=11, spacing=name) for name in ("quadratic", "log_snr", "edm")}
    others = [error(steps=11, prediction="data"), error(steps=11, order=1), error(steps=11, order=2)]
    assert max(*alone.values(), *others) < error(steps=11) and alone["quadratic"] < min(others)
    assert alone["quadratic"] == min(alone.values())
    assert error(steps=11, order=1) == pytest.approx(error(steps=11, order=1, prediction="data"))


# ---- the arithmetic of the page ----


@pytest.fixture(scope="module")
def evaluate(node_module):
    return node_module("dpm_solver.js", "diffusion_explorer.js")


def test_page_counts_and_judges_as_python_does(evaluate):
    explorer = DiffusionExplorer(steps=8)
    times, states = explorer.paths()
    judged = evaluate(
        "explorer.judge(given.end, given.exact, given.mixture, 4)",
        end=states[-1],
        exact=unpack(explorer.data["exact"]),
        mixture=explorer.data["mixture"],
    )
    numbers = explorer.summary()
    assert judged["rmsError"] == pytest.approx(numbers["rms_error"], rel=1e-12)
    assert judged["offData"] == numbers["off_data"] == sum(judged["off"])
    shown = evaluate("given.times.map((t) => explorer.stepReached(given.times, t))", times=times)
    assert shown == list(range(len(times)))
    assert evaluate("explorer.stepReached([1, 0.5, 0.001], 0.4)") == 1


def test_histogram_is_numpys(evaluate):
    samples = np.random.default_rng(0).normal(size=500) * 1.5
    expected, _ = np.histogram(samples, 40, range=(-3, 3))
    heights = evaluate("explorer.histogram(given.samples, [-3, 3], 40)", samples=samples)
    np.testing.assert_allclose(heights, expected / 500 / (6 / 40))  # a share of all samples, also of those outside


def test_steps_in_words(evaluate):
    assert evaluate("explorer.describeSteps([3, 3, 3, 1])") == "3 steps of order 3, then 1 step of order 1"
    assert evaluate("explorer.describeSteps([2])") == "1 step of order 2"


def test_fine_paths_are_as_good_as_exact(evaluate):
    data = DiffusionExplorer().data
    start, exact = unpack(data["start"]), unpack(data["exact"])
    ends = evaluate(
        "explorer.solve(given.mixture, explorer.vpSchedule(0.1, 20), given.start, explorer.FINE, 1, 1e-3).states.at(-1)",
        mixture=data["mixture"],
        start=start,
    )
    np.testing.assert_allclose(ends, exact, atol=1e-3)  # a pixel is 0.02


# ---- in a browser ----


@pytest.fixture(scope="module")
def fragments() -> list[str]:
    return [DiffusionExplorer().to_html(), make().to_html()]


def explorer_of(page, index=0):
    return page.locator(".sfbc-explorer").nth(index)


def pictures(explorer):
    return [canvas.evaluate("canvas => canvas.toDataURL()") for canvas in explorer.locator("canvas").all()]


def all_changed(before, after):
    return all(a != b for a, b in zip(before, after, strict=True))


def shown_by(explorer):
    return float(explorer.get_attribute("data-rms-error")), int(explorer.get_attribute("data-off-data"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_control_changes_both_pictures_and_the_numbers(open_page, theme):
    from playwright.sync_api import expect

    explorer, python = explorer_of(open_page(theme)), DiffusionExplorer()
    expect(explorer).to_have_attribute("data-dark", "true" if theme == "dark" else "false")
    before = pictures(explorer)
    explorer.get_by_role("slider", name="Evaluations D").press("ArrowRight")
    for name, change in (
        ("steps", None),
        ("spacing", lambda: explorer.get_by_role("combobox", name="Placement").select_option("quadratic")),
        ("order", lambda: explorer.get_by_role("combobox", name="Order").select_option("2")),
        ("prediction", lambda: explorer.get_by_role("combobox", name="Prediction").select_option("data")),
    ):
        if change:
            change()
        value = {"steps": 11, "spacing": "quadratic", "order": 2, "prediction": "data"}[name]
        setattr(python, name, value)
        expect(explorer).to_have_attribute(f"data-{name}", str(value))
        after = pictures(explorer)
        assert all_changed(before, after), name
        before = after
        numbers = python.summary()
        assert shown_by(explorer) == (pytest.approx(numbers["rms_error"], rel=1e-9), numbers["off_data"])
    expect(explorer.get_by_role("status")).to_contain_text(
        f"D = 11: 5 steps of order 2, then 1 step of order 1. Shown: t = 0.001, after 11 of 11 evaluations. At the end the "
        f"RMS distance to the exact end points is {numbers['rms_error']:.3g}, and {numbers['off_data']} of 200"
    )


def test_time_moves_by_keyboard_from_step_to_step(open_page):
    from playwright.sync_api import expect

    explorer, python = explorer_of(open_page()), DiffusionExplorer()
    times, _ = python.paths()
    slider = explorer.get_by_role("slider", name="Time reached")
    expect(slider).to_have_attribute("aria-valuetext", "t = 0.001, after 10 of 10 evaluations")
    before = pictures(explorer)
    slider.press("ArrowLeft")
    expect(explorer).to_have_attribute("data-shown", "3")
    assert float(explorer.get_attribute("data-time")) == pytest.approx(times[3], rel=1e-12)
    assert all_changed(before, pictures(explorer))
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "t = 1, after 0 of 10 evaluations")
    explorer.get_by_role("slider", name="Evaluations D").press("End")
    expect(explorer).to_have_attribute("data-shown", "0")  # the time reached stays, whatever the number of steps


def test_play_goes_from_noise_to_data_and_can_be_stopped(open_page):
    from playwright.sync_api import expect

    explorer = explorer_of(open_page())
    explorer.get_by_role("button", name="Play").click()
    expect(explorer).to_have_attribute("data-shown", "0")
    expect(explorer).to_have_attribute("data-shown", "4", timeout=15_000)
    button = explorer.get_by_role("button", name="Play")
    expect(button).to_be_visible()
    button.click()
    explorer.get_by_role("button", name="Stop").click()
    expect(explorer).not_to_have_attribute("data-shown", "4")


def test_without_motion_there_is_no_button(open_page):
    explorer = explorer_of(open_page(reduced_motion="reduce"))
    assert explorer.get_by_role("button").count() == 0


def test_samples_outside_the_plots_are_counted(open_page):
    from playwright.sync_api import expect

    explorer = explorer_of(open_page())
    explorer.get_by_role("combobox", name="Placement").select_option("edm")
    explorer.get_by_role("slider", name="Evaluations D").fill("5")
    expect(explorer).to_have_attribute("data-steps", "5")
    _, states = DiffusionExplorer(steps=5, spacing="edm").paths()
    outside = int((np.abs(states[-1]) > 3).sum())
    assert outside > 0
    expect(explorer.get_by_role("status")).to_contain_text(f"Outside the plots: {outside} of the samples shown.")


def test_keys_of_the_widget_stay_in_the_widget(open_page):
    page = open_page()
    page.evaluate("window.heard = []; document.addEventListener('keydown', (event) => heard.push(event.key));")
    for name in ("Evaluations D", "Time reached"):
        for key in ("ArrowLeft", "ArrowRight", "Home", "End"):
            explorer_of(page).get_by_role("slider", name=name).press(key)
    assert page.evaluate("heard") == []


@pytest.mark.parametrize("width", [320, 1000])
def test_nothing_overflows(open_page, width):
    page = open_page(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert explorer_of(page).evaluate(
        "root => [...root.querySelectorAll('*')].every((node) => node.scrollWidth <= root.clientWidth)"
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    results = axe.Axe().run(open_page(theme))
    assert results.violations_count == 0, results.generate_report()


def test_labels_are_text_and_without_javascript_there_is_a_picture(open_page):
    from playwright.sync_api import expect

    expect(explorer_of(open_page(), 1).get_by_text(HOSTILE, exact=True)).to_be_visible()
    for image in open_page(java_script_enabled=False).get_by_role("img").all():
        expect(image).to_be_visible()
        assert "a still picture" in image.get_attribute("alt")
