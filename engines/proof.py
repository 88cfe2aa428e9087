"""A plan that is in use has been proved; what was proved of it is written beside it and not done again.

The golden file is reproduced each time, which takes a step.  The rehearsal takes seconds: it is heard once
for the same plan, golden file, models and talker.
"""

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path

from engines.build import Wanted, build, load_plan
from engines.engine import Engine, ModelError, OnnxRuntimeEngine, RowEngine
from engines.golden import golden_path
from engines.plan import proof_path, write_whole
from engines.speech.rehearsal import TALKER, rehearsal
from engines.trust import TOKENS, check_golden, prove

log = logging.getLogger(__name__)


def proved(wanted: Wanted, first: Engine) -> RowEngine:
    """The wanted engine, which has reproduced the golden file just now, and the rehearsal now or before.

    first: the model as it is, for one stream.  Raises ModelError where they differ.
    """
    built = build(wanted)
    like = first if wanted.batch == 1 else OnnxRuntimeEngine(wanted.model, wanted.batch)
    engine = load_plan(wanted, built.plan, like)
    golden = golden_path(wanted.model)
    known = _digests(built.plan, golden, wanted.model)
    at = proof_path(built.path)
    if _read_proof(at) == known:
        check_golden(engine, golden, wanted.precision)
        return engine
    speech = rehearsal(first, wanted.model.parent) if TOKENS in first.outputs else ()
    proof = prove(engine, first, golden, wanted.precision, speech)
    log.info("%s: %s", wanted, proof)
    write_whole(at, json.dumps({"of": known, **asdict(proof)}).encode())
    return engine


def _digests(plan: bytes, golden: Path, model: Path) -> dict[str, str]:
    """What a proof is a proof of: these very bytes, and what the encodings of a fusion came from."""
    beside = b"".join(path.read_bytes() for path in sorted(model.parent.glob("*.onnx")))
    try:
        parts = {"plan": plan, "golden": golden.read_bytes(), "models": beside, "talker": TALKER.read_bytes()}
    except OSError as error:
        raise ModelError(f"{error.filename}: cannot be read ({error.strerror}); restore it") from error
    return {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}


def _read_proof(path: Path) -> object:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found.get("of") if isinstance(found, dict) else None
