"""The study of the data movement of an LSTM; `study` carries it out."""

from longlag.studies.declaration import OUT, QUICK, Study

STUDY = Study(
    name="movement",
    title="Data movement in the training of an LSTM",
    help="The data movement distance of an LSTM's training steps",
    takes="a minute",
    options=(OUT, QUICK),
    function="longlag.studies.movement.study:carry_out",
)
