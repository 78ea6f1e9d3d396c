"""`ponder compare` in this process; its page in a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ponder.cli import run
from ponder.library.local import builtin_path
from quantize.small_models import four_bits

Capture = pytest.CaptureFixture[str]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FEW = ("--chunk", "64", "--chunks", "4")


@pytest.fixture(scope="module")
def quant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return four_bits(tmp_path_factory.mktemp("quant") / "four <b>bits.gguf")


def test_a_quant_is_compared_on_a_text_and_on_questions(
    quant: Path, tmp_path: Path, capfd: Capture
) -> None:
    html = tmp_path / "report.html"
    wanted = ["compare", "ponder-tiny", str(quant), *FEW, "--questions", "3", "--budget", "200"]
    assert run([*wanted, "--html", str(html), "--json"]) == 0
    out, err = capfd.readouterr()
    report = json.loads(out)
    assert err == ""
    assert report["base"]["name"] == "ponder-tiny-Q4_K_M.gguf"
    assert report["other"] == {"name": quant.name, "size": quant.stat().st_size}
    text, asked = report["text"], report["reasoning"]
    assert text["places"] == 4 * 31
    assert 0 < text["kl"]["median"] < text["kl"]["most"]
    assert 0.2 < text["same_top"]["value"] < 1
    assert len(asked["questions"]) == len(asked["base"]) == len(asked["other"]) == 3
    assert asked["length_ratio"] > 0
    assert 0 <= asked["agreement"] <= 1
    assert "four &lt;b&gt;bits.gguf against ponder-tiny" in html.read_text("utf-8")
    # What is there is not overwritten, unless one says so; the models are not even opened.
    assert run([*wanted, "--html", str(html)]) == 2
    assert "--force" in capfd.readouterr().err


def test_the_table(quant: Path, capfd: Capture) -> None:
    assert run(["compare", "ponder-tiny", str(quant), *FEW, "--questions", "0"]) == 0
    out, err = capfd.readouterr()
    assert "KL divergence, p99" in out
    assert "right answers" not in out
    assert "reading: 4 of 4" in err
    assert run(["compare", "ponder-tiny", str(quant), "--no-text", "--questions", "2", "-q"]) == 0
    out, err = capfd.readouterr()
    assert "right answers" in out
    assert "perplexity" not in out
    assert err == "2 questions.\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nobody", "ponder-tiny"], "no model called 'nobody'"),
        (["ponder-tiny", "ponder-tiny", "--budget", "much"], "'much' is no budget"),
        (["ponder-tiny", "ponder-tiny", "--no-text", "--questions", "0"], "leaves nothing"),
        (["ponder-tiny", "ponder-tiny", "none.txt"], "none.txt cannot be read"),
        (["ponder-tiny", "ponder-tiny", "--html", "none/x.html"], "There is no folder none"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    arguments: list[str], told: str, capfd: Capture
) -> None:
    assert run(["compare", *arguments]) == 2
    assert told in capfd.readouterr().err


def browse(page: Path, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page in a headless Chromium with a profile of its own."""
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu"]
    command += [f"--user-data-dir={profile}", "--enable-logging=stderr", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_the_page_renders_in_a_browser(quant: Path, tmp_path: Path) -> None:
    html, profile = tmp_path / "report.html", tmp_path / "profile"
    wanted = ["compare", "ponder-tiny", str(quant), *FEW, "--questions", "3", "--budget", "200"]
    assert run([*wanted, "--html", str(html), "--quiet"]) == 0
    shots = []
    for scheme in (1, 0):
        shot = tmp_path / f"{scheme}.png"
        chosen = f"--blink-settings=preferredColorScheme={scheme}"
        done = browse(html, profile, chosen, "--window-size=800,1600", f"--screenshot={shot}")
        # The browser's own troubles on this machine are not the page's.
        assert "CONSOLE" not in done.stderr
        shots.append(shot.read_bytes())
    # Light and dark.
    assert shots[0] != shots[1]
    held = browse(html, profile, "--dump-dom").stdout
    for part in ("<polyline", "<circle", "<rect", "same most likely token", "four &lt;b&gt;bits"):
        assert part in held


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_an_error_on_a_page_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "wrong.html"
    page.write_text("<!DOCTYPE html><script>nothing.here()</script>")
    assert "CONSOLE" in browse(page, tmp_path / "profile", "--dump-dom").stderr


ORDER = """
import sys
from ponder.cli import run
from ponder.library.local import builtin_path
assert run(sys.argv[1:]) == 0
loaded = [name for name in sys.modules if name in ("numpy", "llama_cpp.llama_cpp")]
print(loaded, file=sys.stderr)
"""


@pytest.mark.parametrize("command", ["compare", "imatrix"])
def test_llama_cpp_is_loaded_before_numpy(command: str, tmp_path: Path) -> None:
    """A CUDA build with a C++ runtime of its own crashed where numpy had come first."""
    model = str(builtin_path("ponder-tiny-Q4_K_M.gguf"))
    words = {
        "compare": [model, model, "--questions", "0", "--quiet"],
        "imatrix": [model, "-o", str(tmp_path / "out.gguf"), "--quiet"],
    }[command]
    done = subprocess.run(
        [sys.executable, "-c", ORDER, command, *words, "--chunks", "2"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "['llama_cpp.llama_cpp', 'numpy']"
