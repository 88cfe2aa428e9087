"""Every command line that the pages name can be typed: the module, the command and the options are there."""

import ast
import re
from pathlib import Path

import typer

import launch

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "engines").glob("**/weights/*.md")),
    *(ROOT / "deploy").iterdir(),
]
BLOCK = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
OPTION = re.compile(r"--[a-z][a-z-]*")


def command_lines(page):
    """Of indented and fenced blocks each line, of the rest what stands between backticks."""
    text = page.read_text().replace("\\\n", " ")
    indented = re.findall(r"^ {4}(.*)", text, re.MULTILINE)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", BLOCK.sub("", text))]
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
    return [re.split(r"\s#|[|;]", line)[0] for line in [*indented, *spans, *lines]]


def options_of(module):
    """Those that its source names, and those that typer makes of its parameters."""
    source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text()
    parameters = [node.arg for node in ast.walk(ast.parse(source)) if isinstance(node, ast.arg)]
    return {*OPTION.findall(source), *("--" + name.replace("_", "-") for name in parameters)}


def test_every_module_named_is_there_and_has_the_options_named():
    seen = set()
    for page in PAGES:
        for line in command_lines(page):
            for module, rest in re.findall(r"-m ((?:benchmarks|engines|nodes)\.[\w.]*\w)(.*)", line):
                seen.add(module)
                assert set(OPTION.findall(rest)) <= options_of(module), f"{page.name}: {line}"
    assert len(seen) > 30


def test_every_command_named_is_there_and_has_the_options_named():
    root, seen = typer.main.get_command(launch.app), set()
    for page in PAGES:
        for line in command_lines(page):
            for called in re.findall(r"python launch\.py(.*)", line):
                words, command = called.split(), root
                while words and words[0] in getattr(command, "commands", ()):
                    seen.add(words[0])
                    command = command.commands[words.pop(0)]
                if command is root:
                    assert not words or words[0].startswith("-"), f"{page.name}: {line}"
                    command = root.commands["run"]
                known = {option for parameter in command.params for option in parameter.opts}
                assert set(OPTION.findall(" ".join(words))) <= known, f"{page.name}: {line}"
    assert seen | {"demo"} >= set(root.commands), "every command is told of somewhere"


def test_every_option_in_the_readme_is_one_of_some_command():
    commands = typer.main.get_command(launch.app).commands.values()
    known = {option for command in commands for parameter in command.params for option in parameter.opts}
    named = set(OPTION.findall(PAGES[0].read_text()))
    assert {"--source", "--log-json"} <= named <= known
