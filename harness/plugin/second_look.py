"""The second of two looks: fresh epochs of the system as it is now, and of the one that was blessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.plugin.asking import Judges
from harness.plugin.blessed import Baseline
from harness.plugin.items import View, score_epoch
from harness.plugin.rebuilding import CannotRebuild, rebuild
from harness.run import Key
from harness.runner import Answer
from harness.types import Case, SystemSpec

if TYPE_CHECKING:
    from harness.gates import Screen
    from harness.statistics.outcomes import Outcomes

# A candidate's fresh epochs of the blessed system are its own, so that no later build is judged by
# the same lucky ones; and the same when it is judged again, so that they are asked for once.
FIRST_EPOCH, SPREAD = 1_000, 1_000_000


def why_once(view: View) -> str | None:
    """Say why a system's gate needs no second look, or cannot have one; None where it can."""
    if view.system.kind == "recorded":
        return "recorded answers, looked at once"
    if not may_vary(view.system):
        return "answers that do not vary, looked at once"
    if not view.short:
        return "looked at once, since the function uses other fixtures"
    return None


def may_vary(spec: SystemSpec) -> bool:
    """Tell whether asking a system again could give another answer.

    Recorded answers cannot differ, nor those of a model of this machine that decodes without chance.
    """
    if spec.kind in ("recorded", "classical"):
        return False
    decodings = [spec.options, *(spec.options.get("steps") or ())]
    chance = any((part.get("decoding") or {}).get("temperature") for part in decodings)
    return chance or spec.model is None or spec.model.kind != "transformers"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """Asks for fresh epochs of both sides, where that can be done."""

    baseline: Baseline
    judges: Judges
    folder: Path  # where prompts of blessed systems are written to

    def at(
        self, view: View, screened: Screen, outcomes: Outcomes, stored: Outcomes
    ) -> tuple[Screen, str]:
        """Return the first look with fresh epochs of both, and where those of the baseline are from.

        Where the blessed system cannot be asked, its stored epochs stand for it. Where the candidate
        itself cannot be asked (`--replay`, `--max-cost`), the first look stays alone.
        """
        from harness.gates.calibration import FRESH_EPOCHS

        ran, paired = (outcomes.scored + outcomes.missing > 0).tolist(), set(stored.case_ids)
        ids = [i for i, seen in zip(outcomes.case_ids, ran, strict=True) if seen and i in paired]
        first = view.run.epochs
        mine = self._ask(view, view.system, ids, range(first, first + FRESH_EPOCHS), outcomes)
        if mine.not_run.any():
            return screened, "fresh epochs could not be asked for"
        try:
            spec = self._blessed(view)
            digest = view.session.fingerprint(view.system).digest
            first = FIRST_EPOCH + int(digest[:8], 16) % SPREAD
            epochs = range(first, first + FRESH_EPOCHS)
            theirs = self._ask(view, spec, ids, epochs, stored)
            if (theirs.missing + theirs.not_run).any():
                raise CannotRebuild("it gave no answer to some cases")
        except CannotRebuild as error:
            note = f"the blessed system was not asked again, {error}"
            return replace(screened, fresh=(mine, stored)), note
        return replace(screened, fresh=(mine, theirs)), "both systems were asked again"

    def _blessed(self, view: View) -> SystemSpec:
        row = self.baseline.system(view.system.name)
        fingerprint = view.session.fingerprint
        if row is None:
            raise CannotRebuild("its run does not name it")
        if row["fingerprint"] == fingerprint(view.system).digest:
            raise CannotRebuild("it is the one of now")
        project = view.run.suite.project
        return rebuild(row, project, into=self.folder, fingerprint=fingerprint)

    def _ask(
        self,
        view: View,
        spec: SystemSpec,
        ids: Sequence[str],
        epochs: Sequence[int],
        like: Outcomes,
    ) -> Outcomes:
        """Return outcomes of these epochs of a system, scored as those of the run."""
        from harness.statistics.outcomes import Outcomes

        known = {case.id: case for case in view.run.suite.cases}
        cases = {i: known[i] for i in ids}
        answers = view.session.ask(spec, list(cases.values()), epochs)
        scoring = replace(view, judgements=self._judgements(view, cases, answers))
        scores = [
            score_epoch(scoring, cases[case_id], epoch, answer, {})[0]
            for (case_id, epoch), answer in answers.items()
        ]
        groups = dict(zip(like.case_ids, like.groups, strict=True)) if like.groups else None
        return Outcomes.from_scores(
            scores, case_ids=ids, groups=groups, graded=like.values is not None
        )

    def _judgements(
        self, view: View, cases: Mapping[str, Case], answers: Mapping[Key, Answer]
    ) -> Callable[[View], Mapping[Key, Any]]:
        """Return what gives the judge's opinion of fresh answers, asked in one batch."""
        answered = [(cases[i], a.output) for (i, _), a in answers.items() if a.output is not None]
        said = self.judges.ask(view, answered) if "judgement" in view.wanted else {}
        return lambda _: said
