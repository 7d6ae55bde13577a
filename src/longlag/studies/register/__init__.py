"""The study of the register: what a trained network's cells hold; `study` carries it out."""

from longlag.studies.declaration import WITH_LENGTHS, Study

STUDY = Study(
    name="register",
    title="Inside the network: which cells form a register, and what it holds",
    help="Which cells of a trained network carry the first value, which the product, and since "
    "when",
    takes="3 minutes",
    takes_full="half an hour",
    options=WITH_LENGTHS,
    function="longlag.studies.register.study:carry_out",
)
