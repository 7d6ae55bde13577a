"""A study of one's own: `longlag study own_study:STUDY`, or `longlag.study(STUDY)`."""

from longlag.settings import Option
from longlag.studies.cases import STRICT, Case, reached
from longlag.studies.declaration import WITH_LENGTHS, Study
from longlag.studies.page import in_interval, in_share, in_spread

SIZES = Option("sizes", list[int], "cells of the networks", (4, 8), high=128, shown="4,8")


def cases(request):
    most = 120 if request.quick else 4000
    return [
        Case(
            about={"recipe": f"{hidden} cells", "T": T},
            recipe="robust",
            changes={
                "min_length": T,
                "hidden": hidden,
                "max_iterations": request.iterations(batch=32, most=most),
            },
            trials=2 if request.quick else 30,
        )
        for hidden in request.sizes
        for T in request.lengths or (30, 100)
    ]


STUDY = Study(
    name="sizes",
    title="How many cells does a product need?",
    help="How many cells a product needs: strict success by size and length",
    options=(SIZES, *WITH_LENGTHS),
    cases=cases,
    rows=lambda outcome: [reached(outcome, STRICT)],
    columns={
        "network": lambda row: row["recipe"],
        "T": lambda row: str(row["T"]),
        "strict": in_share,
        "95 % interval": in_interval,
        "sequences": lambda row: in_spread(row["sequences"]),
    },
    figure="longlag.studies.figures:shares",
)
