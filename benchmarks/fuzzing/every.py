"""Every fuzz target by its name."""

from benchmarks.fuzzing import files, text, wire
from benchmarks.fuzzing.target import Target

TARGETS: dict[str, Target] = text.TARGETS | wire.TARGETS | files.TARGETS
