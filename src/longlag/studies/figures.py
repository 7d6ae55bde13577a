"""Figures of studies: each a function of title, outcomes and rows, which a study names."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from longlag.figures import by_task, lag_scaling, rates, seed_curves, solved_share
from longlag.figures import cells as cells_compared
from longlag.statistics import bootstrap_mean
from longlag.studies import forget_gate as gates
from longlag.studies.cases import RULES, STRICT, Outcome, Row, solved
from longlag.studies.cells import CELLS, best_settings
from longlag.studies.stops import in_words, point
from longlag.studies.tasks import PAPER
from longlag.sweeps.trial import stops_of


def seeds(title: str, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> Figure:
    """The test curves of all seeds, a panel a case."""
    return seed_curves.draw([_seed_panel(outcome) for outcome in outcomes], title)


def _seed_panel(outcome: Outcome) -> seed_curves.Panel:
    batch, about = outcome.setting("batch_size"), outcome.case.about
    curves = [
        seed_curves.Curve(
            [k * batch for k, _, _ in row["curve"]],
            [mse for _, mse, _ in row["curve"]],
            RULES[STRICT](row) is not None,
        )
        for row in outcome.rows
    ]
    chance = outcome.case.made().task.tested.chance_mse
    return seed_curves.Panel(f"{about['recipe']}, T = {about['T']}", curves, chance)


def forget_gate(title: str, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> Figure:
    """Rates with their intervals, a panel a length."""
    panels = []
    for T in sorted({row["T"] for row in rows}):
        here = [row for row in rows if row["T"] == T]
        lines = []
        for gate in dict.fromkeys(row["gate"] for row in here):
            of = {gates.output(row): row for row in here if row["gate"] == gate}
            points = {
                k: (row["strict"]["rate"], row["strict"]["interval"]) for k, row in of.items()
            }
            lines.append(rates.Line(gate, gates.kept(of[gates.CATALOG[1]]), points))
        panels.append(rates.Panel(f"T = {T}, shortest lag {here[0]['lag']}", lines))
    subtitle = (
        "share of seeds that meet the strict rule, with exact 95 % intervals; by output, and the "
        "answer that it starts from"
    )
    return rates.draw(panels, title, subtitle, "σ(b)^lag")


def lag(title: str, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> Figure:
    """Sequences, seconds and strict rates against T, a line a recipe.

    A case's `about` has `recipe` and `T`, and its one row what `reached` finds.
    """
    series = []
    for name in dict.fromkeys(row["recipe"] for row in rows):
        points = [
            lag_scaling.Point(
                row["T"],
                row["rate"],
                row["interval"],
                [one["sequences"] for one in solved(outcome)],
                [one["seconds"] for one in solved(outcome)],
            )
            for outcome, row in zip(outcomes, rows, strict=True)
            if row["recipe"] == name
        ]
        series.append(lag_scaling.Series(name, points))
    return lag_scaling.draw(series, title)


def tasks(title: str, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> Figure:
    """Sequences of every task's seeds, beside the paper's."""
    lines = [
        by_task.Line(
            " ".join(filter(None, (row["experiment"], row["task"]))),
            [one["sequences"] for one in outcome.rows if one["status"] == "target"],
            row[PAPER],
            f"{row['solved']} of {row['trials']}",
        )
        for outcome, row in zip(outcomes, rows, strict=True)
    ]
    return by_task.draw(lines, title)


def cells(title: str, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> Figure:
    """Rates against T, a panel a task, and the map of tasks and cells.

    Of a search, the settings that it chose; without intervals, which the choice makes too high.
    """
    subtitle, searched = "share of seeds that meet the strict rule", "learning_rate" in rows[0]
    if searched:
        subtitle += ", with the settings that were chosen for each cell"
        best = best_settings(rows)
        rows = [row for row in rows if best[row["cell"]].items() <= row.items()]
    else:
        subtitle += ", with exact 95 % intervals"
    points = [
        cells_compared.Point(
            cell=row["cell"],
            task=row["task"],
            T=row["T"],
            solved=row["solved"],
            trials=row["trials"],
            interval=(row["rate"], row["rate"]) if searched else row["interval"],
        )
        for row in rows
    ]
    return cells_compared.draw(points, title, subtitle, tuple(CELLS))


def shares(title: str, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> Figure:
    """The share of trials that met the strict rule against sequences, a curve a case."""
    curves = [_share(outcome) for outcome in outcomes]
    return solved_share.draw(curves, title, "share of trials that met the rule")


def _share(outcome: Outcome) -> solved_share.Curve:
    made = outcome.case.made()
    budget = made.rule.budget * made.batch_size
    reached = [RULES[STRICT](row) or budget for row in solved(outcome)]
    counted = [*reached, *[budget] * (outcome.n - len(reached))]
    about = outcome.case.about.items()
    return solved_share.Curve(
        label=", ".join(v if isinstance(v, str) else f"{k} = {v}" for k, v in about),
        sequences=reached,
        trials=outcome.n,
        budget=budget,
        mean=sum(counted) / outcome.n,
        interval=bootstrap_mean(counted),
        restricted=len(reached) < outcome.n,
        paper=next((paper["sequences"] for paper in outcome.case.published), None),
    )


def stops(title: str, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> Figure:
    """The share of trials that have stopped against sequences, a curve a stopping point."""
    points = [
        [stops_of(row)[s] for row in outcome.rows]
        for outcome in outcomes
        for s in range(len(outcome.case.published))
    ]
    curves = [
        solved_share.Curve(
            label=point(row),
            sequences=[stop.sequences for stop in stops if stop.reached],
            trials=len(stops),
            budget=row["max_sequences"],
            mean=row["sequences"]["mean"],
            interval=row["sequences"]["interval"],
            restricted=row["sequences"]["restricted"],
            paper=row["paper"]["sequences"],
        )
        for stops, row in zip(points, rows, strict=True)
    ]
    reading = in_words(outcomes[0].case.made().settings())
    return solved_share.draw(curves, title, reading)
