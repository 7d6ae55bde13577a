"""The study of the register: what a trained network's cells hold; `study` carries it out."""

from longlag.studies.declaration import WITH_LENGTHS, Study, worded

STUDY = Study(
    name="register",
    title="Inside the network: which cells form a register, and what it holds",
    help="Which cells of a trained network carry the first value, which the product, and since "
    "when",
    takes="3 minutes",
    takes_full="half an hour",
    options=worded(
        WITH_LENGTHS,
        trials="10; with --full 30",
        max_sequences="200000 of robust, 192000 of catalog",
        lengths="30,100,300; with --full also 1000",
    ),
    function="longlag.studies.register.study:carry_out",
)
