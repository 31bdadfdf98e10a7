"""Gates: floors of a metric, judged from outcomes to a `GateResult`. Pure: no files, no systems.

    judge_at_least(outcomes, floor, subject=, rule=, rng=)
    judge_critical(outcomes, subject=, rule=)
    judge_no_worse_than(candidate, baseline, subject=, rule=, screened=, rng=)
    screen(candidate, baseline, rule=): does the first of two looks ask for fresh epochs?
    compare_together(sides, varies=, rule=): all suites against the baseline as one
    through_judge(result, outcomes, trust, rule=): what a judge's own errors do to a result
    watched(at_least=, ...), look(candidate, baseline): what `--until-decided` stops on
    comparability(stored, current): what differs between a baseline and a run
    calibrate(gated, rng=): false-alarm and detection rates of these gates on stored scores

States, the same for all three:

* `failed`: the floor is broken beyond chance, with every unscored or errored output counted as a miss;
  or those outputs decide: counted as misses the floor is not held, counted as passes it is.
* `passed`: the floor is held with every missing output counted as a miss.
* `undecided`: below the floor, but not beyond chance. The result says how many cases would settle it.
* `not_judged`: cases were left out by the user, or not run; or there are no cases.

`Rule` holds the error level and the number of gates that are judged together.
"""

from harness.gates.baseline import Comparability, Measured, comparability
from harness.gates.calibration import Calibration, Gated, calibrate, gate_names
from harness.gates.floors import judge_at_least, judge_critical
from harness.gates.judged import Trust, through_judge
from harness.gates.regression import Screen, judge_no_worse_than, screen
from harness.gates.replay import Stored
from harness.gates.rule import Rule, Subject
from harness.gates.sequential import look, watched
from harness.gates.together import Together, compare_together, conjunction

__all__ = [
    "Calibration",
    "Comparability",
    "Gated",
    "Measured",
    "Rule",
    "Screen",
    "Stored",
    "Subject",
    "Together",
    "Trust",
    "calibrate",
    "comparability",
    "compare_together",
    "conjunction",
    "gate_names",
    "judge_at_least",
    "judge_critical",
    "judge_no_worse_than",
    "look",
    "screen",
    "through_judge",
    "watched",
]
