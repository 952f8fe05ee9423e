"""Features: which columns a model may learn from, by kind, and why the others are left out."""

from collections.abc import Mapping

from evergreen.config.data import is_reserved
from evergreen.survey.asked import Asked
from evergreen.survey.columns import Column, named_like_id

FEATURES_AT_MOST = 60
USED = ("numeric", "categorical", "boolean", "date", "text")
FEW_FEATURES = 5
WORDS = "sentences, which the model xgboost takes none of: features.text does, with kind logistic or linear"


def choose_features(
    free: list[Column], event: Column, powers: Mapping[str, float | None], asked: Asked
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Names by kind, and why each other column is left out."""
    reasons = {column.name: _why_not(column, event, asked) for column in free}
    used = sorted(
        (column for column in free if not reasons[column.name]), key=lambda column: -(powers[column.name] or 0.5)
    )
    left_out = {name: reason for name, reason in reasons.items() if reason}
    if sum(column.kind != "text" for column in used) >= FEW_FEATURES:
        left_out |= {column.name: WORDS for column in used if column.kind == "text"}
        used = [column for column in used if column.kind != "text"]
    left_out |= {
        column.name: f"not among the {FEATURES_AT_MOST} that alone say most" for column in used[FEATURES_AT_MOST:]
    }
    chosen = {column.name for column in used[:FEATURES_AT_MOST]}
    features = {
        kind: [column.name for column in free if _as_feature(column) == kind and column.name in chosen] for kind in USED
    }
    features["date"].insert(0, event.name)
    return features, left_out


def _as_feature(column: Column) -> str:
    return "date" if column.kind == "time" else column.kind


def _why_not(column: Column, event: Column, asked: Asked) -> str | None:
    """Why a column is no feature; None where it is one."""
    if column.personal and column.kind != "boolean" and column.name not in asked.personal:
        return f"{column.personal}, personal data: --personal {column.name} uses it nevertheless"
    if _as_feature(column) not in USED:
        return f"tells rows apart, {column.why}" if column.kind == "identifier" else column.why
    if column.kind == "time" and column.written not in (None, event.written):
        return f"a time written otherwise than {event.name}"
    if is_reserved(column.name):
        return f"the loop has a column {column.name} itself: give it another name in the table to use it"
    if named_like_id(column.name) and column.values.nunique() > 50:
        return f"named like an id, {column.values.nunique():,} different values"
    return None
