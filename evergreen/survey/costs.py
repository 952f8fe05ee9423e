"""Costs and answers without a model, derived from the label alone: placeholders that say what they are."""

from evergreen.survey.lines import comment, scalar
from evergreen.survey.survey import Survey

WORTH_IT = 0.99


def decision_lines(found: Survey) -> list[str]:
    truth = found.truth
    if found.label.task.value == "binary":
        share = float(truth.mean())
        miss = float(f"{1 / share:.2g}")
        always, never = 1.0, share * miss
        return [
            *comment(
                f"placeholders, to be replaced by what it really costs: acting costs 1, and missing a positive ({share:.1%} of rows) "
                f"{miss:g}, so that always acting ({always:.2f} a row) and never acting ({never:.2f}) cost about the same, and a model "
                "earns the difference",
                2,
            ),
            f"  costs: {{true_positive: 1, false_positive: 1, false_negative: {miss:g}, true_negative: 0}}",
            "  currency: points",
            *_good_enough(min(always, never), "the better of always and never acting"),
        ]
    if found.label.task.value == "multiclass":
        commonest = float(truth.value_counts(normalize=True).max())
        return [
            *comment("a placeholder: each wrong class costs 1; a matrix says which mistakes are worse", 2),
            "  costs: {wrong: 1}",
            "  currency: points",
            *_good_enough(1 - commonest, f"always answering the commonest class ({commonest:.1%} of rows)"),
        ]
    return [
        *comment("a placeholder: a unit too much costs as much as a unit too little", 2),
        "  costs: {over: 1, under: 1}",
        "  currency: points",
        *_good_enough(
            float((truth - truth.median()).abs().mean()), f"always answering the median ({truth.median():g})"
        ),
    ]


def _good_enough(bound: float, what: str) -> list[str]:
    return [
        f"  good_enough: {{metric: expected_cost, at_most: {bound * WORTH_IT:.4g}}} # {what} costs {bound:.4g} a row"
    ]


def heuristic_lines(found: Survey) -> list[str]:
    truth = found.truth
    if found.label.task.value == "binary":
        return [f"heuristic: {{before_training: {truth.mean():.3g}}} # the share of positives in the table"]
    if found.label.task.value == "regression":
        return [f"heuristic: {{before_training: {truth.median():.4g}}} # the label's median in the table"]
    shares = truth.value_counts(normalize=True)
    declared = {name: round(float(shares.get(code, 0.0)), 4) for code, name in enumerate(found.label.classes)}
    largest = max(declared, key=lambda name: declared[name])
    declared[largest] = round(declared[largest] + 1 - sum(declared.values()), 4)
    return [f"heuristic: {{before_training: {scalar(declared)}}} # the shares of the classes in the table"]
