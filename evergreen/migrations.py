"""Configurations of earlier versions of the schema, read as today's: files of a clone, and products recorded with a model.

A version has one step, which says what the next one renamed. A step that was released is never changed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from evergreen.errors import ConfigError

VERSION = 2
RENAMED: Mapping[int, Mapping[tuple[str, str], str]] = {
    1: {("time", "daily_job"): "runs_at", ("validation", "rows_per_day"): "rows_per_period"},
}
"""For each version, the keys (block and name) that the next one calls otherwise."""


def is_earlier(content: Mapping[str, Any]) -> bool:
    """Whether a configuration is of a version that `migrated` knows; whoever parses it refuses an unknown one."""
    version = content.get("version")
    return type(version) is int and version in RENAMED


def migrated(content: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """A product, or an experiment with its `changes`, in today's words. Raises ConfigError where a key has both its names."""
    today = dict(content)
    while is_earlier(today):
        renamed = RENAMED[today["version"]]
        today = _with_names(today, renamed, origin) | {"version": today["version"] + 1}
        if isinstance(today.get("changes"), dict):
            today["changes"] = _with_names(today["changes"], renamed, f"{origin}: changes")
    return today


def migrated_text(text: str, origin: str) -> str:
    """The text of a file in today's words; comments, order and layout stay.

    Raises ConfigError where renaming in the text alone does not give what `migrated` gives, as with merged keys (`<<`).
    """
    content = yaml.safe_load(text)
    rewritten = text
    while is_earlier(found := yaml.safe_load(rewritten)):
        rewritten = _with_edits(rewritten, found["version"])
    if yaml.safe_load(rewritten) != migrated(content, origin):
        raise ConfigError(
            f"{origin}: its version {content['version']} cannot be rewritten without a change of layout: write version: {VERSION} "
            f"and rename by hand {', '.join(_told(version) for version in range(content['version'], VERSION))}"
        )
    return rewritten


def present_name(block: str, name: str) -> str | None:
    """What a key of an earlier version is called today; None for a key that never had another name."""
    today = name
    for renamed in RENAMED.values():
        today = renamed.get((block, today), today)
    return None if today == name else today


def _with_names(content: Mapping[str, Any], renamed: Mapping[tuple[str, str], str], origin: str) -> dict[str, Any]:
    named = dict(content)
    for (block, old), new in renamed.items():
        inner = named.get(block)
        if not isinstance(inner, dict) or old not in inner:
            continue
        if new in inner:
            raise ConfigError(f"{origin}: {block}.{old} is called {new} today, and both are given: keep {new}")
        named[block] = {new if key == old else key: value for key, value in inner.items()}
    return named


def _with_edits(text: str, version: int) -> str:
    """The text of one version as the next one writes it, word by word from the end, so that places stay what they are."""
    root = yaml.compose(text, yaml.SafeLoader)
    blocks = dict(_inner(root))
    words = {blocks["version"]: str(version + 1)}
    for place in (blocks, dict(_inner(blocks.get("changes")))):
        for (block, old), new in RENAMED[version].items():
            words |= {key: new for key in _keys(place.get(block)) if key.value == old}
    for node, word in sorted(words.items(), key=lambda edit: edit[0].start_mark.index, reverse=True):
        text = text[: node.start_mark.index] + word + text[node.end_mark.index :]
    return text


def _inner(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from ((key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode))


def _keys(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.MappingNode):
        yield from (key for key, _ in node.value if isinstance(key, yaml.ScalarNode))


def _told(version: int) -> str:
    return ", ".join(f"{block}.{old} to {new}" for (block, old), new in RENAMED[version].items())
