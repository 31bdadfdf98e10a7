"""`rung review`: blinded pairwise comparison of systems, and what the votes say."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from harness.cli.label import desk_extra, people
from harness.cli.workspace import Workspace
from harness.errors import ConfigError, nearest


@click.command(short_help="Compare systems blindly on a local page.")
@click.argument("systems", nargs=-1, required=True, metavar="A B [C ...]")
@click.option("--run", default="latest", help="The run of the answers. Default: latest.")
@click.option("--suite", metavar="NAME", help="Default: the first suite that all of them answered.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="N pairs, drawn at random.")
@click.option("--seed", type=int, default=0, help="Of the order of the pairs.")
@click.option("--who", multiple=True, metavar="NAME", help="A reviewer; repeat it for several.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free one.")
@click.option("--judge", metavar="NAME", help="Ask this system too; open no page.")
@click.option("--rubric", metavar="FILE", help="Of the judge: which answer is better.")
@click.option("--votes", type=click.IntRange(min=1), default=1, help="Of the judge, for each pair.")
@click.option("--result", "only_result", is_flag=True, help="Open no page: say what votes say.")
@click.option("--export", "pairs", is_flag=True, help="Write preference pairs for DPO.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def review(systems: tuple[str, ...], **options: Any) -> None:
    """Show two answers to a case, not whose they are; the result comes when the desk is closed.

    A system of another run is RUN:SYSTEM.

    \b
    rung review few-shot rag --who ana --who ben
    rung review few-shot rag lora --count 100
    rung review few-shot rag --result --export
    rung review few-shot rag --judge judge --rubric rubrics/better.txt
    """
    from harness.desk.pairs import make_agenda
    from harness.desk.votes import VoteBook, distinct, vote_file

    workspace = Workspace()
    contestants = _contestants(workspace, distinct(list(systems)), options["run"])
    suite = _suite(contestants, options["suite"])
    agenda = make_agenda(suite, contestants, seed=options["seed"], count=options["count"])
    evals = workspace.file.parent
    judged = options["judge"] is not None
    if not (judged or options["only_result"] or options["pairs"] or options["as_json"]):
        with desk_extra():
            from harness.desk.door import new_tokens
            from harness.desk.review_desk import ReviewDesk, review_app
            from harness.desk.serve import serve
        click.echo(f"{suite}: {len(agenda.pairs):,} pairs; open your address, Ctrl-C ends it")
        serve(
            review_app(ReviewDesk(agenda, contestants, evals=evals)),
            tokens=new_tokens(people(options["who"])),
            port=options["port"],
            say=click.echo,
        )
    book = VoteBook(vote_file(evals, suite))
    book.refresh()
    _tell(agenda, contestants, book.all(), options)
    if judged:
        _tell_judged(agenda, contestants, _ask(workspace, agenda, contestants, book.all(), options))
    if options["pairs"]:
        _export(contestants, suite, book.all(), evals / "labels" / f"{suite}.preferences.jsonl")


def _contestants(workspace: Workspace, names: list[str], run: str) -> list[Any]:
    from harness.desk.outputs import RunOutputs
    from harness.desk.pairs import Contestant

    tables: dict[str, RunOutputs] = {}
    found = []
    for name in names:
        named, _, system = name.rpartition(":")
        folder = workspace.store.find(named or run)
        if str(folder) not in tables:
            tables[str(folder)] = RunOutputs(folder)
        outputs = tables[str(folder)]
        known = {s for suite in outputs.suites for s in outputs.systems(suite)}
        if system not in known:
            raise ConfigError(
                f"'{system}' is not in run {outputs.run_id}. {nearest(system, known)}", key="A B"
            )
        found.append(Contestant(name=name, outputs=outputs, system=system))
    return found


def _suite(contestants: list[Any], wanted: str | None) -> str:
    common = [
        suite
        for suite in contestants[0].outputs.suites
        if all(
            suite in c.outputs.suites and c.system in c.outputs.systems(suite) for c in contestants
        )
    ]
    if wanted is None and common:
        return str(common[0])
    if wanted is None or wanted not in common:
        raise ConfigError(
            f"no suite was answered by all of {', '.join(c.name for c in contestants)}"
            if wanted is None
            else f"'{wanted}' was not answered by all of them. {nearest(wanted, common)}",
            key="--suite",
        )
    return wanted


def _tell(agenda: Any, contestants: list[Any], votes: list[Any], options: dict[str, Any]) -> None:
    from harness.desk.preferences import review_result

    result = review_result(agenda, contestants, votes, seed=options["seed"])
    if options["as_json"]:
        click.echo(json.dumps(asdict(result), ensure_ascii=False, indent=1))
        return
    click.secho(f"{result.votes} votes by {', '.join(result.people) or 'nobody'}", bold=True)
    for pair in result.pairs:
        click.echo(f"  {pair.one} against {pair.other}: {_sentence(pair)}")
    if result.ranking is not None:
        click.echo(f"  {result.ranking.method}, {result.ranking.cases} cases")
        for place in result.ranking.systems:
            click.echo(
                f"    {place.rating:+7.0f} ({place.low:+.0f} to {place.high:+.0f})  {place.system}"
            )
    if result.agreement is not None:
        value = result.agreement.value
        said = (
            "not known"
            if value is None
            else _interval(value, result.agreement.low, result.agreement.high)
        )
        click.echo(
            f"  agreement: Krippendorff's alpha {said}, {result.agreement.n} pairs seen by several"
        )
    if result.left_share is not None:
        low, high = result.left_share
        note = "" if low <= 0.5 <= high else ": the side sways people"
        click.echo(f"  left was chosen {result.left} of {result.decided} times{note}")


def _ask(
    workspace: Workspace, agenda: Any, contestants: list[Any], votes: list[Any], options: Any
) -> Any:
    """Have a system of rung.yaml judge the pairs, each in both orders."""
    from harness.cli.asking import cached_system
    from harness.desk.judged_pairs import judge_pairs
    from harness.judges import read_rubric

    if options["rubric"] is None:
        raise ConfigError("a judge needs a rubric: which answer is better?", key="--rubric")
    rubric = read_rubric(workspace.file.parent / options["rubric"], kind="pairwise")
    with cached_system(workspace, options["judge"]) as judge:
        return judge_pairs(
            agenda,
            contestants,
            judge,
            rubric,
            people=votes,
            votes=options["votes"],
            seed=options["seed"],
        )


def _tell_judged(agenda: Any, contestants: list[Any], judged: Any) -> None:
    from harness.desk.preferences import review_result

    click.secho(f"{len(judged.votes)} pairs by {judged.judge}", bold=True)
    for pair in review_result(agenda, contestants, judged.votes).pairs:
        click.echo(f"  {pair.one} against {pair.other}: {_sentence(pair)}")
    click.echo(
        f"  {judged.order_dependent} ties because the preference changes with the order,"
        f" {judged.unscored} replies could not be read"
    )
    if not judged.shared:
        click.echo("  not checked by people: nobody has voted on these pairs")
        return
    alpha = judged.agreement
    said = "not known" if alpha.value is None else _interval(alpha.value, alpha.low, alpha.high)
    click.echo(
        f"  people say the same of {judged.agreed} of {judged.shared} pairs,"
        f" Krippendorff's alpha {said}"
    )


def _sentence(pair: Any) -> str:
    if pair.difference is None:
        return f"no votes yet ({pair.same} answers are the same)"
    return (
        f"{pair.won} better, {pair.lost} worse, {pair.tied} neither; "
        f"net {100 * pair.difference:+.1f} points ({100 * pair.low:+.1f} to {100 * pair.high:+.1f}), "
        f"sign test p = {pair.pvalue:.3g}; {pair.same} more are word for word the same"
    )


def _interval(value: float, low: float | None, high: float | None) -> str:
    return (
        f"{value:.2f}" if low is None or high is None else f"{value:.2f} ({low:.2f} to {high:.2f})"
    )


def _export(contestants: list[Any], suite: str, votes: list[Any], path: Any) -> None:
    from harness.desk.exports import write_pairs
    from harness.desk.preferences import preference_rows

    rows = preference_rows(suite, contestants, votes)
    write_pairs(path, rows)
    click.echo(f"{path}: {len(rows)} pairs", err=True)
