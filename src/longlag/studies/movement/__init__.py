"""The study of data movement: what moving its data costs an LSTM; `study` carries it out."""

from longlag.studies.declaration import OUT, QUICK, Study

STUDY = Study(
    name="movement",
    title="What moving its data costs an LSTM",
    help="What moving its data costs an LSTM: the data movement distance of training steps",
    options=(OUT, QUICK),
    function="longlag.studies.movement.study:carry_out",
)
