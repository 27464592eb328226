"""Look for anomalies, drift and a budget that runs out; a run with an alarm ends as failed, so that it is seen."""

from prefect import flow, task

from fairlead import project
from fairlead.training.watch import Watch
from fairlead.training.watch import watch as look_once


@task(retries=1, retry_delay_seconds=60)
def look() -> Watch:
    """Look once at the newest hours, at what changed since the training, and at the month's budget."""
    return look_once(project.find())


@flow(log_prints=True)
def watch() -> str:
    """Say what was found: ok, retrain (with the reason) or alarm."""
    found = look()
    print(found.verdict, found.retrain or "", *found.alarms, sep="\n")
    found.raise_alarm()
    return found.verdict
