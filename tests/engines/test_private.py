"""What runs a model leaves nothing in the home, tells nobody, and runs for a user without a home."""

import os
import re
import subprocess
import sys
from pathlib import Path

from engines.plan import plan_folder
from engines.store import store_folder

ROOT = Path(__file__).parents[2]
RUN = """\
from pathlib import Path
from engines.engine import open_engine
engine = open_engine(Path("engines/face/weights/landmarks.onnx"))
import onnxruntime, time
time.sleep(0.3)
"""


def test_onnxruntime_keeps_no_id_and_no_diary_for_its_maker(tmp_path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", RUN], cwd=ROOT, env=environment, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []


def test_whoever_imports_onnxruntime_has_imported_engines_before():
    for file in [*ROOT.glob("engines/**/*.py"), *ROOT.glob("nodes/**/*.py"), ROOT / "launch.py"]:
        text = file.read_text(encoding="utf-8")
        if (
            re.search(r"^\s*(import|from) onnxruntime", text, re.MULTILINE)
            and ROOT / "engines" not in file.parents
        ):
            assert re.search(r"^importlib.import_module\(\"engines\"\)", text, re.MULTILINE), file


def test_a_user_without_a_home_has_no_models_and_no_plans(monkeypatch):
    def none():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "HEARSEE_MODELS", "HEARSEE_PLANS"):
        monkeypatch.delenv(name, raising=False)
    assert not store_folder().exists()
    assert not plan_folder().exists()
