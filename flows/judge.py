"""Value the published policy and the baselines on requests that its predictors have not seen."""

from prefect import flow, task

from fairlead import evaluation, project
from fairlead.evaluation import table


@task(retries=1, retry_delay_seconds=60)
def value_policies() -> str:
    """Judge every policy on the logged requests and keep the judgement; give it as a table."""
    return table.render(evaluation.judge(project.find()))


@flow(log_prints=True)
def judge() -> str:
    """Say what the published policy would have saved, and how sure that is."""
    found = value_policies()
    print(found)
    return found
